import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkAccount } from '../../src/admin/store.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import type { AccountStore, MailboxId, Uid } from '../../src/store/store.ts';
import { dice } from './power-cut-rounds.ts';
import { alice, all, bytesOf, maildirStore, message, silent, temporaryDirectory } from './surroundings.ts';

/**
 * Bytes of the index are turned over, cut off or wiped out, anywhere. Whoever uses the account then gets what is in the
 * Maildir, or finds the damage in the check; nobody loses mail, and the process goes on.
 */

const MESSAGES = 40;
const ROUNDS = 25;
/** In the title: a test that does not come to its end says nothing else. */
const SEED: number = Math.floor(Math.random() * 2 ** 31);

interface Told {
  readonly lines: string[];
  readonly log: Logger;
}

function listening(): Told {
  const lines: string[] = [];
  const log: Logger = {
    ...silent,
    child: () => log,
    error: (_fields: object, text?: string) => void lines.push(text ?? ''),
  };
  return { lines, log };
}

async function populate(directory: string): Promise<void> {
  const store = maildirStore(directory);
  for (let n = 1; n <= MESSAGES; n++)
    await store.deliver({
      account: alice,
      mailbox: n % 4 === 0 ? 'Archive' : 'INBOX',
      key: `k${n}`,
      flags: n % 3 === 0 ? ['\\Seen', 'Work'] : [],
      internalDate: 0,
      content: message(`text number ${n} `.repeat(n), `k${n}`).pieces,
    });
  const account = await store.account(alice);
  for (const { id } of await account.mailboxes()) {
    const uids = [...(await account.uids(id))] as Uid[];
    await all(account.summaries(id, uids));
    await all(account.headers(id, uids));
  }
  await store.close();
}

/** Every message by mailbox and UID: flags and text. */
async function contents(account: AccountStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { id, path } of await account.mailboxes())
    for (const { uid, flags } of await all(account.messages(id, [{ first: 1, last: '*' }]))) {
      const text = (await bytesOf(await account.raw(id, uid))).toString('latin1');
      found.set(`${path} ${uid}`, `${[...flags].sort().join(' ')}\n${text}`);
    }
  return found;
}

test(`an index damaged in ${ROUNDS} ways: all mail is there, each UID is what it was, and check has the last word`, async () => {
  const { path, remove } = temporaryDirectory();
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = dice(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  try {
    await populate(path);
    const index = join(path, 'mail/example.org/alice/index.sqlite');
    const reader = maildirStore(path);
    const before = await contents(await reader.account(alice));
    await reader.close();
    const sound = readFileSync(index);
    let noticed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(index, sound);
      const how = damage(index, below);
      const where = `seed ${seed}, round ${round}, ${how}`;
      const { lines, log } = listening();
      const store = maildirStore(path, log);
      const report = await checkAccount(store, path, alice, 'repair');
      expect(
        report?.findings.filter(({ state }) => state !== 'mended'),
        where,
      ).toEqual([]);
      const account = await store.account(alice);
      const after = await contents(account);
      // Same flags and texts; a row of nonsense that SQLite takes for sense may cost the message its UID, never give it
      // another one's.
      expect([...after.values()].sort(), where).toEqual([...before.values()].sort());
      for (const [name, text] of after) expect(before.get(name) ?? text, where).toBe(text);
      await search(account);
      await store.close();
      const again = maildirStore(path);
      expect((await checkAccount(again, path, alice, 'look'))?.findings, where).toEqual([]);
      await again.close();
      if (lines.length > 0) noticed++;
    }
    expect(noticed).toBeGreaterThan(0);
  } finally {
    remove();
  }
}, 120_000);

test(`used without a check, a damaged index loses no mail and heals when it is noticed (seed ${SEED})`, async () => {
  const { path, remove } = temporaryDirectory();
  const seed = SEED;
  const random = dice(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  try {
    await populate(path);
    const index = join(path, 'mail/example.org/alice/index.sqlite');
    const sound = readFileSync(index);
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(index, sound);
      const where = `seed ${seed}, round ${round}, ${damage(index, below)}`;
      const store = maildirStore(path);
      const account = await store.account(alice);
      const key = `new-${round}`;
      const { uid, mailbox } = await store.deliver({
        account: alice,
        mailbox: 'INBOX',
        key,
        flags: [],
        internalDate: 0,
        content: message(key, key).pieces,
      });
      expect((await bytesOf(await account.raw(mailbox, uid))).toString(), where).toContain(
        `Subject: ${key}\r\n`,
      );
      await account.setFlags(mailbox, [uid], { mode: 'add', flags: ['\\Flagged'] });
      await use(account, mailbox);
      await account.expunge(mailbox, [uid]);
      await store.close();
    }
  } finally {
    remove();
  }
}, 120_000);

test.for([
  [
    'numbers that are too big',
    "UPDATE texts_data SET block = x'0AA2DC9AC75D5F9CA2AE79134D1D9E480B1A928F771D1F9C6A0B5DEE0BE0' WHERE id > 100",
  ],
  ['a version that nobody knows', "UPDATE texts_config SET v = 0 WHERE k = 'version'"],
  ['no version', 'DELETE FROM texts_config'],
  ['no words', 'DELETE FROM texts_data'],
  ['words of nonsense', 'UPDATE texts_data SET block = randomblob(30)'],
  ['a table that is missing', 'DROP TABLE texts_idx'],
])('a full text with %s is made anew', async ([, sql]) => {
  const { path, remove } = temporaryDirectory();
  try {
    await populate(path);
    const before = maildirStore(path);
    const expected = await contents(await before.account(alice));
    await before.close();
    const db = openSqlite(join(path, 'mail/example.org/alice/index.sqlite'), { durability: 'normal' });
    db.unsafeMode(true);
    db.pragma('writable_schema = ON');
    db.exec(sql ?? '');
    db.close();
    const store = maildirStore(path);
    const report = await checkAccount(store, path, alice, 'repair');
    expect(report?.findings.filter(({ state }) => state !== 'mended')).toEqual([]);
    const account = await store.account(alice);
    expect(await contents(account)).toEqual(expected);
    const inbox = await account.mailbox('INBOX');
    const found = inbox && (await account.search(inbox.id, { text: 'number', in: 'message' }));
    expect(found?.length).toBeGreaterThan(0);
    await store.close();
  } finally {
    remove();
  }
});

async function use(account: AccountStore, mailbox: MailboxId): Promise<void> {
  for (const { id } of await account.mailboxes()) {
    const uids = [...(await account.uids(id))] as Uid[];
    await all(account.summaries(id, uids)).catch(isSaid);
    await all(account.headers(id, uids)).catch(isSaid);
  }
  await search(account);
  await account.vanished(mailbox, 1 as never);
}

/** A row may be nonsense that SQLite cannot know of: then one command fails, and says so. */
function isSaid(error: unknown): undefined {
  expect(error).toBeInstanceOf(Error);
  return undefined;
}

async function search(account: AccountStore): Promise<void> {
  const inbox = await account.mailbox('INBOX');
  if (!inbox) return;
  for (const criteria of [
    { text: 'number', in: 'message' },
    { header: 'subject', contains: 'k1' },
  ] as const)
    await account.search(inbox.id, criteria).catch(isSaid);
}

/** @returns what was done */
function damage(path: string, below: (limit: number) => number): string {
  const { size } = statSync(path);
  const at = below(size);
  const length = 1 + below(below(2) === 0 ? 8 : 9000);
  const bytes = readFileSync(path);
  switch (below(4)) {
    case 0:
      truncateSync(path, at);
      return `cut off at ${at}`;
    case 1:
      writeFileSync(path, bytes.fill(0, at, Math.min(at + length, size)));
      return `${length} zeros at ${at}`;
    case 2: {
      const page = Math.floor(at / 4096) * 4096;
      bytes.copyWithin(
        page,
        Math.floor(below(size) / 4096) * 4096,
        Math.floor(below(size) / 4096) * 4096 + 4096,
      );
      writeFileSync(path, bytes);
      return `another page at ${page}`;
    }
    default:
      for (let n = 0; n < Math.min(length, 64); n++) bytes[at + n] = (bytes[at + n] ?? 0) ^ (1 << below(8));
      writeFileSync(path, bytes);
      return `bits turned over from ${at} on`;
  }
}
