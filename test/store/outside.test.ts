import { readdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import type { AccountStore, Change, MailboxId, Uid } from '../../src/store/store.ts';
import { alice, all, bytesOf, maildirStore, message, temporaryDirectory } from './surroundings.ts';

/** What an idle session hears of what other programs do in the Maildir. */

let base: ReturnType<typeof temporaryDirectory>;
let store: MaildirStore;
let account: AccountStore;
let inbox: MailboxId;
const maildir = (): string => join(base.path, 'mail/example.org/alice/Maildir');

beforeEach(async () => {
  base = temporaryDirectory();
  store = maildirStore(base.path);
  account = await store.account(alice);
  inbox = (await account.mailbox('INBOX'))?.id ?? ('' as MailboxId);
});
afterEach(async () => {
  await store.close();
  base.remove();
});

/** Resolves to the first change of this kind; fails when none comes. */
function heard(type: Change['type'], work: () => void): Promise<Change> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`heard of no change: ${type}`)), 5000);
    const stop = account.watch((change) => {
      if (change.type !== type) return;
      clearTimeout(timer);
      stop();
      resolve(change);
    }, inbox);
    account.refresh(inbox).then(work, reject);
  });
}

test('mail dropped into new/, read, moved away: an idle session hears of each', async () => {
  const stop = account.watch(() => {}, inbox);
  const added = await heard('added', () =>
    writeFileSync(`${maildir()}/new/1.2.procmail`, 'Subject: hi\n\nthere\n'),
  );
  expect(added).toMatchObject({ mailbox: inbox, messages: [{ uid: 1, flags: [] }] });
  const name = (): string => readdirSync(`${maildir()}/new`)[0] ?? '';
  const flags = await heard('flags', () =>
    renameSync(`${maildir()}/new/${name()}`, `${maildir()}/cur/${name()}:2,RS`),
  );
  expect(flags).toMatchObject({ messages: [{ uid: 1, flags: ['\\Seen', '\\Answered'] }] });
  const gone = await heard('expunged', () => {
    for (const file of readdirSync(`${maildir()}/cur`)) unlinkSync(`${maildir()}/cur/${file}`);
  });
  expect(gone).toMatchObject({ uids: [1] });
  stop();
});

test('what we do ourselves is told once, not again when the file names follow', async () => {
  const changes: Change[] = [];
  const stop = account.watch((change) => changes.push(change), inbox);
  await account.refresh(inbox);
  const { uid } = await account.append(inbox, message('x'), { flags: [], internalDate: 0 });
  await account.setFlags(inbox, [uid], { mode: 'add', flags: ['\\Seen'] });
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(readdirSync(`${maildir()}/cur`)[0]).toMatch(/:2,S$/);
  await account.expunge(inbox, [uid]);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(changes.map(({ type }) => type)).toEqual(['added', 'flags', 'expunged']);
  stop();
});

test('without a watch the next look finds it', async () => {
  writeFileSync(`${maildir()}/new/1.2.procmail`, 'x');
  expect((await account.mailbox('INBOX'))?.total).toBe(1);
  const [file = ''] = readdirSync(`${maildir()}/new`);
  renameSync(`${maildir()}/new/${file}`, `${maildir()}/cur/${file}:2,F`);
  await account.refresh(inbox);
  expect((await all(account.messages(inbox, [{ first: 1, last: '*' }])))[0]?.flags).toEqual(['\\Flagged']);
});

test('a message that is renamed while it is read is read to its end', async () => {
  const big = 'A line of text that is long enough.\r\n'.repeat(20_000);
  const { uid } = await account.append(inbox, message(big), { flags: [], internalDate: 0 });
  const raw = await account.raw(inbox, uid);
  await account.setFlags(inbox, [uid], { mode: 'add', flags: ['\\Flagged'] });
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect((await bytesOf(raw)).toString()).toContain(big);
  const [file = ''] = readdirSync(`${maildir()}/cur`);
  renameSync(`${maildir()}/cur/${file}`, `${maildir()}/cur/${file}S`);
  expect((await bytesOf(raw)).length).toBe(raw.size);
  unlinkSync(`${maildir()}/cur/${file}S`);
  await expect(bytesOf(raw)).rejects.toMatchObject({ kind: 'expunged' });
});

test('big messages with bare LFs go out with CRLF, whole, in part, and as pieces', async () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i}`);
  writeFileSync(`${maildir()}/new/1.2.procmail`, `Subject: big\n\n${lines.join('\n')}\n`);
  await account.refresh(inbox);
  const expected = Buffer.from(`Subject: big\r\n\r\n${lines.join('\r\n')}\r\n`);
  const raw = await account.raw(inbox, 1 as Uid);
  expect(raw.size).toBe(expected.length);
  expect((await bytesOf(raw)).equals(expected)).toBe(true);
  expect(
    (await bytesOf(raw, { start: 100_001, end: 200_002 })).equals(expected.subarray(100_001, 200_002)),
  ).toBe(true);
  const part = await account.structure(inbox, 1 as Uid);
  expect((await bytesOf(raw, part.body)).toString()).toBe(`${lines.join('\r\n')}\r\n`);
  const copy = await account.append(inbox, raw, { flags: [], internalDate: 0 });
  expect((await bytesOf(await account.raw(inbox, copy.uid))).equals(expected)).toBe(true);
});

test('the index deleted under a running store: the service goes on, the next start rebuilds it', async () => {
  const { uid } = await account.append(inbox, message('x'), { flags: ['\\Seen'], internalDate: 0 });
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(join(maildir(), `../index.sqlite${suffix}`), { force: true });
  await account.setFlags(inbox, [uid], { mode: 'add', flags: ['\\Flagged'] });
  const next = await account.append(inbox, message('y'), { flags: [], internalDate: 0 });
  expect(next.uid).toBe(uid + 1);
  await store.close();
  store = maildirStore(base.path);
  account = await store.account(alice);
  const found = await all(account.messages(inbox, [{ first: 1, last: '*' }]));
  expect(found.map((m) => [m.uid, m.flags])).toEqual([
    [uid, ['\\Seen', '\\Flagged']],
    [next.uid, []],
  ]);
});

test('the index damaged under a running store: it is rebuilt and the call answered', async () => {
  for (let i = 0; i < 200; i++) await account.append(inbox, message(`${i}`), { flags: [], internalDate: 0 });
  await store.close();
  const index = join(maildir(), '../index.sqlite');
  const bytes = readFileSync(index);
  bytes.fill(0x5a, 4096 * 4);
  writeFileSync(index, bytes);
  store = maildirStore(base.path);
  account = await store.account(alice);
  const found = await all(account.messages(inbox, [{ first: 1, last: '*' }]));
  expect(found.map(({ uid }) => uid)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
});
