import { closeSync, openSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import { type Arrived, deliverAll } from '../../src/store/maildir/deliver.ts';
import { type MailStore, StoreError } from '../../src/store/store.ts';
import { alice, maildirStore, message, openAccount, temporaryDirectory } from './surroundings.ts';

/** What the disk does to one account: its mail waits and is there once in the end, and nobody else notices. */

let base: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  base = temporaryDirectory();
});
afterEach(() => base.remove());

const bob = 'bob@example.org' as AccountId;
const deliverTo = (store: MailStore, account: AccountId, key: string): Promise<unknown> =>
  store.deliver({
    account,
    mailbox: 'INBOX',
    key,
    flags: [],
    internalDate: 0,
    content: message(key).pieces,
  });

test('a mailbox that cannot be written refuses its mail; others in the same batch get theirs', async () => {
  const store = maildirStore(base.path);
  for (const account of [alice, bob]) await store.account(account);
  const temporary = join(base.path, 'mail/example.org/alice/Maildir/tmp');
  rmSync(temporary, { recursive: true });
  writeFileSync(temporary, '');
  const [hers, his] = await Promise.allSettled([deliverTo(store, alice, 'a'), deliverTo(store, bob, 'b')]);
  expect(hers).toMatchObject({ status: 'rejected', reason: { code: 'ENOTDIR' } });
  expect(his?.status).toBe('fulfilled');
  await store.close();
});

test('no room for the index, time and again: the message is there once when there is room', () => {
  const account = openAccount(base.path);
  const deliver = (): Arrived | undefined =>
    deliverAll([
      {
        account,
        into: { path: 'INBOX' },
        key: 'again',
        flags: [],
        internalDate: 0,
        content: message('Hello').pieces,
        quota: null,
      },
    ])[0];
  const write = account.write.bind(account);
  account.write = () => {
    throw new StoreError('disk-full', 'full');
  };
  for (let attempt = 0; attempt < 3; attempt++)
    expect(deliver()).toMatchObject({ error: { kind: 'disk-full' } });
  account.write = write;
  expect(deliver()).toMatchObject({ uid: 1 });
  expect(readdirSync(`${base.path}/Maildir/new`)).toHaveLength(1);
  expect(account.inbox.total).toBe(1);
  account.close('clean');
});

test.each(['folders', 'messages', 'intents', 'deliveries'])(
  'the index damaged where it keeps its %s: made again when the account is opened',
  async (table) => {
    const store = maildirStore(base.path);
    for (const key of ['a', 'b']) await deliverTo(store, alice, key);
    await store.close();
    const path = join(base.path, 'mail/example.org/alice/index.sqlite');
    const db = openSqlite(path, { durability: 'full' });
    db.prepare("UPDATE meta SET value = 0 WHERE name = 'clean'").run();
    const root = Number(db.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(table));
    const size = Number(db.pragma('page_size', { simple: true }));
    db.close();
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(size, 0x5a), 0, size, (root - 1) * size);
    closeSync(file);
    const again = maildirStore(base.path);
    expect(await deliverTo(again, alice, 'a')).toMatchObject({ uid: 1 });
    expect(await deliverTo(again, alice, 'c')).toMatchObject({ uid: expect.any(Number) });
    expect((await (await again.account(alice)).mailbox('INBOX'))?.total).toBe(3);
    await again.close();
  },
);
