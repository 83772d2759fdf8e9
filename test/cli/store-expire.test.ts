import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { storeAdmin } from '../../src/admin/store.ts';
import { UsageError } from '../../src/cli/io.ts';
import { runStore } from '../../src/cli/store.ts';
import { alice, maildirStore, message, silent, temporaryDirectory } from '../store/surroundings.ts';

/** `facteur store expire`. */

let base: ReturnType<typeof temporaryDirectory>;
const settings = { expire: [{ folder: 'INBOX', messages: 1 }] };

beforeEach(async () => {
  base = temporaryDirectory();
  const store = maildirStore(base.path);
  for (const key of ['one', 'two', 'three'])
    await store.deliver({
      account: alice,
      mailbox: 'INBOX',
      key,
      flags: [],
      internalDate: 0,
      content: message('Hello').pieces,
    });
  await store.close();
});
afterEach(() => base.remove());

async function run(words: string): Promise<string> {
  let out = '';
  const io = {
    out(text: string): void {
      out += text;
    },
    err() {},
    stdin: Readable.from([]),
    isTTY: false,
  };
  await runStore(words.split(' '), {
    io,
    dataDir: base.path,
    account: () => alice,
    async withAdmin(work) {
      const store = maildirStore(base.path, silent, null, settings);
      try {
        return await work(storeAdmin(store));
      } finally {
        await store.close();
      }
    },
  });
  return out;
}

test('counts, removes, and then there is nothing left to do', async () => {
  expect(await run('expire --dry-run')).toBe('alice@example.org: INBOX: 2 would be removed\n');
  expect(await run('expire --account alice@example.org --json')).toBe(
    '{"account":"alice@example.org","mode":"remove","expired":{"INBOX":2}}\n',
  );
  expect(await run('expire')).toBe('alice@example.org: nothing removed\n');
});

test('--dry-run and --repair stand where they mean something', async () => {
  await expect(run('check --dry-run')).rejects.toThrow(UsageError);
  await expect(run('expire --repair')).rejects.toThrow(UsageError);
});
