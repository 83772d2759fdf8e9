import type { AccountId } from '../../src/directory/directory.ts';
import { FileScriptStore } from '../../src/store/script-store.ts';

/** Puts, renames and activates one script after the other until it is killed. */

const alice = 'alice@example.org' as AccountId;
const scripts = new FileScriptStore(process.argv[2] ?? '', {
  maxSize: 1000,
  maxScripts: 100,
  maxTotal: 100_000,
});
process.stdout.write('begun\n');
const [active] = (await scripts.list(alice)).filter((script) => script.active);
let name = active?.name ?? 'a';
for (let i = 0; ; i++) {
  const letter = String.fromCharCode(97 + (i % 26));
  await scripts.put(alice, name, Buffer.from(`# ${letter.repeat(500)}`));
  const next = `${i % 2 ? 'x' : 'y'.repeat(300)}${i % 3}`;
  await scripts.delete(alice, next).catch(() => undefined);
  await scripts.rename(alice, name, next).catch(() => undefined);
  if ((await scripts.get(alice, next)) !== undefined) {
    await scripts.activate(alice, next);
    name = next;
  }
}
