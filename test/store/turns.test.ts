import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { AccountStore, MailboxId, Uid } from '../../src/store/store.ts';
import { alice, message, silent, temporaryDirectory } from './surroundings.ts';

/** What takes long in one account is done in steps: other accounts go on, and nobody sees this one half done. */

const bob = 'bob@example.org' as AccountId;
const MANY = 300;

let base: ReturnType<typeof temporaryDirectory>;
let store: MaildirStore;
const open = (): MaildirStore =>
  new MaildirStore(
    {
      directory: base.path,
      settings: storeOptions.parse({}),
      clock: systemClock,
      log: silent,
      host: 'mx.example.org',
      pid: 1,
      turn: 0,
    },
    async () => null,
  );
const maildir = (): string => join(base.path, 'mail/example.org/alice/Maildir');

beforeEach(() => {
  base = temporaryDirectory();
  store = open();
});
afterEach(async () => {
  await store.close();
  base.remove();
});

function dropMany(): void {
  mkdirSync(join(maildir(), 'cur'), { recursive: true });
  for (let i = 0; i < MANY; i++)
    writeFileSync(join(maildir(), 'cur', `${1_600_000_000 + i}.${i}.foreign:2,S`), `Subject: ${i}\n\ntext\n`);
}

async function inboxOf(account: AccountStore): Promise<MailboxId> {
  return (await account.mailbox('INBOX'))?.id ?? ('' as MailboxId);
}

/** How often bob was answered before `work` was done. */
async function answersDuring(work: Promise<unknown>, look = (): unknown => undefined): Promise<number> {
  let answers = 0;
  let state: 'under way' | 'done' = 'under way';
  const done = work.finally(() => {
    state = 'done';
  });
  const other = await store.account(bob);
  const looks: unknown[] = [];
  while (state === 'under way') {
    await other.subscriptions();
    await new Promise((resolve) => setImmediate(resolve));
    answers++;
    looks.push(look());
  }
  await done;
  await Promise.all(looks);
  return answers;
}

test('mail that another program brought: other accounts are answered meanwhile, this one when all of it is there', async () => {
  const account = await store.account(alice);
  const inbox = await inboxOf(account);
  dropMany();
  const seen = Promise.all([
    account.refresh(inbox),
    account.uids(inbox),
    account.append(inbox, message('after'), { flags: [], internalDate: 0 }),
    store.deliver({
      account: alice,
      mailbox: 'INBOX',
      key: 'k',
      flags: [],
      internalDate: 0,
      content: message('delivered').pieces,
    }),
  ]);
  expect(await answersDuring(seen)).toBeGreaterThan(5);
  const [, uids] = await seen;
  expect([...uids].slice(0, MANY)).toEqual(Array.from({ length: MANY }, (_, at) => at + 1));
  const all = await account.uids(inbox);
  expect(all).toHaveLength(MANY + 2);
  expect(new Set(all).size).toBe(MANY + 2);
});

test('an account that is being opened, and an index that is made again', async () => {
  dropMany();
  expect(await answersDuring(store.account(alice))).toBeGreaterThan(5);
  const account = await store.account(alice);
  const inbox = await inboxOf(account);
  const uids = [...(await account.uids(inbox))];
  expect(uids).toHaveLength(MANY);
  await store.close();
  for (const name of readdirSync(join(maildir(), '..')))
    if (name.startsWith('index.sqlite')) rmSync(join(maildir(), '..', name));
  store = open();
  const again = store.account(alice).then((opened) => opened.uids(inbox));
  expect(await answersDuring(again)).toBeGreaterThan(5);
  expect([...(await again)]).toEqual(uids);
});

test('COPY and MOVE of many: all or nothing is seen', async () => {
  const account = await store.account(alice);
  const inbox = await inboxOf(account);
  dropMany();
  await account.refresh(inbox);
  const uids = [...(await account.uids(inbox))] as Uid[];
  const sent = (await account.mailbox('Sent'))?.id ?? inbox;
  const archive = (await account.mailbox('Archive'))?.id ?? inbox;
  const seen = new Set<number>();
  const look = async (): Promise<void> => {
    seen.add((await account.uids(sent)).length);
  };
  const copied = account.copy(inbox, uids, sent);
  expect(await answersDuring(copied, look)).toBeGreaterThan(5);
  await look();
  expect([0, MANY]).toEqual(expect.arrayContaining([...seen]));
  const moved = account.move(inbox, uids, archive);
  expect(await answersDuring(moved)).toBeGreaterThan(5);
  expect([...(await account.uids(inbox))]).toEqual([]);
  expect(await account.uids(archive)).toHaveLength(MANY);
});
