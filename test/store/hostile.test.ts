import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import { type AccountStore, type Mailbox, StoreError, type Uid } from '../../src/store/store.ts';
import { alice, all, bytesOf, maildirStore, message, temporaryDirectory } from './surroundings.ts';

/** What people, programs and enemies put into a Maildir: the store neither hangs nor stops, and hides no mail. */

let base: ReturnType<typeof temporaryDirectory>;
let store: MaildirStore;
let account: AccountStore;
beforeEach(async () => {
  base = temporaryDirectory();
  store = maildirStore(base.path);
  account = await store.account(alice);
});
afterEach(async () => {
  await store.close();
  base.remove();
});

const maildir = (...parts: string[]): string => join(base.path, 'mail/example.org/alice/Maildir', ...parts);
const fifo = (path: string): void => void execFileSync('mkfifo', [path]);
const put = (name: string, bytes: string | Uint8Array = 'Subject: x\n\nx\n', place = 'new'): void =>
  writeFileSync(maildir(place, name), bytes);

const reopen = async (between: () => void = () => {}): Promise<void> => {
  await store.close();
  between();
  store = maildirStore(base.path);
  account = await store.account(alice);
};

const box = async (path = 'INBOX'): Promise<Mailbox> => {
  const found = await account.mailbox(path);
  if (!found) throw new Error(`no ${path}`);
  return found;
};

/** Names of ours in the order of their UIDs. */
const byUid = (names: readonly string[]): string[] => {
  const uidOf = (name: string): number => Number(/,U=\d+\.(\d+)/.exec(name)?.[1]);
  return [...names].sort((a, b) => uidOf(a) - uidOf(b));
};

/** Every message, read: its octets must be as many as were announced. */
async function contents(path = 'INBOX'): Promise<string[]> {
  const { id } = await box(path);
  await account.refresh(id);
  const found: string[] = [];
  for (const { uid, size } of await all(account.messages(id, [{ first: 1, last: '*' }]))) {
    const bytes = await bytesOf(await account.raw(id, uid));
    expect(bytes.length).toBe(size);
    found.push(bytes.toString('latin1'));
  }
  return found;
}

/** Summaries and a search of all: nothing throws. Resolves to how many summaries there are. */
async function listed(path = 'INBOX'): Promise<number> {
  const { id } = await box(path);
  const uids = [...(await account.uids(id))] as Uid[];
  await account.search(id, { text: 'nowhere to be found', in: 'message' });
  await account.search(id, { header: 'subject', contains: 'x' });
  await all(account.headers(id, uids));
  return (await all(account.summaries(id, uids))).length;
}

describe('what is no message file', () => {
  test('pipes, sockets, directories, links in new/ are left alone', async () => {
    fifo(maildir('new/1.pipe'));
    const server = createServer().listen(maildir('new/2.socket'));
    mkdirSync(maildir('cur/3.directory:2,S'));
    writeFileSync(join(base.path, 'secret'), 'Subject: secret\n\nsecret\n');
    symlinkSync(join(base.path, 'secret'), maildir('new/4.link'));
    symlinkSync(maildir('nothing'), maildir('new/5.dangling'));
    put('6.message');
    expect(await contents()).toEqual(['Subject: x\r\n\r\nx\r\n']);
    server.close();
    expect(lstatSync(maildir('new/4.link')).isSymbolicLink()).toBe(true);
  });

  test.each(['small', 'big'])(
    'in the place of a message (%s), it neither hangs nor tells secrets',
    async (size) => {
      const text = size === 'big' ? 'A line.\r\n'.repeat(40_000) : 'x';
      const { id } = await box();
      for (let at = 0; at < 5; at++)
        await account.append(id, message(text), { flags: ['\\Seen'], internalDate: 0 });
      writeFileSync(join(base.path, 'secret'), `Subject: secret\r\n\r\n${text}`);
      const [pipe = '', directory = '', link = '', gone = ''] = byUid(readdirSync(maildir('cur')));
      for (const name of [pipe, directory, link, gone]) unlinkSync(maildir('cur', name));
      fifo(maildir('cur', pipe));
      mkdirSync(maildir('cur', directory));
      symlinkSync(join(base.path, 'secret'), maildir('cur', link));
      for (const uid of [1, 2, 3, 4] as Uid[]) {
        await expect(account.raw(id, uid).then((raw) => bytesOf(raw))).rejects.toThrow(StoreError);
        await expect(account.structure(id, uid)).rejects.toThrow(StoreError);
      }
      expect(await listed()).toBe(1);
    },
  );
});

describe('message files that change', () => {
  test.each([
    ['small', 'CRLF', 'x\r\n'],
    ['small', 'LF', 'x\n'],
    ['big', 'CRLF', 'A line.\r\n'.repeat(40_000)],
    ['big', 'LF', 'A line.\n'.repeat(40_000)],
  ])('%s ones with %s: what is said of them is true again', async (_, ends, text) => {
    const eol = ends === 'CRLF' ? '\r\n' : '\n';
    const whole = `Subject: x${eol}${eol}${text}`;
    for (const name of ['1.a', '2.b', '3.c', '4.d']) put(name, whole);
    expect(await contents()).toHaveLength(4);
    await listed();
    const { id } = await box();
    const files = readdirSync(maildir('new')).sort();
    appendFileSync(maildir('new', files[0] ?? ''), `more${eol}`);
    truncateSync(maildir('new', files[1] ?? ''), whole.length - 2);
    truncateSync(maildir('new', files[2] ?? ''), 0);
    writeFileSync(maildir('new', files[3] ?? ''), whole.replaceAll('x', 'y'));
    const open = async (uid: number): Promise<string> =>
      (await bytesOf(await account.raw(id, uid as Uid))).toString();
    const out = (text: string): string => text.replace(/(?<!\r)\n/g, '\r\n');
    expect(await open(1)).toBe(out(`${whole}more${eol}`));
    expect(await open(2)).toBe(out(whole.slice(0, -2)));
    expect(await open(3)).toBe('');
    expect(await open(4)).toBe(out(whole.replaceAll('x', 'y')));
    expect(await contents()).toHaveLength(4);
    expect(await listed()).toBe(4);
    await reopen();
    expect(await contents()).toHaveLength(4);
  });
});

describe('names of dropped files', () => {
  const field = fc.oneof(
    fc
      .tuple(
        fc.constantFrom('S', 'W', 'U', 'E', 'Q', 'X'),
        fc.constantFrom(
          '',
          '0',
          '1',
          '17',
          '99999',
          '-1',
          '9'.repeat(15),
          '9'.repeat(40),
          '1.1',
          '{v}.1',
          '{v}.2',
          '{v}.3',
          '{v}.999',
          '{v}.4294967295',
          '{v}.00',
          'zzzzzzzzffffffff',
          '0123456789abcdef',
          '..',
        ),
      )
      .map(([letter, value]) => `,${letter}=${value}`),
    fc.constantFrom(
      ':2,',
      ':2,S',
      ',',
      '.',
      ' ',
      'ä',
      '\u{1F600}',
      'x'.repeat(90),
      '\n',
      '\t',
      '%',
      ':1,',
      '=',
      '~',
    ),
  );
  const name = fc
    .tuple(
      fc.constantFrom(
        '1700000000.M1P1Qkey.host',
        '1700000000.M1P1Qkey.host',
        'a',
        '',
        '-1.x',
        '99999999999.1',
      ),
      fc.array(field, { maxLength: 6 }),
      fc.constantFrom('', ':2,', ':2,S', ':2,FRSTabcxyz', `:2,${'q'.repeat(60)}`, ':2,é😀', ':2,P,S'),
    )
    .map(([unique, fields, info]) => unique + fields.join('') + info);

  test('whatever they claim: each is there once, its octets are right, and nobody else changes', async () => {
    const { id, uidValidity } = await box();
    for (const text of ['one', 'two', 'three'])
      await account.append(id, message(text), { flags: [], internalDate: 0 });
    await account.expunge(id, [2 as Uid]);
    let count = 0;
    let serial = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(name, { minLength: 1, maxLength: 4 }),
        fc.constantFrom('new', 'cur'),
        async (names, place) => {
          const before = await all(account.messages(id, [{ first: 1, last: '*' }]));
          const { uidNext } = await box();
          for (const forged of new Set(names)) {
            const file = forged.replaceAll('{v}', String(uidValidity));
            if (file === '' || file.startsWith('.') || Buffer.byteLength(file) > 255) continue;
            if (existsSync(maildir(place, file))) continue;
            put(file, `Subject: x\n\n${++serial}\n`, place);
            count++;
          }
          await account.refresh(id);
          const after = await all(account.messages(id, [{ first: 1, last: '*' }]));
          expect(after.slice(0, before.length)).toEqual(before);
          expect(after).toHaveLength(count + 2);
          for (const { uid } of after.slice(before.length)) expect(uid).toBeGreaterThanOrEqual(uidNext);
        },
      ),
      { numRuns: 60 },
    );
    const texts = await contents();
    expect(new Set(texts).size).toBe(count + 2);
    const before = await all(account.messages(id, [{ first: 1, last: '*' }]));
    await reopen(() => {
      for (const suffix of ['', '-wal', '-shm']) rmSync(maildir(`../index.sqlite${suffix}`), { force: true });
    });
    const again = await all(account.messages(id, [{ first: 1, last: '*' }]));
    expect(again.map(({ uid, size, flags, emailId }) => [uid, size, flags, emailId])).toEqual(
      before.map(({ uid, size, flags, emailId }) => [uid, size, flags, emailId]),
    );
    expect(await contents()).toEqual(texts);
  });

  test('octets that are no UTF-8, and names as long as there can be', async () => {
    const bytes = (text: string): Buffer => Buffer.from(maildir('new', text), 'latin1');
    writeFileSync(bytes('1.h\xf6st'), 'Subject: a\n\na\n');
    writeFileSync(bytes('1.h\xf7st'), 'Subject: b\n\nb\n');
    writeFileSync(Buffer.from(maildir('cur', '2.\xff:2,FS'), 'latin1'), 'Subject: c\n\nc\n');
    put('l'.repeat(255), 'Subject: d\n\nd\n');
    put(`k:2,${'r'.repeat(200)}S`, 'Subject: e\n\ne\n', 'cur');
    expect((await contents()).sort()).toEqual(
      ['a', 'b', 'c', 'd', 'e'].map((text) => `Subject: ${text}\r\n\r\n${text}\r\n`),
    );
    const { id } = await box();
    const seen = await account.search(id, { flag: '\\Seen' });
    expect(seen).toHaveLength(2);
    await account.setFlags(id, seen, { mode: 'add', flags: ['\\Answered', 'Keyword'] });
    await reopen();
    expect(await account.search(id, { flag: 'Keyword' })).toEqual(seen);
  });

  test('one name in new/ and in cur/, and the same UID claimed by several', async () => {
    const { id } = await box();
    await account.append(id, message('first'), { flags: [], internalDate: 0 });
    const [ours = ''] = readdirSync(maildir('new'));
    put('1.twin', 'Subject: a\n\na\n');
    put('1.twin:2,S', 'Subject: b\n\nb\n', 'cur');
    put(`${ours}:2,`, 'Subject: c\n\nc\n', 'cur');
    put(`copy${ours.slice(ours.indexOf(','))}`, 'Subject: d\n\nd\n');
    put(`other${ours.slice(ours.indexOf(','))}:2,F`, 'Subject: e\n\ne\n', 'cur');
    await account.refresh(id);
    const texts = await contents();
    expect(texts).toHaveLength(6);
    expect(new Set(texts).size).toBe(6);
    await reopen();
    expect(await contents()).toEqual(texts);
  });
});

describe('times', () => {
  test('of files before 1970, far in the future, in whole seconds', async () => {
    const times = [-1, -1e10, 0, 1e9, 4e9, 1e12, 2 ** 53];
    times.forEach((time, at) => {
      put(`${at}.x`, `Subject: ${at}\n\nx\n`);
      try {
        utimesSync(maildir('new', `${at}.x`), time, time);
      } catch {
        // Not on this file system.
      }
    });
    expect(await contents()).toHaveLength(times.length);
    const { id } = await box();
    for (const { internalDate, savedDate } of await all(account.messages(id, [{ first: 1, last: '*' }])))
      for (const date of [internalDate, savedDate]) expect(new Date(date).getTime()).toBe(date);
    await account.search(id, { date: 'internal', before: 0 });
    const copies = await account.copy(
      id,
      [...(await account.uids(id))] as Uid[],
      (await account.create('Copy')).id,
    );
    expect(copies).toHaveLength(times.length);
    await reopen();
    expect(await contents('Copy')).toHaveLength(times.length);
  });
});

describe('folders', () => {
  test('what stands where a folder should be neither stops the account nor is made one', async () => {
    const { uidValidity } = await box();
    await account.create('A');
    const a = await box('A');
    await account.append(a.id, message('in A'), { flags: [], internalDate: 0 });
    await account.append((await box()).id, message('in INBOX'), { flags: [], internalDate: 0 });
    await reopen(() => {
      symlinkSync('.', maildir('.Loop'));
      symlinkSync('.A', maildir('.B'));
      symlinkSync(maildir('nothing'), maildir('.Dangling'));
      fifo(maildir('.Pipe'));
      writeFileSync(maildir('.File'), '');
      mkdirSync(maildir('.Parts'));
      symlinkSync('../cur', maildir('.Parts/cur'));
      symlinkSync('../new', maildir('.Parts/new'));
      mkdirSync(maildir('.Half/cur'), { recursive: true });
      mkdirSync(maildir('.Mixed/cur'), { recursive: true });
      writeFileSync(maildir('.Mixed/new'), '');
    });
    expect((await box()).uidValidity).toBe(uidValidity);
    expect((await box('A')).uidValidity).toBe(a.uidValidity);
    expect(await contents()).toHaveLength(1);
    expect(await contents('A')).toHaveLength(1);
    for (const { path, selectable } of await account.mailboxes())
      if (selectable && path !== 'Mixed') await contents(path);
    const paths = (await account.mailboxes()).map(({ path }) => path);
    expect(paths).toContain('Half');
    for (const path of ['Loop', 'B', 'Dangling', 'Pipe', 'File']) expect(paths).not.toContain(path);
    for (const path of ['Loop', 'B', 'Pipe', 'File'])
      await expect(account.create(path)).rejects.toThrow(StoreError);
    expect((await box()).uidValidity).toBe(uidValidity);
    await reopen();
    expect((await box()).uidValidity).toBe(uidValidity);
    expect(await contents('A')).toHaveLength(1);
  });

  test.each(['facteur-uid', 'subscriptions', 'facteur-rename'])(
    '%s as a pipe, a directory, a link to elsewhere: the account opens, and nothing outside is written',
    async (file) => {
      await account.append((await box()).id, message('x'), { flags: [], internalDate: 0 });
      const outside = join(base.path, 'outside');
      for (const replace of [
        () => fifo(maildir(file)),
        () => mkdirSync(maildir(file)),
        () => symlinkSync(outside, maildir(file)),
        () => fifo(maildir(`${file}.new`)),
        () => symlinkSync(outside, maildir(`${file}.new`)),
        () => mkdirSync(maildir(`${file}.new`)),
      ]) {
        writeFileSync(outside, 'precious');
        await reopen(() => {
          for (const path of [file, `${file}.new`])
            if (path !== 'facteur-uid') rmSync(maildir(path), { recursive: true, force: true });
          if (!String(replace).includes('.new')) rmSync(maildir(file), { recursive: true, force: true });
          replace();
        });
        expect(await contents()).toHaveLength(1);
        await account.subscribe(`Some ${Math.random()}`, 'yes');
        const { id } = await account.create(`Name ${Math.random()}`);
        await account.rename(id, `Name ${Math.random()}`);
        expect(readFileSync(outside, 'utf8')).toBe('precious');
      }
    },
  );

  test('two folders that changed places by hand', async () => {
    const [a, b] = [await account.create('A'), await account.create('B')];
    await account.append(a.id, message('in A'), { flags: [], internalDate: 0 });
    for (const running of [true, false]) {
      const swap = (): void => {
        renameSync(maildir('.A'), maildir('.C'));
        renameSync(maildir('.B'), maildir('.A'));
        renameSync(maildir('.C'), maildir('.B'));
      };
      if (running) swap();
      else await reopen(swap);
    }
    expect((await box('A')).id).toBe(a.id);
    expect((await box('B')).id).toBe(b.id);
    await reopen(() => {
      renameSync(maildir('.A'), maildir('.C'));
      renameSync(maildir('.B'), maildir('.A'));
      renameSync(maildir('.C'), maildir('.B'));
    });
    expect((await box('A')).id).toBe(b.id);
    expect((await box('B')).id).toBe(a.id);
    expect(await contents('B')).toHaveLength(1);
  });
});
