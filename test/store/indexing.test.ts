import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import type { MaildirAccount } from '../../src/store/maildir/account.ts';
import { searchAll, thread, threadIds } from '../../src/store/maildir/arrange.ts';
import { copying, moving } from '../../src/store/maildir/copy.ts';
import { deliverAll } from '../../src/store/maildir/deliver.ts';
import { expunge } from '../../src/store/maildir/expunge.ts';
import { readSummaries } from '../../src/store/maildir/read.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import type { SearchCriteria } from '../../src/store/store.ts';
import {
  alice,
  maildirStore,
  message,
  openAccount,
  settleNames,
  temporaryDirectory,
} from './surroundings.ts';

let directory: ReturnType<typeof temporaryDirectory>;
let account: MaildirAccount;
beforeEach(() => {
  directory = temporaryDirectory();
  account = openAccount(directory.path);
});
afterEach(() => {
  account.close('clean');
  directory.remove();
});

function deliver(content: string, path = 'INBOX'): number {
  const [arrived] = deliverAll([
    {
      account,
      into: { path },
      flags: [],
      internalDate: 1000,
      content: [Buffer.from(content.replaceAll('\n', '\r\n'))],
      quota: null,
    },
  ]);
  if (!arrived || !('row' in arrived)) throw new Error('not delivered');
  return arrived.row.uid;
}

function count(table: string): number {
  return account.index.column(`SELECT count(*) FROM ${table}`)[0] ?? 0;
}

function found(criteria: SearchCriteria, path = 'INBOX'): number[] {
  return [...finish(searchAll(account, account.folderAt(path), criteria))];
}

function reopen(): void {
  account.close('clean');
  account = openAccount(directory.path);
}

describe('indexing behind the delivery', () => {
  test('a message is read once: summary, header, keys, words', () => {
    const uid = deliver('Subject: Grüße\nFrom: Ann <ann@example.org>\nMessage-ID: <1@x>\n\nGood morning\n');
    expect([count('keys'), count('summaries')]).toEqual([0, 0]);
    finish(account.indexer.run());
    for (const table of ['keys', 'sort_keys', 'summaries', 'headers', 'texts', 'indexed'])
      expect([table, count(table)]).toEqual([table, 1]);
    expect(account.indexer.hasWork).toBe(false);
    // No file is needed from here on.
    for (const name of readdirSync(account.placeOf(account.inbox, 0)))
      unlinkSync(join(account.placeOf(account.inbox, 0), name));
    expect(found({ text: 'ORNIN', in: 'body' })).toEqual([uid]);
    expect(found({ header: 'from', contains: 'ann@ex' })).toEqual([uid]);
    expect(readSummaries(account, account.inbox, [uid])).toHaveLength(1);
  });

  test('what was interrupted goes on where it stopped, from the index alone', () => {
    const uids = Array.from({ length: 100 }, (_, at) => deliver(`Subject: ${at}\n\nwordnumber${at}end\n`));
    const steps = account.indexer.run();
    while (count('keys') === 0) steps.next();
    steps.return(undefined);
    const done = count('keys');
    expect(done).toBeLessThan(100);
    reopen();
    expect(found({ text: 'wordnumber', in: 'body' })).toEqual(uids);
    expect(account.indexer.hasWork).toBe(true);
    finish(account.indexer.run());
    expect(count('keys')).toBe(100);
    expect(count('texts')).toBe(100);
    expect(found({ text: 'wordnumber77', in: 'body' })).toEqual([uids[77]]);
  });

  test('an index made anew is filled again', () => {
    const uid = deliver('Subject: one\n\nneedle\n');
    finish(account.indexer.run());
    account.rebuild(new Error('test'));
    expect(count('keys')).toBe(0);
    expect(found({ text: 'needle', in: 'body' })).toEqual([uid]);
    finish(account.indexer.run());
    expect(count('keys')).toBe(1);
    expect(found({ text: 'needle', in: 'body' })).toEqual([uid]);
  });

  test('copies and moves take over what is known, without reading a file; the last one takes it along', () => {
    const uid = deliver('Subject: one\n\nneedle\n');
    finish(account.indexer.run());
    const sent = account.folderAt('Sent');
    finish(copying(account, account.inbox, [uid], sent, null));
    const [pair] = finish(moving(account, account.inbox, [uid], sent));
    settleNames(account);
    for (const place of [0, 1] as const)
      for (const name of readdirSync(account.placeOf(sent, place)))
        writeFileSync(join(account.placeOf(sent, place), name), '');
    expect(found({ text: 'needle', in: 'body' })).toEqual([]);
    expect(found({ text: 'needle', in: 'body' }, 'Sent')).toEqual([1, pair?.to]);
    finish(account.indexer.run());
    expect(count('texts')).toBe(1);
    expunge(account, sent, [1]);
    finish(account.indexer.run());
    expect(count('texts')).toBe(1);
    expunge(account, sent, [pair?.to ?? 0]);
    finish(account.indexer.run());
    expect([count('texts'), count('keys'), count('forgotten'), count('summaries')]).toEqual([0, 0, 0, 0]);
  });

  test('a message that cannot be read stops nobody', () => {
    const first = deliver('Subject: one\n\nneedle\n');
    const [name = ''] = readdirSync(account.placeOf(account.inbox, 0));
    const path = join(account.placeOf(account.inbox, 0), name);
    const bytes = readFileSync(path);
    unlinkSync(path);
    mkdirSync(path);
    const second = deliver('Subject: two\n\nneedle\n');
    finish(account.indexer.run());
    expect(account.indexer.hasWork).toBe(false);
    expect(count('keys')).toBe(2);
    rmdirSync(path);
    writeFileSync(path, bytes);
    // It is looked at itself.
    expect(found({ text: 'needle', in: 'body' })).toEqual([first, second]);
    expect([...finish(thread(account, account.inbox, { all: [] }, 'references')).uids]).toEqual([
      first,
      second,
    ]);
  });

  test('text without end is cut, and still found', () => {
    const words = Array.from({ length: 30_000 }, (_, at) => `w${at}x`).join(' ');
    const uid = deliver(`Subject: long\n\n${words}\nlastword\n`);
    finish(account.indexer.run());
    expect(account.index.column('SELECT state FROM keys')).toEqual([1]);
    expect(found({ text: 'lastword', in: 'body' })).toEqual([uid]);
    expect(found({ text: 'nosuchword', in: 'body' })).toEqual([]);
  });

  test('a message whose bytes another program changed is indexed again', () => {
    const uid = deliver('Subject: one\n\nneedle\n');
    finish(account.indexer.run());
    const place = account.placeOf(account.inbox, 0);
    const [name = ''] = readdirSync(place);
    const before = statSync(join(place, name));
    writeFileSync(join(place, name), 'Subject: other\r\n\r\nsomething else is here\r\n');
    utimesSync(join(place, name), before.atime, before.mtime);
    account.indexer.forgotten(account.inbox.mailbox);
    account.index.transaction('later', () => account.index.prepare('DELETE FROM keys').run());
    account.index.transaction('later', () => account.index.prepare('DELETE FROM indexed').run());
    finish(account.indexer.run());
    expect(found({ text: 'something', in: 'body' })).toEqual([uid]);
  });

  test('the store does it by itself, and closes without waiting for it', async () => {
    const other = temporaryDirectory();
    const store = maildirStore(other.path);
    const mail = await store.account(alice);
    const inbox = await mail.mailbox('INBOX');
    if (!inbox) throw new Error('no INBOX');
    for (let at = 0; at < 20; at++)
      await mail.append(inbox.id, message(`text ${at}`), { flags: [], internalDate: 0 });
    const database = openSqlite(`${other.path}/mail/example.org/alice/index.sqlite`, {
      durability: 'normal',
      readonly: true,
    });
    const indexed = (): unknown => database.prepare('SELECT count(*) FROM keys').pluck().get();
    for (let waited = 0; indexed() !== 20 && waited < 10_000; waited += 50) await systemClock.sleep(50);
    expect(indexed()).toBe(20);
    await mail.append(inbox.id, message('one more'), { flags: [], internalDate: 0 });
    await store.close();
    expect(indexed()).toBe(20);
    database.close();
    other.remove();
  });
});

describe('thread ids (RFC 8474)', () => {
  const ids = (path = 'INBOX'): string[] => {
    const folder = account.folderAt(path);
    return finish(threadIds(account, folder, [...account.roster(folder).uids()])).map(([, id]) => id);
  };

  test('by References, In-Reply-To, and the subject of a reply that says no more', () => {
    deliver('Subject: lunch\nMessage-ID: <1@x>\n\n');
    deliver('Subject: Re: lunch\nMessage-ID: <2@x>\nIn-Reply-To: <1@x>\n\n');
    deliver('Subject: other\nMessage-ID: <3@x>\nReferences: <1@x> <2@x>\n\n');
    deliver('Subject: lunch\nMessage-ID: <4@x>\n\n');
    deliver('Subject: Re: lunch\nMessage-ID: <5@x>\n\n', 'Sent');
    deliver('Subject: nothing\n\n');
    deliver('Subject: nothing\n\n');
    const [one, two, three, four, five, six] = ids();
    expect([two, three]).toEqual([one, one]);
    expect(new Set([one, four, five, six]).size).toBe(4);
    expect(ids('Sent')).toEqual([four]);
    expect(one).toMatch(/^T[0-9a-f]{13}$/);
    expect(found({ threadId: one as never })).toEqual([1, 2, 3]);
    expect(found({ threadId: 'T0' as never })).toEqual([]);
  });

  test('they stay: across restarts, copies, and when the index is made anew', () => {
    deliver('Subject: lunch\nMessage-ID: <1@x>\n\n');
    deliver('Subject: Re: lunch\nMessage-ID: <3@x>\nReferences: <1@x> <2@x>\n\n');
    deliver('Subject: no id\n\n');
    deliver('Subject: Re: lunch\nMessage-ID: <2@x>\nReferences: <1@x>\n\n');
    const before = ids();
    finish(copying(account, account.inbox, [1, 2, 3, 4], account.folderAt('Sent'), null));
    expect(ids('Sent')).toEqual(before);
    reopen();
    expect(ids()).toEqual(before);
    account.rebuild(new Error('test'));
    expect(ids('Sent')).toEqual(before);
    expect(ids()).toEqual(before);
  });

  test('a thread that turns out to be another one’s part keeps its name, later messages join the older', () => {
    deliver('Subject: Re: x\nMessage-ID: <3@x>\nIn-Reply-To: <2@x>\n\n');
    const [first] = ids();
    deliver('Subject: Re: x\nMessage-ID: <2@x>\nReferences: <1@x>\n\n');
    deliver('Subject: x\nMessage-ID: <1@x>\n\n');
    expect(ids()[0]).toBe(first);
    expect(new Set(ids()).size).toBe(1);
  });
});

test('an index of version 1 is taken over, with its rows, and indexed behind', () => {
  const uid = deliver('Subject: old\nMessage-ID: <1@x>\n\nneedle\n');
  settleNames(account);
  readSummaries(account, account.inbox, [uid]);
  const summaries = account.index
    .prepare("SELECT id, sent, envelope, '(BODY)', body_structure, part FROM summaries")
    .all();
  const folders = account.index.prepare('SELECT * FROM folders').all();
  const messages = account.index.prepare('SELECT * FROM messages').all();
  account.close('clean');
  for (const suffix of ['', '-wal', '-shm'])
    if (readdirSync(directory.path).includes(`index.sqlite${suffix}`))
      unlinkSync(join(directory.path, `index.sqlite${suffix}`));
  const old = openSqlite(join(directory.path, 'index.sqlite'), { durability: 'normal' });
  old.exec(readFileSync(new URL('index-version-1.sql', import.meta.url), 'utf8'));
  const put = (table: string, rows: readonly unknown[][]): void => {
    for (const row of rows)
      old.prepare(`INSERT INTO ${table} VALUES (${row.map(() => '?').join(', ')})`).run(...row);
  };
  put('folders', folders);
  put('messages', messages);
  const [id] = (messages[0] ?? []) as number[];
  put('summaries', summaries);
  put('tombstones', [[Number(id) + 7, 3]]);
  old.exec("UPDATE meta SET value = 1 WHERE name = 'clean'");
  old.close();

  account = openAccount(directory.path);
  expect(account.inbox.total).toBe(1);
  expect(account.index.prepare('SELECT * FROM messages').all()).toEqual(messages);
  expect(count('tombstones')).toBe(1);
  expect(found({ text: 'needle', in: 'body' })).toEqual([uid]);
  finish(account.indexer.run());
  expect(count('keys')).toBe(1);
  expect(found({ text: 'eedl', in: 'body' })).toEqual([uid]);
  expect(account.index.column('SELECT body FROM summaries')).not.toEqual(['(BODY)']);
});
