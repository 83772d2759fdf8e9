import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { storeAdmin } from '../../src/admin/store.ts';
import { type CliIo, UsageError } from '../../src/cli/io.ts';
import { runStore } from '../../src/cli/store.ts';
import type { AccountId } from '../../src/directory/directory.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import { maildirStore, message, temporaryDirectory } from '../store/surroundings.ts';

let base: ReturnType<typeof temporaryDirectory>;
let out = '';
let err = '';

beforeEach(async () => {
  base = temporaryDirectory();
  const store = maildirStore(base.path);
  for (const account of ['ann@example.org', 'bob@example.org'])
    await store.deliver({
      account: account as AccountId,
      mailbox: 'INBOX',
      key: 'one',
      flags: [],
      internalDate: 0,
      content: message('Hello').pieces,
    });
  await store.close();
});
afterEach(() => base.remove());

async function run(words: string): Promise<number> {
  out = '';
  err = '';
  const io: CliIo = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    stdin: Readable.from([]),
    isTTY: false,
  };
  return runStore(
    words.split(' ').filter((word) => word !== ''),
    {
      io,
      dataDir: base.path,
      account: (address) => address as AccountId,
      async withAdmin(work) {
        const store = maildirStore(base.path);
        try {
          return await work(storeAdmin(store));
        } finally {
          await store.close();
        }
      },
    },
  );
}

const disturb = (): void => {
  const db = openSqlite(join(base.path, 'mail/example.org/bob/index.sqlite'), { durability: 'normal' });
  db.exec("UPDATE folders SET total = 5 WHERE dir = ''");
  db.close();
};

test('all is well: exit code 0, an account a line', async () => {
  expect(await run('check')).toBe(0);
  expect(out).toBe(
    'ann@example.org: 6 mailboxes, 1 messages, all is well\nbob@example.org: 6 mailboxes, 1 messages, all is well\n',
  );
  expect(await run('check --all --json')).toBe(0);
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { account: 'ann@example.org', findings: [] },
    { account: 'bob@example.org', mailboxes: 6, messages: 1, findings: [], more: 0 },
  ]);
});

test('something is wrong: exit code 1, what, and how to mend it; mended: 0', async () => {
  disturb();
  expect(await run('check --account ann@example.org')).toBe(0);
  expect(await run('check')).toBe(1);
  expect(out).toContain('bob@example.org: 6 mailboxes, 5 messages\n  INBOX: 1 messages, counted 5\n');
  expect(err).toContain('facteur store check --repair');
  expect(await run('check --repair --account bob@example.org --account ann@example.org')).toBe(0);
  expect(out).toContain('  INBOX: 1 messages, counted 5 (mended)\n');
  expect(await run('check')).toBe(0);
});

test('an index of nonsense, and an account that cannot be opened at all: the others are checked', async () => {
  rmSync(join(base.path, 'mail/example.org/ann/Maildir/facteur-uid'));
  rmSync(join(base.path, 'mail/example.org/ann/Maildir/cur'), { recursive: true });
  rmSync(join(base.path, 'mail/example.org/ann/index.sqlite'));
  openSqlite(join(base.path, 'mail/example.org/ann/Maildir/cur'), { durability: 'normal' }).close();
  disturb();
  expect(await run('check --repair --json')).toBe(1);
  const [ann, bob] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(ann.findings).toContainEqual(expect.objectContaining({ state: 'stays' }));
  expect(bob.findings).toContainEqual({
    mailbox: 'INBOX',
    problem: '1 messages, counted 5',
    state: 'mended',
  });
});

test('reindex says how far it is', async () => {
  expect(await run('reindex --account ann@example.org')).toBe(0);
  expect(out).toContain('ann@example.org: INBOX: 1 messages, ');
  expect(out).toContain('ann@example.org: done, 6 mailboxes, 1 messages\n');
  expect(await run('reindex --all --json')).toBe(0);
  expect(out).toContain('"left":0');
  expect(await run('reindex --account nobody@example.org')).toBe(0);
  expect(out).toBe('nobody@example.org: no mail\n');
  expect(await run('check')).toBe(0);
});

test.each([
  ['', 'store needs a verb'],
  ['frob', 'store does not know "frob"'],
  ['check ann@example.org', 'unexpected argument'],
  ['check --all --account ann@example.org', 'either --account or --all'],
  ['reindex', 'needs --account'],
  ['reindex --all --repair', '--repair belongs to store check'],
])('store %s is a usage error', async (words, reason) => {
  await expect(Promise.resolve().then(() => run(words))).rejects.toThrow(new RegExp(reason));
  await expect(Promise.resolve().then(() => run(words))).rejects.toBeInstanceOf(UsageError);
});
