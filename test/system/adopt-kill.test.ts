import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkout } from '../daemon.ts';
import { type Place, place } from '../processes.ts';
import { dovecotFolder, sizes } from '../store/dovecot/tree.ts';
import { alice, all, bytesOf, maildirStore } from '../store/surroundings.ts';

/** `facteur adopt`, killed again and again while it works: in the end every message is there under its UID. */

const FOLDERS = ['', '.Archive', '.Sent'];
const MESSAGES = 1000;
const KILLS = 4;

let at: Place;
let tree: string;

beforeAll(async () => {
  at = place({});
  await at.accounts(alice);
  tree = join(at.dir, 'Maildir');
  for (const [number, folder] of FOLDERS.entries())
    dovecotFolder(join(tree, folder), {
      uidValidity: 5000 + number,
      messages: Array.from({ length: MESSAGES }, (_, index) => {
        const base = `${1_600_000_000 + index}.M${number}P${index}.h`;
        // Every third is one of procmail's: no sizes in its name.
        return [
          index * 2 + 1,
          `cur/${index % 3 === 0 ? base : `${base},${sizes(base)}`}:2,${index % 2 ? 'S' : ''}`,
        ];
      }),
    });
});
afterAll(() => at.remove());

test('SIGKILL at any time, and the next run goes on', async () => {
  let partly = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = adoptedNames();
    if ((await run(killer(before + MESSAGES / 4))) === 'ended') break;
    if (adoptedNames() < MESSAGES * FOLDERS.length) partly++;
  }
  expect(await run(() => false)).toBe('ended');
  expect(partly).toBeGreaterThan(0);
  const store = maildirStore(join(at.dir, 'data'));
  try {
    const account = await store.account(alice);
    for (const [number, path] of ['INBOX', 'Archive', 'Sent'].entries()) {
      const box = await account.mailbox(path);
      expect(box).toMatchObject({ uidValidity: 5000 + number, total: MESSAGES });
      if (!box) continue;
      const found = await all(account.messages(box.id, [{ first: 1, last: '*' }]));
      expect(found.map(({ uid }) => uid)).toEqual(
        Array.from({ length: MESSAGES }, (_, index) => index * 2 + 1),
      );
      for (const { uid } of found.filter((_, index) => index % 97 === 0)) {
        const text = (await bytesOf(await account.raw(box.id, uid))).toString();
        expect(text).toContain(`M${number}P${(uid - 1) / 2}.h`);
      }
    }
  } finally {
    await store.close();
  }
});

/** How many files have their new names. */
function adoptedNames(): number {
  return FOLDERS.reduce(
    (sum, folder) => sum + readdirSync(join(tree, folder, 'cur')).filter((name) => /,U=\d/.test(name)).length,
    0,
  );
}

/** True once so many files have new names. */
function killer(names: number): () => boolean {
  return () => adoptedNames() >= names;
}

function run(enough: () => boolean): Promise<'killed' | 'ended'> {
  const words = ['adopt', tree, '--account', alice, '--config', at.file];
  const child = spawn(checkout.node, [checkout.entry, ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
  const watch = setInterval(() => {
    if (enough()) child.kill('SIGKILL');
  }, 1);
  return new Promise((resolve) =>
    child.once('exit', (code) => {
      clearInterval(watch);
      resolve(code === 0 ? 'ended' : 'killed');
    }),
  );
}
