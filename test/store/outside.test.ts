import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { linkIntoPlace } from '../../src/store/maildir/disk.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { AccountStore, Change, MailboxId, Uid } from '../../src/store/store.ts';
import { ManualClock } from '../clock.ts';
import { type Line, recordingLog } from '../tls/log.ts';
import { type FreshInbox, freshInbox } from './fresh-inbox.ts';
import { alice, all, bytesOf, maildirStore, message, silent } from './surroundings.ts';

/** What an idle session hears of what other programs do in the Maildir. */

let base: FreshInbox['base'];
let store: MaildirStore;
let account: AccountStore;
let inbox: MailboxId;
let maildir: string;

beforeEach(async () => {
  ({ base, store, account, inbox, maildir } = await freshInbox());
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
    writeFileSync(`${maildir}/new/1.2.procmail`, 'Subject: hi\n\nthere\n'),
  );
  expect(added).toMatchObject({ mailbox: inbox, messages: [{ uid: 1, flags: [] }] });
  const name = (): string => readdirSync(`${maildir}/new`)[0] ?? '';
  const flags = await heard('flags', () =>
    renameSync(`${maildir}/new/${name()}`, `${maildir}/cur/${name()}:2,RS`),
  );
  expect(flags).toMatchObject({ messages: [{ uid: 1, flags: ['\\Seen', '\\Answered'] }] });
  const gone = await heard('expunged', () => {
    for (const file of readdirSync(`${maildir}/cur`)) unlinkSync(`${maildir}/cur/${file}`);
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
  expect(readdirSync(`${maildir}/cur`)[0]).toMatch(/:2,S$/);
  await account.expunge(inbox, [uid]);
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(changes.map(({ type }) => type)).toEqual(['added', 'flags', 'expunged']);
  stop();
});

test('without a watch the next look finds it', async () => {
  writeFileSync(`${maildir}/new/1.2.procmail`, 'x');
  expect((await account.mailbox('INBOX'))?.total).toBe(1);
  const [file = ''] = readdirSync(`${maildir}/new`);
  renameSync(`${maildir}/new/${file}`, `${maildir}/cur/${file}:2,F`);
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
  const [file = ''] = readdirSync(`${maildir}/cur`);
  renameSync(`${maildir}/cur/${file}`, `${maildir}/cur/${file}S`);
  expect((await bytesOf(raw)).length).toBe(raw.size);
  unlinkSync(`${maildir}/cur/${file}S`);
  await expect(bytesOf(raw)).rejects.toMatchObject({ kind: 'expunged' });
});

test('big messages with bare LFs go out with CRLF, whole, in part, and as pieces', async () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => `line ${i}`);
  writeFileSync(`${maildir}/new/1.2.procmail`, `Subject: big\n\n${lines.join('\n')}\n`);
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
    rmSync(join(maildir, `../index.sqlite${suffix}`), { force: true });
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
  const index = join(maildir, '../index.sqlite');
  const bytes = readFileSync(index);
  bytes.fill(0x5a, 4096 * 4);
  writeFileSync(index, bytes);
  store = maildirStore(base.path);
  account = await store.account(alice);
  const found = await all(account.messages(inbox, [{ first: 1, last: '*' }]));
  expect(found.map(({ uid }) => uid)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
});

describe('folders made, renamed and removed by hand', () => {
  /** What is heard of the account until `count` changes to the list of mailboxes have come. */
  function tree(count: number): Promise<string[]> {
    return new Promise((resolve, reject) => {
      const told: string[] = [];
      const timer = setTimeout(() => reject(new Error(`heard only of ${told.join(', ')}`)), 5000);
      const stop = account.watch((change) => {
        if (change.type !== 'mailbox') return;
        told.push(`${change.what} ${change.path}`);
        if (told.length < count) return;
        clearTimeout(timer);
        stop();
        resolve(told);
      });
    });
  }

  test('are announced, and stand in the list, within a second', async () => {
    let heardOf = tree(1);
    mkdirSync(`${maildir}/.Caf&AOk-.old/cur`, { recursive: true });
    expect(await heardOf).toEqual(['created Café/old']);
    const made = await account.mailbox('Café/old');
    expect((await account.mailboxes()).some(({ path }) => path === 'Café/old')).toBe(true);
    heardOf = tree(1);
    renameSync(`${maildir}/.Caf&AOk-.old`, `${maildir}/.New`);
    expect(await heardOf).toEqual(['renamed New']);
    expect((await account.mailbox('New'))?.id).toBe(made?.id);
    heardOf = tree(1);
    rmSync(`${maildir}/.New`, { recursive: true });
    expect(await heardOf).toEqual(['deleted New']);
    expect(await account.mailbox('New')).toBeUndefined();
  });

  test('that come into being bit by bit too', async () => {
    const heardOf = tree(1);
    mkdirSync(`${maildir}/.Slow`);
    await new Promise((resolve) => setTimeout(resolve, 150));
    for (const part of ['tmp', 'new', 'cur']) mkdirSync(`${maildir}/.Slow/${part}`);
    expect(await heardOf).toEqual(['created Slow']);
  });

  test('ours are told once', async () => {
    const told: Change[] = [];
    const stop = account.watch((change) => told.push(change));
    const { id } = await account.create('a/b');
    await account.rename(id, 'c');
    await account.delete(id);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(told.map((change) => (change.type === 'mailbox' ? `${change.what} ${change.path}` : ''))).toEqual([
      'created a',
      'created a/b',
      'renamed c',
      'deleted c',
    ]);
    stop();
  });

  test('mail in a folder that was renamed under a session is still seen', async () => {
    const { id } = await account.create('box');
    const heardOf = tree(1);
    const added = new Promise<Change>((resolve) => {
      account.watch((change) => change.type === 'added' && resolve(change), id);
    });
    renameSync(`${maildir}/.box`, `${maildir}/.moved`);
    expect(await heardOf).toEqual(['renamed moved']);
    writeFileSync(`${maildir}/.moved/new/1.2.x`, 'A: b\n\nc\n');
    expect(await added).toMatchObject({ mailbox: id, messages: [{ uid: 1 }] });
  });
});

describe('where the system tells nothing', () => {
  const reopen = async (settings: object, watchDirectory?: typeof watch): Promise<Line[]> => {
    await store.close();
    const { log, lines } = recordingLog();
    store = maildirStore(base.path, log, null, settings, watchDirectory);
    account = await store.account(alice);
    inbox = (await account.mailbox('INBOX'))?.id ?? ('' as MailboxId);
    return lines;
  };

  test('a store that polls (NFS) sees it after pollInterval, folders too', async () => {
    await reopen({ notify: 'poll', delivery: 'link', pollInterval: '50ms' });
    const added = await heard('added', () => writeFileSync(`${maildir}/new/1.2.x`, 'A: b\n\nc\n'));
    expect(added).toMatchObject({ messages: [{ uid: 1 }] });
    const created = new Promise<Change>((resolve) => {
      account.watch((change) => change.type === 'mailbox' && resolve(change));
    });
    mkdirSync(`${maildir}/.Made/cur`, { recursive: true });
    expect(await created).toMatchObject({ what: 'created', path: 'Made' });
  });

  test('and at the next command', async () => {
    await reopen({ notify: 'poll', pollInterval: '1h' });
    const changes: Change[] = [];
    account.watch((change) => changes.push(change), inbox);
    await account.uids(inbox);
    writeFileSync(`${maildir}/new/1.2.x`, 'A: b\n\nc\n');
    await account.refresh(inbox);
    expect(changes).toMatchObject([{ type: 'added' }]);
    const [file = ''] = readdirSync(`${maildir}/new`);
    // Any command looks, though not more often than once a second.
    await new Promise((resolve) => setTimeout(resolve, 1050));
    renameSync(`${maildir}/new/${file}`, `${maildir}/cur/${file}:2,S`);
    await all(account.messages(inbox, [{ first: 1, last: '*' }]));
    expect(changes).toMatchObject([{ type: 'added' }, { type: 'flags', messages: [{ flags: ['\\Seen'] }] }]);
  });

  test('its watches used up: one line in the log, and it polls', async () => {
    let asked = 0;
    const usedUp = (() => {
      asked++;
      throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), {
        code: 'ENOSPC',
      });
    }) as unknown as typeof watch;
    const lines = await reopen({ pollInterval: '50ms' }, usedUp);
    const stop = account.watch(() => {}, (await account.mailbox('Sent'))?.id);
    const added = await heard('added', () => writeFileSync(`${maildir}/new/1.2.x`, 'A: b\n\nc\n'));
    expect(added).toMatchObject({ messages: [{ uid: 1 }] });
    stop();
    expect(asked).toBeGreaterThan(2);
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
    expect(lines.find(({ level }) => level === 'warn')?.message).toContain('max_user_watches');
  });

  test('delivery by link: never over a file, nothing left in tmp/', async () => {
    await reopen({ delivery: 'link' });
    await account.append(inbox, message('a'), { flags: ['\\Seen'], internalDate: 0 });
    await account.append(inbox, message('b'), { flags: [], internalDate: 0 });
    expect(readdirSync(`${maildir}/tmp`)).toEqual([]);
    expect([...(await account.uids(inbox))]).toEqual([1, 2]);
    writeFileSync(join(base.path, 'one'), 'one');
    writeFileSync(join(base.path, 'two'), 'two');
    expect(() => linkIntoPlace(join(base.path, 'one'), join(base.path, 'two'))).toThrow(/EEXIST/);
    // The link was made, only nobody heard of it.
    linkSync(join(base.path, 'one'), join(base.path, 'three'));
    linkIntoPlace(join(base.path, 'one'), join(base.path, 'three'));
    expect(readdirSync(base.path).sort()).toEqual(['mail', 'three', 'two']);
  });
});

test('who stops listening is not watched for any longer', async () => {
  const watched = new Set<string>();
  const counting = ((directory: string, listener: never) => {
    const watcher = watch(directory, listener);
    watched.add(directory);
    const close = watcher.close.bind(watcher);
    watcher.close = () => {
      watched.delete(directory);
      close();
    };
    return watcher;
  }) as unknown as typeof watch;
  await store.close();
  const clock = new ManualClock(Date.now());
  store = new MaildirStore(
    {
      directory: base.path,
      settings: storeOptions.parse({}),
      clock,
      log: silent,
      host: 'mx.example.org',
      pid: process.pid,
      watchDirectory: counting,
    },
    async () => null,
  );
  account = await store.account(alice);
  inbox = (await account.mailbox('INBOX'))?.id ?? ('' as MailboxId);
  const stops = [account.watch(() => {}, inbox), account.watch(() => {}, inbox), account.watch(() => {})];
  await account.refresh(inbox);
  expect([...watched].map((path) => path.slice(maildir.length)).sort()).toEqual(['', '/cur', '/new']);
  stops[0]?.();
  await account.uids(inbox);
  expect(watched.size).toBe(3);
  stops[1]?.();
  // For a while: somebody may come back.
  await clock.advance(1000);
  expect(watched.size).toBe(3);
  await clock.advance(10_000);
  expect(watched.size).toBe(1);
  stops[2]?.();
  await clock.advance(10_000);
  expect(watched.size).toBe(0);
});
