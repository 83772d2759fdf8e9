import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AccountReport, accountsWithMail, checkAccount } from '../../src/admin/store.ts';
import { openSqlite, type Sqlite } from '../../src/lib/sqlite.ts';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import type { AccountStore, Uid } from '../../src/store/store.ts';
import { alice, all, bytesOf, maildirStore, message, temporaryDirectory } from './surroundings.ts';

/** An account is put into every disorder we can think of; check finds it, repair mends it, and all mail is still there. */

let base: ReturnType<typeof temporaryDirectory>;
let maildir = '';
let index = '';

beforeEach(async () => {
  base = temporaryDirectory();
  maildir = join(base.path, 'mail/example.org/alice/Maildir');
  index = join(base.path, 'mail/example.org/alice/index.sqlite');
  await using(async (store, account) => {
    for (const key of ['a', 'b', 'c', 'd'])
      await store.deliver({
        account: alice,
        mailbox: 'INBOX',
        key,
        flags: key === 'b' ? ['\\Seen', 'Work'] : [],
        internalDate: 0,
        content: message(`text of ${key}`, key).pieces,
      });
    const inbox = await account.mailbox('INBOX');
    if (!inbox) throw new Error('no INBOX');
    await all(account.summaries(inbox.id, [1, 2, 3, 4] as Uid[]));
    await account.expunge(inbox.id, [4 as Uid]);
  });
});
afterEach(() => base.remove());

async function using<T>(work: (store: MaildirStore, account: AccountStore) => Promise<T>): Promise<T> {
  const store = maildirStore(base.path);
  try {
    return await work(store, await store.account(alice));
  } finally {
    await store.close();
  }
}

async function check(mode: 'look' | 'repair' = 'look'): Promise<AccountReport> {
  const store = maildirStore(base.path);
  try {
    const report = await checkAccount(store, base.path, alice, mode);
    if (!report) throw new Error('no mail');
    return report;
  } finally {
    await store.close();
  }
}

function sql(change: (db: Sqlite) => void): void {
  const db = openSqlite(index, { durability: 'normal' });
  change(db);
  db.close();
}

const inNew = (): string => readdirSync(join(maildir, 'new')).find((name) => name.endsWith('.1')) ?? '';

test('nothing is wrong: nothing is found, and nothing changes', async () => {
  const files = readdirSync(maildir, { recursive: true });
  expect(await check()).toEqual({ account: alice, mailboxes: 6, messages: 3, findings: [], more: 0 });
  expect(await check('repair')).toMatchObject({ findings: [], more: 0 });
  expect(readdirSync(maildir, { recursive: true })).toEqual(files);
});

const DISORDER: readonly [what: string, make: () => void, says: RegExp][] = [
  [
    'a row is missing',
    () => {
      sql((db) => db.exec('DELETE FROM messages WHERE id & 0xffffffff = 1'));
      rememberTimes();
    },
    /file not in the index: new\//,
  ],
  [
    'a file is gone, unnoticed',
    () => {
      unlinkSync(join(maildir, 'new', inNew()));
      rememberTimes();
    },
    /UID 1 has no file new\//,
  ],
  [
    'counters',
    () => sql((db) => db.exec("UPDATE folders SET total = 7, unseen = 9, size = 3 WHERE dir = ''")),
    /3 messages, counted 7/,
  ],
  [
    'UIDNEXT',
    () => sql((db) => db.exec("UPDATE folders SET uid_next = 2 WHERE dir = ''")),
    /UIDNEXT 2 is not above/,
  ],
  [
    'MODSEQ',
    () => sql((db) => db.exec('UPDATE messages SET modseq = 900000 WHERE id & 0xffffffff = 2')),
    /UID 2 has a MODSEQ above/,
  ],
  [
    'flags',
    () => sql((db) => db.exec('UPDATE messages SET flags = flags | 4 WHERE id & 0xffffffff = 2')),
    /UID 2 has other flags than its name/,
  ],
  [
    'a keyword without a meaning',
    () => sql((db) => db.exec('UPDATE messages SET flags = flags | (1 << 20) WHERE id & 0xffffffff = 2')),
    /UID 2 has (other flags|the keyword of letter p)/,
  ],
  [
    'rows of what is gone',
    () => sql((db) => db.exec("INSERT INTO headers SELECT id + 700, 'x' FROM messages LIMIT 1")),
    /1 rows of no message in headers/,
  ],
  [
    'rows of a mailbox that is gone',
    () => sql((db) => db.exec("INSERT INTO headers VALUES ((99 << 32) + 1, 'x')")),
    /headers has rows of 1 mailboxes/,
  ],
  [
    'there and expunged',
    () => sql((db) => db.exec('INSERT INTO tombstones SELECT id, 2 FROM messages LIMIT 1')),
    /UID 1 is there and expunged/,
  ],
  [
    'a size',
    () => sql((db) => db.exec('UPDATE messages SET size = size + 1 WHERE id & 0xffffffff = 3')),
    /UID 3 is \d+ octets, its name says/,
  ],
  [
    'a file that grew',
    () => appendFileSync(join(maildir, 'new', inNew()), 'more\r\n'),
    /UID \d has \d+ octets on disk/,
  ],
  ['no folder file', () => unlinkSync(join(maildir, '.Sent/facteur-uid')), /^$|folder file/],
  [
    'a broken folder file',
    () => writeFileSync(join(maildir, 'facteur-uid'), 'facteur-uid 1\nmailbox'),
    /^$|folder file/,
  ],
  [
    'a folder file with other keywords',
    () => {
      const path = join(maildir, 'facteur-uid');
      writeFileSync(path, readFileSync(path, 'utf8').replace('Work', 'Play'));
    },
    /^$|keywords/,
  ],
  [
    'a directory where the folder file should be',
    () => {
      rmSync(join(maildir, '.Sent/facteur-uid'));
      mkdirSync(join(maildir, '.Sent/facteur-uid'));
    },
    /^$|folder file|cannot be read/,
  ],
  ['the index is not a database', () => writeFileSync(index, 'x'.repeat(9000)), /not a database/],
];

/** As if the directories had not changed since we looked. */
function rememberTimes(): void {
  sql((db) => {
    const { mtimeMs: fresh } = statSync(join(maildir, 'new'));
    const { mtimeMs: cur } = statSync(join(maildir, 'cur'));
    db.prepare("UPDATE folders SET new_time = ?, cur_time = ?, certain = 1 WHERE dir = ''").run(fresh, cur);
  });
}

describe.each(DISORDER)('%s', (what, make, says) => {
  test('is found, mended, and all mail is there', async () => {
    make();
    const looked = await check();
    expect(looked.findings.map(({ problem }) => problem).join('\n')).toMatch(says);
    const store = maildirStore(base.path);
    await checkAccount(store, base.path, alice, 'repair');
    expect((await checkAccount(store, base.path, alice, 'look'))?.findings).toEqual([]);
    await store.close();
    await using(async (_store, account) => {
      const inbox = await account.mailbox('INBOX');
      if (!inbox) throw new Error('no INBOX');
      const texts: string[] = [];
      for (const uid of await account.uids(inbox.id))
        texts.push((await bytesOf(await account.raw(inbox.id, uid as Uid))).toString('latin1'));
      for (const key of what.startsWith('a file is gone') ? ['b', 'c'] : ['a', 'b', 'c'])
        expect(texts.filter((text) => text.includes(`text of ${key}\r\n`))).toHaveLength(1);
      expect(await account.vanished(inbox.id, 1 as never)).toContain(4);
    });
  });
});

test('what cannot be read is listed, the rest is checked and usable', async () => {
  rmSync(join(maildir, '.Junk/cur'), { recursive: true });
  writeFileSync(join(maildir, '.Junk/cur'), 'a file');
  sql((db) => db.exec("UPDATE folders SET total = 7 WHERE dir = ''"));
  const { findings } = await check();
  expect(findings).toContainEqual({
    mailbox: 'Junk',
    problem: 'cur/ cannot be read: ENOTDIR',
    state: 'found',
  });
  expect(findings).toContainEqual({ mailbox: 'INBOX', problem: '3 messages, counted 7', state: 'found' });
  const mended = (await check('repair')).findings;
  expect(mended).toContainEqual({ mailbox: 'INBOX', problem: '3 messages, counted 7', state: 'mended' });
  expect(mended.filter(({ mailbox, state }) => mailbox === 'Junk' && state === 'stays')).not.toEqual([]);
  // Its index lost as well: the others are there all the same, and take mail.
  rmSync(index);
  await using(async (store, account) => {
    expect((await account.mailboxes()).map(({ path }) => path)).toContain('Sent');
    const { uid } = await store.deliver({
      account: alice,
      mailbox: 'INBOX',
      key: 'late',
      flags: [],
      internalDate: 0,
      content: message('late').pieces,
    });
    expect(uid).toBeGreaterThan(4);
  });
  rmSync(join(maildir, '.Junk/cur'));
  expect((await check()).findings).toEqual([]);
});

test('a folder renamed by hand while we were away is no disorder', async () => {
  renameSync(join(maildir, '.Junk'), join(maildir, '.Spam'));
  expect((await check()).findings).toEqual([]);
});

test('reindex: the same UIDs, flags and ids, a higher MODSEQ, and what vanished is known', async () => {
  const state = (account: AccountStore): Promise<unknown> =>
    Promise.all([
      account.mailboxes().then((boxes) =>
        boxes.map(({ id, path, uidValidity, total, unseen, size }) => ({
          id,
          path,
          uidValidity,
          total,
          unseen,
          size,
        })),
      ),
      account
        .mailbox('INBOX')
        .then(async (inbox) =>
          (await all(account.messages(inbox?.id ?? ('' as never), [{ first: 1, last: '*' }]))).map(
            ({ uid, flags, emailId, internalDate, size }) => ({ uid, flags, emailId, internalDate, size }),
          ),
        ),
    ]);
  await using(async (store, account) => {
    const inbox = await account.mailbox('INBOX');
    await account.setFlags(inbox?.id ?? ('' as never), [3 as Uid], { mode: 'add', flags: ['\\Flagged'] });
    const before = await state(account);
    const steps: unknown[] = [];
    for await (const step of store.reindex(alice)) steps.push(step);
    expect(steps).toHaveLength(6);
    expect(steps).toContainEqual({ mailbox: 'INBOX', messages: 3, left: expect.any(Number) });
    expect(await state(account)).toEqual(before);
    const after = await account.mailbox('INBOX');
    expect(after?.highestModSeq).toBeGreaterThan(inbox?.highestModSeq ?? 0);
    expect(
      await account.vanished(inbox?.id ?? ('' as never), (inbox?.highestModSeq ?? 1) as never),
    ).toContain(4);
  });
  expect((await check()).findings).toEqual([]);
});

test('accounts are found by their directories', () => {
  mkdirSync(join(base.path, 'mail/example.org/%C3%A9lan+x/Maildir'), { recursive: true });
  mkdirSync(join(base.path, 'mail/example.org/nothing'));
  mkdirSync(join(base.path, 'mail/.removed/1-2-3'), { recursive: true });
  mkdirSync(join(base.path, `mail/example.org/Upper case/Maildir`), { recursive: true });
  expect(accountsWithMail(base.path)).toEqual([alice, 'élan+x@example.org']);
});
