import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { copyBetween, type Target } from '../../src/imap/shared/copy-between.ts';
import { Spool } from '../../src/imap/spool.ts';
import type { RawMessage } from '../../src/mail/raw-message.ts';
import { type MailboxId, StoreError, type Uid } from '../../src/store/store.ts';
import { MemoryAccount } from './memory-mail.ts';
import { ALICE, BOB } from './world.ts';

/** COPY between accounts: all or nothing, in lots, with flags and dates. */

const directory = mkdtempSync(join(tmpdir(), 'facteur-copy-'));
const spool = new Spool(directory);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function inboxOf(account: MemoryAccount): Promise<MailboxId> {
  const inbox = await account.mailbox('INBOX');
  if (!inbox) throw new Error('no INBOX');
  return inbox.id;
}

async function pair(
  count: number,
  limits: object = {},
): Promise<{
  readonly from: { readonly store: MemoryAccount; readonly id: MailboxId };
  readonly to: Target & { readonly store: MemoryAccount };
  readonly uids: readonly Uid[];
}> {
  const from = new MemoryAccount(ALICE as AccountId);
  const store = new MemoryAccount(BOB as AccountId, limits);
  const id = await inboxOf(from);
  for (let n = 1; n <= count; n++)
    from.put(id, Buffer.from(`Subject: ${n}\r\n\r\n`), { flags: n % 2 ? ['\\Seen'] : [], internalDate: n });
  const takeBack = store.expunge.bind(store);
  const to = { store, id: await inboxOf(store), takeBack };
  return { from: { store: from, id }, to, uids: [...(await from.uids(id))] as Uid[] };
}

test('in the order of UIDs, whatever the order in which they are named', async () => {
  const { from, to, uids } = await pair(5);
  const pairs = await copyBetween(from, [...uids].reverse(), to, spool);
  expect(pairs).toEqual([1, 2, 3, 4, 5].map((uid) => ({ from: uid, to: uid })));
  for await (const batch of to.store.messages(to.id, [{ first: 1, last: '*' }]))
    for (const { uid, flags, internalDate } of batch) {
      expect(flags).toEqual(uid % 2 ? ['\\Seen'] : []);
      expect(internalDate).toBe(uid);
    }
});

test('what is gone is left out', async () => {
  const { from, to, uids } = await pair(3);
  const raw = from.store.raw.bind(from.store);
  from.store.raw = async (id, uid) => {
    if (uid === 2) throw new StoreError('expunged', 'gone');
    return raw(id, uid);
  };
  expect(await copyBetween(from, uids, to, spool)).toEqual([
    { from: 1, to: 1 },
    { from: 3, to: 2 },
  ]);
  expect(await copyBetween(from, [7 as Uid], to, spool)).toEqual([]);
});

test('when a later lot fails, the earlier ones are taken back', async () => {
  const { from, to, uids } = await pair(1100);
  const appendAll = to.store.appendAll.bind(to.store);
  let calls = 0;
  to.store.appendAll = async (...args) => {
    if (++calls === 2) throw new StoreError('disk-full', 'full');
    return appendAll(...args);
  };
  await expect(copyBetween(from, uids, to, spool)).rejects.toThrow('full');
  expect(calls).toBe(2);
  expect((await to.store.uids(to.id)).length).toBe(0);
  expect((await from.store.uids(from.id)).length).toBe(1100);
});

test('room is asked for all of them before the first', async () => {
  const { from, to, uids } = await pair(10, { quotaMessages: 9 });
  await expect(copyBetween(from, uids, to, spool)).rejects.toMatchObject({ kind: 'over-quota' });
  expect((await to.store.uids(to.id)).length).toBe(0);
});

test('a file that has another name by now is looked for again', async () => {
  const { from, to, uids } = await pair(2);
  const appendAll = to.store.appendAll.bind(to.store);
  let calls = 0;
  to.store.appendAll = async (...args) => {
    if (++calls === 1) throw new Error('ENOENT');
    return appendAll(...args);
  };
  expect(await copyBetween(from, uids, to, spool)).toHaveLength(2);
  to.store.appendAll = async () => {
    throw new Error('always');
  };
  await expect(copyBetween(from, uids, to, spool)).rejects.toThrow('always');
});

test('what cannot be taken back hides no error: the client hears of the first, the log of both', async () => {
  const { from, to, uids } = await pair(1100);
  const appendAll = to.store.appendAll.bind(to.store);
  let calls = 0;
  to.store.appendAll = async (...args) => {
    if (++calls === 2) throw new StoreError('over-quota', 'full');
    return appendAll(...args);
  };
  const takeBack = async (): Promise<never> => {
    throw new StoreError('busy', 'locked');
  };
  const refusal = await copyBetween(from, uids, { ...to, takeBack }, spool).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ name: 'ImapNo', code: 'OVERQUOTA' });
  expect(refusal).toMatchObject({ cause: { errors: [{ message: 'full' }, { message: 'locked' }] } });
});

test('copies of our own are in memory up to a bound, then in files, which go', async () => {
  const { from, to } = await pair(0);
  const size = 100 * 1024;
  for (let n = 1; n <= 20; n++) from.store.put(from.id, Buffer.alloc(size, `${n}\r\n`), {});
  const appendAll = to.store.appendAll.bind(to.store);
  let seen: readonly RawMessage[] = [];
  let calls = 0;
  to.store.appendAll = async (id, messages, ...rest) => {
    if (++calls === 1) throw new Error('ENOENT');
    seen = messages.map(({ raw }) => raw);
    return appendAll(id, messages, ...rest);
  };
  const uids = [...(await from.store.uids(from.id))] as Uid[];
  expect(await copyBetween(from, uids, to, spool)).toHaveLength(20);
  const inMemory = seen.flatMap(({ pieces }) => pieces.filter((piece) => piece instanceof Uint8Array));
  expect(inMemory).toHaveLength(10);
  expect(readdirSync(directory)).toEqual([]);
  for (const uid of uids) {
    const [a, b] = [await from.store.raw(from.id, uid), await to.store.raw(to.id, uid)];
    const all = async (raw: RawMessage): Promise<Buffer> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of raw.read()) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    expect((await all(a)).equals(await all(b))).toBe(true);
  }
});
