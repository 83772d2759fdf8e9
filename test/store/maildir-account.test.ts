import {
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MaildirAccount, StoredChange } from '../../src/store/maildir/account.ts';
import { checkAccount } from '../../src/store/maildir/check.ts';
import { copying, moving } from '../../src/store/maildir/copy.ts';
import { type Arrived, deliverAll } from '../../src/store/maildir/deliver.ts';
import { expunge, vanished } from '../../src/store/maildir/expunge.ts';
import { splitName } from '../../src/store/maildir/file-name.ts';
import type { Folder } from '../../src/store/maildir/folder.ts';
import { keepHouse } from '../../src/store/maildir/housekeeping.ts';
import {
  createMailbox,
  deleteMailbox,
  listMailboxes,
  renamingMailbox,
} from '../../src/store/maildir/mailboxes.ts';
import { rowOf, rowsBetween } from '../../src/store/maildir/message-row.ts';
import { readMessage } from '../../src/store/maildir/read.ts';
import { claimRecent, setFlags } from '../../src/store/maildir/set-flags.ts';
import { finish } from '../../src/store/maildir/turns.ts';
import { type MailboxId, StoreError } from '../../src/store/store.ts';
import { message, openAccount, settleNames, temporaryDirectory } from './surroundings.ts';

let base: ReturnType<typeof temporaryDirectory>;
let account: MaildirAccount;
let changes: StoredChange[];

beforeEach(() => {
  base = temporaryDirectory();
  changes = [];
  account = openAccount(base.path, changes);
});
afterEach(() => {
  try {
    account.close('unclean');
  } catch {
    // Some tests end with it closed.
  }
  base.remove();
});

const maildir = (): string => `${base.path}/Maildir`;
const files = (folder = ''): string[] =>
  ['new', 'cur'].flatMap((place) =>
    readdirSync(`${maildir()}/${folder}/${place}`).map((name) => `${place}/${name}`),
  );
const inbox = (): Folder => account.folderAt('INBOX');
const rows = (folder = inbox()): { uid: number; flags: number; size: number; modSeq: number }[] =>
  rowsBetween(account.index, folder, 1, 2 ** 32 - 1);
const refresh = (folder = inbox()): void => account.refresh(account.folder(folder.mailbox));

function deliver(key: string, text = 'Hello', flags: readonly string[] = []): Arrived {
  const [arrived] = deliverAll([
    {
      account,
      into: { path: 'INBOX' },
      key,
      flags,
      internalDate: Date.UTC(2026, 0, 5, 6, 7, 8),
      content: message(text).pieces,
      quota: null,
    },
  ]);
  if (!arrived) throw new Error('nothing arrived');
  return arrived;
}
function deliverUid(key: string, text?: string, flags?: readonly string[]): number {
  const arrived = deliver(key, text, flags);
  if ('error' in arrived) throw arrived.error;
  return 'row' in arrived ? arrived.row.uid : arrived.uid;
}
function reopen(state: 'clean' | 'unclean' = 'unclean'): void {
  account.close(state);
  account = openAccount(base.path, changes);
}
/** As if the process had been killed: nothing is written any more. */
function crash(): void {
  reopen('unclean');
}
function expectSound(): void {
  settleNames(account);
  expect(checkAccount(account)).toEqual([]);
}

describe('on disk', () => {
  test('Maildir++: folders are directories with a dot, names in modified UTF-7, marked for maildrop', () => {
    createMailbox(account, 'Entwürfe/v1.2', null);
    expect(readdirSync(maildir())).toEqual(
      expect.arrayContaining(['cur', 'new', 'tmp', '.Sent', '.Entw&APw-rfe', '.Entw&APw-rfe.v1&AC4-2']),
    );
    expect(existsSync(`${maildir()}/.Sent/maildirfolder`)).toBe(true);
    expect(statSync(maildir()).mode & 0o077).toBe(0);
  });

  test('a delivered message is in new/, its bytes and its name as promised', () => {
    const uid = deliverUid('k-7');
    const [file = ''] = files();
    expect(file).toMatch(
      new RegExp(
        `^new/\\d+\\.M\\d+P\\d+Qk-7\\.mx\\.example\\.org,S=(\\d+),W=\\1,U=${inbox().uidValidity}\\.${uid}$`,
      ),
    );
    const path = `${maildir()}/${file}`;
    expect(readFileSync(path).equals(message('Hello').pieces[0] as Buffer)).toBe(true);
    expect(statSync(path).mtimeMs).toBe(Date.UTC(2026, 0, 5, 6, 7, 8));
    expect(readdirSync(`${maildir()}/tmp`)).toEqual([]);
  });

  test('flags stand in the name, keywords as letters that the folder file explains', () => {
    const uid = deliverUid('k', 'x', ['\\Seen', 'Work', '\\Answered']);
    expect(files()[0]).toMatch(/^cur\/.*:2,RSa$/);
    expect(readFileSync(`${maildir()}/facteur-uid`, 'utf8')).toContain('\nkeyword a Work\n');
    setFlags(account, inbox(), [uid], { mode: 'set', flags: ['\\Flagged', 'Play'] });
    settleNames(account);
    expect(files()[0]).toMatch(/^cur\/.*:2,Fb$/);
    expectSound();
  });

  test('letters that are not ours stay in the name', () => {
    deliverUid('k');
    const [file = ''] = files();
    renameSync(`${maildir()}/${file}`, `${maildir()}/cur/${file.slice(4)}:2,Pz`);
    refresh();
    setFlags(account, inbox(), [1], { mode: 'add', flags: ['\\Seen'] });
    settleNames(account);
    expect(files()[0]).toMatch(/:2,PSz$/);
  });

  test('the first session moves new mail to cur/, without flags', () => {
    deliverUid('a');
    expect(claimRecent(account, inbox())).toBe(1);
    settleNames(account);
    expect(files()[0]).toMatch(/^cur\/.*:2,$/);
    expect(claimRecent(account, inbox())).toBe(2);
    expectSound();
  });

  test('a whole file comes by hard link, keeps its bytes and gets its date', () => {
    const path = `${base.path}/spool`;
    writeFileSync(path, 'A: b\r\n\r\nc\r\n');
    const [arrived] = deliverAll([
      {
        account,
        into: { path: 'INBOX' },
        key: 'l',
        flags: [],
        internalDate: 1e12,
        content: [{ path, start: 0, end: 11 }],
        quota: null,
      },
    ]);
    expect(arrived && 'row' in arrived).toBe(true);
    expect(statSync(path).nlink).toBe(2);
    expect(statSync(`${maildir()}/${files()[0]}`).mtimeMs).toBe(1e12);
  });

  test('one that fails leaves nothing, and the others of its batch arrive', () => {
    const arrival = { account, into: { path: 'INBOX' }, flags: [], internalDate: 0, quota: null };
    const missing = [{ path: `${base.path}/none`, start: 0, end: 5 }];
    writeFileSync(`${base.path}/short`, 'abc');
    const short = [Buffer.from('x'), { path: `${base.path}/short`, start: 0, end: 50 }];
    const answers = deliverAll([
      { ...arrival, key: 'a', content: message('1').pieces },
      { ...arrival, key: 'b', content: missing },
      { ...arrival, key: 'c', content: short },
      { ...arrival, key: 'd', content: message('2').pieces },
      { ...arrival, key: 'e', into: { path: 'No/where' }, content: message('3').pieces },
    ]);
    expect(answers.map((answer) => 'error' in answer)).toEqual([false, true, true, false, true]);
    expect(files()).toHaveLength(2);
    expect(readdirSync(`${maildir()}/tmp`)).toEqual([]);
    expectSound();
  });
});

describe('other programs', () => {
  test('a file in new/ becomes a message, with the UID in its name, converted to CRLF when it has bare LFs', () => {
    writeFileSync(`${maildir()}/new/1700000000.123.elsewhere`, 'Subject: x\n\nline\nmixed\r\n');
    const date = new Date('2025-05-05T05:05:05Z');
    utimesSync(`${maildir()}/new/1700000000.123.elsewhere`, date, date);
    refresh();
    expect(files()).toEqual([`new/1700000000.123.elsewhere,S=24,W=27,U=${inbox().uidValidity}.1`]);
    const stored = readMessage(account, inbox(), 1);
    expect(Buffer.from(stored.bytes ?? []).toString()).toBe('Subject: x\r\n\r\nline\r\nmixed\r\n');
    expect(stored.size).toBe(27);
    expect(rowOf(account.index, inbox(), 1)).toMatchObject({
      size: 27,
      internalDate: date.getTime(),
      savedDate: 1.7e12,
    });
    expect(changes.at(-1)).toMatchObject({ type: 'added' });
    expectSound();
  });

  test('what a name says of sizes is believed only of our own files', () => {
    writeFileSync(`${maildir()}/cur/1.2.h,S=6,W=8:2,S`, 'a\n\nbb\n');
    refresh();
    expect(rows()[0]).toMatchObject({ size: 9, flags: 1 });
  });

  test('flags changed in the name, a message removed, a message moved', () => {
    for (const key of ['a', 'b', 'c']) deliverUid(key);
    const [a = '', b = '', c = ''] = files();
    const before = inbox().modSeq;
    renameSync(`${maildir()}/${a}`, `${maildir()}/cur/${a.slice(4)}:2,FS`);
    unlinkSync(`${maildir()}/${b}`);
    renameSync(`${maildir()}/${c}`, `${maildir()}/.Sent/cur/${c.slice(4)}:2,`);
    refresh();
    refresh(account.folderAt('Sent'));
    expect(rows().map(({ uid, flags }) => [uid, flags])).toEqual([[1, 5]]);
    expect(rows()[0]?.modSeq).toBeGreaterThan(before);
    expect(inbox()).toMatchObject({ total: 1, unseen: 0 });
    expect(vanished(account, inbox(), before)).toEqual([2, 3]);
    // It brought no UID along: U= of another folder means nothing here.
    expect(rows(account.folderAt('Sent')).map(({ uid }) => uid)).toEqual([1]);
    expect(files('.Sent')[0]).toContain(`,U=${account.folderAt('Sent').uidValidity}.1:2,`);
    expectSound();
  });

  test('flags of both sides are merged: what the other program changed, over what we changed meanwhile', () => {
    const uid = deliverUid('a', 'x', ['\\Seen', '\\Draft']);
    setFlags(account, inbox(), [uid], { mode: 'add', flags: ['\\Flagged'] });
    const [file = ''] = files();
    renameSync(`${maildir()}/${file}`, `${maildir()}/${file.replace(/:2,.*/, ':2,RS')}`);
    account.refresh(inbox());
    expect(rows()[0]?.flags).toBe(1 | 2 | 4);
    settleNames(account);
    expect(files()[0]).toMatch(/:2,FRS$/);
    expectSound();
  });

  test('a message that comes back under its old name is a new one: its UID was expunged', () => {
    deliverUid('a');
    const [file = ''] = files();
    renameSync(`${maildir()}/${file}`, `${base.path}/away`);
    refresh();
    expect(rows()).toEqual([]);
    renameSync(`${base.path}/away`, `${maildir()}/${file}`);
    refresh();
    expect(rows().map(({ uid }) => uid)).toEqual([2]);
    expectSound();
  });

  test('a copied file is a message of its own', () => {
    deliverUid('a');
    const [file = ''] = files();
    writeFileSync(
      `${maildir()}/cur/${file.slice(4).replace('.mx', 'x.mx')}:2,S`,
      readFileSync(`${maildir()}/${file}`),
    );
    refresh();
    expect(rows().map(({ uid }) => uid)).toEqual([1, 2]);
    expectSound();
  });

  test('one name in new/ and cur/: a move that was cut, or two messages', () => {
    deliverUid('a');
    deliverUid('b');
    const [a = '', b = ''] = files();
    linkSync(`${maildir()}/${a}`, `${maildir()}/cur/${a.slice(4)}:2,S`);
    writeFileSync(`${maildir()}/cur/${b.slice(4)}:2,S`, 'another');
    account.folderAt('INBOX').dirty = true;
    account.refresh(inbox());
    account.refresh(inbox());
    expect(rows().map(({ uid }) => uid)).toHaveLength(3);
    expect(files()).toHaveLength(3);
  });

  test('UIDs go by the time in the name, whatever the order of the directory', () => {
    for (const name of ['1700000009.a.h', '1700000001.z.h', '999.b.h', '1700000005.c.h'])
      writeFileSync(`${maildir()}/new/${name}`, name);
    refresh();
    expect(
      files()
        .map((file) => [/U=\d+\.(\d+)/.exec(file)?.[1], file.slice(4).split('.')[0]])
        .sort(),
    ).toEqual([
      ['1', '999'],
      ['2', '1700000001'],
      ['3', '1700000005'],
      ['4', '1700000009'],
    ]);
  });

  test('odd files: directories, dot files, names at the limit, letters without a colon', () => {
    mkdirSync(`${maildir()}/cur/directory`);
    writeFileSync(`${maildir()}/new/.hidden`, 'x');
    writeFileSync(`${maildir()}/new/${'n'.repeat(255)}`, 'long');
    writeFileSync(`${maildir()}/cur/odd;2,S`, 'odd');
    writeFileSync(`${maildir()}/cur/é ü:1,x`, 'odd');
    refresh();
    expect(rows()).toHaveLength(3);
    expect(files().every((file) => Buffer.byteLength(file.slice(4)) <= 255)).toBe(true);
    refresh();
    expect(rows()).toHaveLength(3);
  });

  test('folders made, renamed and removed by hand', () => {
    const sent = account.folderAt('Sent').mailbox;
    mkdirSync(`${maildir()}/.By.Hand/cur`, { recursive: true });
    mkdirSync(`${maildir()}/.INBOX/cur`, { recursive: true });
    mkdirSync(`${maildir()}/.Entwürfe/cur`, { recursive: true });
    mkdirSync(`${maildir()}/.not a maildir`);
    renameSync(`${maildir()}/.Sent`, `${maildir()}/.Gesendet`);
    writeFileSync(`${maildir()}/.By.Hand/cur/1.2.h:2,S`, 'x');
    account.treeTime = 0;
    account.refreshTree();
    refresh(account.folderAt('By/Hand'));
    expect(listMailboxes(account).map(({ path, selectable }) => [path, selectable])).toEqual([
      ['By', false],
      ['By/Hand', true],
      ['Entwürfe', true],
      ['Gesendet', true],
      ['INBOX', true],
    ]);
    expect(account.folderAt('Gesendet')).toMatchObject({ mailbox: sent, use: 'sent' });
    expect(rows(account.folderAt('By/Hand'))).toHaveLength(1);
    rmSync(`${maildir()}/.By.Hand`, { recursive: true });
    account.treeTime = 0;
    account.refreshTree();
    expect(() => account.folderAt('By/Hand')).toThrow('no such mailbox');
    expectSound();
  });

  test('a folder copied by hand gets an identity of its own', () => {
    mkdirSync(`${maildir()}/.Copy/cur`, { recursive: true });
    writeFileSync(`${maildir()}/.Copy/facteur-uid`, readFileSync(`${maildir()}/.Sent/facteur-uid`));
    account.treeTime = 0;
    account.refreshTree();
    const [sent, other] = [account.folderAt('Sent'), account.folderAt('Copy')];
    expect(other.mailbox).not.toBe(sent.mailbox);
    expect(other.uidValidity).not.toBe(sent.uidValidity);
    expectSound();
  });

  test('a message file that somebody edited is served as it is now', () => {
    deliverUid('a');
    writeFileSync(`${maildir()}/${files()[0]}`, 'A: b\r\n\r\nedited\r\n');
    expect(readMessage(account, inbox(), 1).size).toBe(16);
    expect(rows()[0]?.size).toBe(16);
    expect(inbox().size).toBe(16);
  });

  test('files that others rename while we copy, move and expunge', () => {
    for (const key of ['a', 'b', 'c', 'd']) deliverUid(key);
    const rename = (at: number): void => {
      const file = files()[at] ?? '';
      renameSync(`${maildir()}/${file}`, `${maildir()}/cur/${file.slice(4).replace(/:2,.*/, '')}:2,S`);
    };
    rename(0);
    const sent = account.folderAt('Sent');
    expect(finish(copying(account, inbox(), [1, 2], sent, null))).toHaveLength(2);
    for (let i = 0; i < 2; i++) rename(0);
    expect(finish(moving(account, inbox(), [1, 2], sent))).toHaveLength(2);
    rename(0);
    rename(1);
    expect(expunge(account, inbox(), [3, 4])).toEqual([3, 4]);
    expectSound();
    expect(files()).toEqual([]);
    expect(rows(sent)).toHaveLength(4);
  });

  test('nothing changed: looking costs no scan', () => {
    deliverUid('a');
    refresh();
    const folder = inbox();
    folder.certain = true;
    const times = folder.times;
    for (let i = 0; i < 5; i++) account.refresh(folder);
    // A scan would have noted the times anew, and left some doubt.
    expect(folder.times).toBe(times);
    expect(folder.certain).toBe(true);
  });
});

describe('what survives', () => {
  test('a clean restart: same UIDs, flags, MODSEQ and UIDNEXT, no gap', () => {
    for (const key of ['a', 'b']) deliverUid(key);
    setFlags(account, inbox(), [1], { mode: 'add', flags: ['\\Seen', 'Work'] });
    settleNames(account);
    const before = {
      rows: rows(),
      next: inbox().uidNext,
      modSeq: inbox().modSeq,
      validity: inbox().uidValidity,
    };
    reopen('clean');
    expect({
      rows: rows(),
      next: inbox().uidNext,
      modSeq: inbox().modSeq,
      validity: inbox().uidValidity,
    }).toEqual(before);
    expect(deliverUid('c')).toBe(3);
    expectSound();
  });

  test('the index deleted: UIDs, UIDVALIDITY, ids, flags, keywords, dates, keys are the same; MODSEQ rises', () => {
    deliverUid('a', 'a', ['\\Seen']);
    deliverUid('b');
    deliverUid('c');
    setFlags(account, inbox(), [2], { mode: 'add', flags: ['Work', '\\Draft'] });
    expunge(account, inbox(), [1]);
    finish(copying(account, inbox(), [2, 3], account.folderAt('Sent'), null));
    finish(renamingMailbox(account, account.folderAt('Sent').mailbox, 'Gesendet'));
    settleNames(account);
    const state = (): unknown => ({
      inbox: rows().map(({ modSeq: _, ...row }) => ({ ...row, id: 0 })),
      sent: rows(account.folderAt('Gesendet')).map(({ modSeq: _, ...row }) => ({
        ...row,
        id: 0,
        savedDate: 0,
      })),
      folders: listMailboxes(account).map(({ id, path, uidValidity, total, unseen, size, specialUse }) => ({
        id,
        path,
        uidValidity,
        total,
        unseen,
        size,
        specialUse,
      })),
    });
    const dates = (value: unknown): unknown =>
      JSON.parse(JSON.stringify(value, (key, v) => (key === 'savedDate' ? Math.floor(v / 1000) : v)));
    const before = dates(state());
    const modSeq = inbox().modSeq;
    account.close('clean');
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${base.path}/index.sqlite${suffix}`, { force: true });
    account = openAccount(base.path);
    expect(dates(state())).toEqual(before);
    expect(inbox().modSeq).toBeGreaterThan(modSeq);
    expect(vanished(account, inbox(), modSeq)).toContain(1);
    expect(deliverUid('b')).toBe(2);
    expect(deliverUid('new')).toBeGreaterThan(3);
    expectSound();
  });

  test('the index damaged: found out, rebuilt, loudly', () => {
    deliverUid('a');
    account.close('clean');
    writeFileSync(
      `${base.path}/index.sqlite`,
      'this is no database, but it is long enough to look like one'.repeat(100),
    );
    const said: string[] = [];
    const log = {
      child: () => log,
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (_: object, text: string) => said.push(text),
    };
    account = openAccount(base.path, changes, log);
    expect(said).toEqual(['mail index damaged, rebuilding it from the Maildir']);
    expect(rows().map(({ uid }) => uid)).toEqual([1]);
    expectSound();
  });

  test('an index of a newer version is refused, and left alone', () => {
    account.index.prepare('PRAGMA user_version = 99').run();
    account.close('clean');
    expect(() => openAccount(base.path)).toThrow('newer version');
    expect(existsSync(`${base.path}/index.sqlite`)).toBe(true);
    writeFileSync(`${maildir()}/facteur-uid`, 'facteur-uid 2\n');
    rmSync(`${base.path}/index.sqlite`);
    expect(() => openAccount(base.path)).toThrow('newer version');
  });

  test('a lost folder file is written again from the index, ahead of everything it said', () => {
    deliverUid('a');
    const { mailbox, uidValidity } = inbox();
    account.close('clean');
    writeFileSync(`${maildir()}/facteur-uid`, 'facteur-uid 1\nmailbox x\n');
    account = openAccount(base.path);
    expect(inbox()).toMatchObject({ mailbox, uidValidity });
    expect(rows().map(({ uid }) => uid)).toEqual([1]);
    expect(deliverUid('b')).toBeGreaterThan(1000);
    expectSound();
  });

  test('killed after the rename, before the index: the message is there once, the key is known', () => {
    deliverUid('a');
    account.index.prepare('DELETE FROM messages').run();
    account.index.prepare('DELETE FROM deliveries').run();
    account.index.prepare('UPDATE folders SET total = 0, unseen = 0, size = 0').run();
    crash();
    expect(rows().map(({ uid }) => uid)).toEqual([1]);
    expect(deliverUid('a')).toBe(1);
    expect(files()).toHaveLength(1);
    expectSound();
  });

  test('a power cut took the last commits: no UID and no MODSEQ comes again', () => {
    deliverUid('a');
    // A copy of the index as the disk had it, before what follows was written back.
    account.index.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all();
    const old = readFileSync(`${base.path}/index.sqlite`);
    const lost = deliverUid('b');
    const modSeq = inbox().modSeq;
    expunge(account, inbox(), [lost]);
    account.close('clean');
    writeFileSync(`${base.path}/index.sqlite`, old);
    account = openAccount(base.path);
    expect(deliverUid('c')).toBeGreaterThan(lost);
    expect(inbox().modSeq).toBeGreaterThan(modSeq);
    expectSound();
  });

  test('a torn file of a key is replaced, an empty one removed', () => {
    deliverUid('torn', 'a long text that will be cut');
    deliverUid('empty');
    const [torn = '', empty = ''] = files().sort((a, b) =>
      a.includes('Qtorn') ? -1 : b.includes('Qtorn') ? 1 : 0,
    );
    account.close('clean');
    rmSync(`${base.path}/index.sqlite`);
    writeFileSync(`${maildir()}/${torn}`, 'From: half');
    writeFileSync(`${maildir()}/${empty}`, '');
    account = openAccount(base.path);
    expect(rows()).toHaveLength(1);
    const [again, full] = [deliverUid('torn', 'whole'), deliverUid('empty', 'whole')];
    expect(rows().map(({ uid }) => uid)).toEqual([again, full]);
    expect(deliverUid('torn')).toBe(again);
    settleNames(account);
    expect(files()).toHaveLength(2);
    expectSound();
  });

  test('flag changes whose names had not followed are in the index, and follow after a crash', () => {
    deliverUid('a');
    setFlags(account, inbox(), [1], { mode: 'add', flags: ['\\Flagged'] });
    crash();
    expect(rows()[0]?.flags).toBe(4);
    settleNames(account);
    expect(files()[0]).toMatch(/^cur\/.*:2,F$/);
    // And when the name had followed, but the index did not hear of it:
    setFlags(account, inbox(), [1], { mode: 'set', flags: ['\\Seen'] });
    const [file = ''] = files();
    renameSync(`${maildir()}/${file}`, `${maildir()}/${file.replace(/:2,F$/, ':2,S')}`);
    crash();
    expect(rows()[0]?.flags).toBe(1);
    expectSound();
  });

  test('a copy that a crash cut in the middle is undone, a move is finished (RFC 9051 6.4.7)', () => {
    for (const key of ['a', 'b', 'c']) deliverUid(key);
    const cut = (kind: 'copy' | 'move'): void => {
      const sent = account.folderAt('Sent');
      const writing = account.writing.bind(account);
      let writes = 0;
      // All steps are done, none of them is in the index: so the disk is when the process is killed.
      account.writing = (durability, folders, work) => {
        if (++writes < 2) return writing(durability, folders, work);
        cpSync(base.path, `${base.path}-${kind}`, { recursive: true, preserveTimestamps: true });
        throw new Error('cut');
      };
      const run = (): unknown =>
        kind === 'copy'
          ? finish(copying(account, inbox(), [1, 2, 3], sent, null))
          : finish(moving(account, inbox(), [1, 2, 3], sent));
      expect(run).toThrow('cut');
      account.close('unclean');
      rmSync(base.path, { recursive: true });
      renameSync(`${base.path}-${kind}`, base.path);
      account = openAccount(base.path, changes);
    };
    cut('copy');
    expect(files('.Sent')).toEqual([]);
    expect(rows()).toHaveLength(3);
    cut('move');
    expect(rows()).toEqual([]);
    expect(rows(account.folderAt('Sent'))).toHaveLength(3);
    expectSound();
    expect(deliverUid('b')).toBeGreaterThan(0);
    expect(rows()).toEqual([]);
  });

  test.each([1, 2])('the disk is full at commit %i of a copy or a move: all is as it was', (commit) => {
    for (const key of ['a', 'b']) deliverUid(key);
    const sent = account.folderAt('Sent');
    const before = { files: files(), rows: rows() };
    const writing = account.writing.bind(account);
    for (const work of [
      () => finish(copying(account, inbox(), [1, 2], sent, null)),
      () => finish(moving(account, inbox(), [1, 2], sent)),
    ]) {
      let writes = 0;
      account.writing = (durability, folders, change) => {
        if (++writes === commit) throw new StoreError('disk-full', 'no room');
        return writing(durability, folders, change);
      };
      expect(work).toThrow('no room');
      account.writing = writing;
      expect(files('.Sent')).toEqual([]);
      expect({ files: files(), rows: rows() }).toEqual(before);
    }
    settleNames(account);
    reopen('unclean');
    expect(rows()).toHaveLength(2);
    expectSound();
  });

  test('the disk is full: expunging still makes room', () => {
    for (const key of ['a', 'b']) deliverUid(key);
    const write = account.write.bind(account);
    let writes = 0;
    account.write = (durability, folders, change) => {
      if (++writes === 1) throw new StoreError('disk-full', 'full');
      return write(durability, folders, change);
    };
    expect(expunge(account, inbox(), [1])).toEqual([1]);
    account.write = write;
    expect(files()).toHaveLength(1);
    expectSound();
  });

  test('a rename of several folders that a crash cut in the middle is finished', () => {
    createMailbox(account, 'a/b/c', null);
    const ids = ['a', 'a/b', 'a/b/c'].map((path) => account.folderAt(path).mailbox);
    account.close('clean');
    writeFileSync(`${maildir()}/facteur-rename`, '.a\t.z\n.a.b\t.z.b\n.a.b.c\t.z.b.c\n');
    renameSync(`${maildir()}/.a.b`, `${maildir()}/.z.b`);
    account = openAccount(base.path);
    expect(['z', 'z/b', 'z/b/c'].map((path) => account.folderAt(path).mailbox)).toEqual(ids);
    expectSound();
  });

  test('files of expunged messages that a crash left are removed, and do not come back', () => {
    for (const key of ['a', 'b']) deliverUid(key);
    const kept = files();
    expunge(account, inbox(), [1, 2]);
    for (const file of kept) writeFileSync(`${maildir()}/${file}`, 'x');
    crash();
    expect(rows()).toEqual([]);
    expectSound();
    expect(files()).toEqual([]);
  });

  test('leftovers: tmp/ after 36 hours, folders half made or half removed, forgotten keys', () => {
    const write = (name: string, hours: number): void => {
      writeFileSync(`${maildir()}/tmp/${name}`, '');
      const at = Date.now() / 1000 - hours * 3600;
      utimesSync(`${maildir()}/tmp/${name}`, at, at);
    };
    write('old', 37);
    write('young', 35);
    mkdirSync(`${maildir()}/..facteur-gone-Mx/cur`, { recursive: true });
    deliverUid('a');
    account.index.prepare('UPDATE deliveries SET at = 5').run();
    const settings = { rememberKeys: 86_400_000, expire: [] };
    const discard = (path: string): void => rmSync(path, { recursive: true });
    for (const _ of keepHouse(account, { settings, discard }));
    expect(readdirSync(`${maildir()}/tmp`)).toEqual(['young']);
    expect(readdirSync(maildir()).filter((name) => name.startsWith('..'))).toEqual([]);
    expect(account.index.prepare('SELECT * FROM deliveries').all()).toEqual([]);
  });

  test('a commit that fails after the files are in place: they are found, and not delivered twice', () => {
    deliverUid('a');
    const write = account.write.bind(account);
    account.write = () => {
      throw Object.assign(new Error('full'), { code: 'SQLITE_FULL' });
    };
    expect('error' in deliver('b')).toBe(true);
    account.write = write;
    expect(inbox().total).toBe(2);
    expect(deliverUid('b')).toBe(2);
    expect(rows().map(({ uid }) => uid)).toEqual([1, 2]);
    expectSound();
  });

  test('deleting a folder: its UIDVALIDITY is not given again, even when the index is lost', () => {
    const { uidValidity } = createMailbox(account, 'x', null);
    rmSync(deleteMailbox(account, account.folderAt('x').mailbox), { recursive: true });
    account.close('clean');
    rmSync(`${base.path}/index.sqlite`);
    account = openAccount(base.path);
    expect(createMailbox(account, 'x', null).uidValidity).toBeGreaterThan(uidValidity);
  });

  test('names are truth enough: every file name parses back to what the index has', () => {
    deliverUid('a', 'x', ['\\Seen']);
    const [file = ''] = files();
    expect(splitName(file.slice(4)).info).toBe('S');
    account.scan(inbox());
    expect(account.folders.get('Mnothing' as MailboxId)).toBeUndefined();
    expectSound();
  });
});
