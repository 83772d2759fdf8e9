import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import { DailyWalk } from '../../src/store/daily-walk.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { AccountStore, Change, MailboxId, ModSeq, Uid } from '../../src/store/store.ts';
import { ManualClock } from '../clock.ts';
import { recordingLog } from '../tls/log.ts';
import { alice, message, temporaryDirectory } from './surroundings.ts';

/** What happens once a day, with the clock moved by hand. */

const DAY = 86_400_000;
const RULES = {
  expire: [
    { use: 'trash', after: '30d' },
    { folder: 'Trash/*', after: '7d' },
    { use: 'junk', after: '30d', messages: 3 },
    { folder: 'INBOX', messages: 250 },
  ],
};

let base: ReturnType<typeof temporaryDirectory>;
let clock: ManualClock;
let log: ReturnType<typeof recordingLog>;
let store: MaildirStore;
let account: AccountStore;
const home = (...names: string[]): string => join(base.path, 'mail/example.org/alice', ...names);

async function open(settings: object = RULES): Promise<void> {
  log = recordingLog();
  const options = { directory: base.path, settings: storeOptions.parse(settings), clock, log: log.log };
  store = new MaildirStore({ ...options, host: 'mx.example.org', pid: process.pid }, async () => null);
  account = await store.account(alice);
}

beforeEach(async () => {
  base = temporaryDirectory();
  // The real time: files have it too.
  clock = new ManualClock(Date.now());
  await open();
});
afterEach(async () => {
  await store.close();
  base.remove();
});

const id = async (path: string): Promise<MailboxId> => (await account.mailbox(path))?.id ?? ('' as MailboxId);
const uids = async (path: string): Promise<number[]> => [...(await account.uids(await id(path)))];
const append = async (path: string): Promise<void> =>
  void (await account.append(await id(path), message('x'), { flags: [], internalDate: 0 }));
const later = (days: number): void => clock.set(clock.now().getTime() + days * DAY);
const expired = (): unknown[] =>
  log.lines.filter((line) => line.message === 'expired mail removed').map((line) => line.fields);

describe('expiry', () => {
  test('by the date it came into the folder, each removal an expunge as any other', async () => {
    await account.create('Trash/old');
    for (const path of ['Trash', 'Trash/old', 'Sent']) await append(path);
    later(20);
    await append('Trash');
    await append('INBOX');
    await account.move(
      await id('Sent'),
      await account.search(await id('Sent'), { all: [] }),
      await id('Trash'),
    );
    const changes: Change[] = [];
    const stop = account.watch((change) => changes.push(change));
    expect(await store.keepHouse(alice)).toBe('kept');
    expect(await uids('Trash')).toEqual([1, 2, 3]);
    expect(await uids('Trash/old')).toEqual([]);
    later(11);
    const before = (await account.mailbox('Trash'))?.highestModSeq;
    expect(await store.keepHouse(alice)).toBe('kept');
    expect(await uids('Trash')).toEqual([2, 3]);
    expect(await uids('INBOX')).toEqual([1]);
    expect(changes).toMatchObject([
      { type: 'expunged', uids: [1] },
      { type: 'expunged', uids: [1] },
    ]);
    expect(await account.vanished(await id('Trash'), before ?? (0 as never))).toEqual([1]);
    expect(expired()).toEqual([{ expired: { 'Trash/old': 1 } }, { expired: { Trash: 1 } }]);
    stop();
  });

  test('the oldest of too many, in batches', async () => {
    const junk = await id('Junk');
    for (let i = 0; i < 5; i++) await append('Junk');
    await Promise.all(Array.from({ length: 505 }, () => append('INBOX')));
    await store.keepHouse(alice);
    expect(await uids('Junk')).toEqual([3, 4, 5]);
    expect((await uids('INBOX')).length).toBe(250);
    expect((await uids('INBOX'))[0]).toBe(256);
    expect(expired()).toEqual([{ expired: { INBOX: 255, Junk: 2 } }]);
    await account.refresh(junk);
    expect((await account.quota()).messages).toBe(253);
  });

  test('mail moved to the Trash yesterday stays when the index is made again, and when mutt moved it', async () => {
    await append('INBOX');
    await append('INBOX');
    later(-40);
    await append('INBOX');
    later(40);
    await account.move(
      await id('INBOX'),
      await account.search(await id('INBOX'), { all: [] }),
      await id('Trash'),
    );
    await store.close();
    // As if they had come long ago: names say when.
    for (const file of readdirSync(home('Maildir/.Trash/new')))
      renameSync(
        home('Maildir/.Trash/new', file),
        home('Maildir/.Trash/new', file.replace(/^\d+/, '1500000000')),
      );
    for (const suffix of ['', '-wal', '-shm']) rmSync(home(`index.sqlite${suffix}`), { force: true });
    await open();
    expect(await store.keepHouse(alice)).toBe('kept');
    expect((await uids('Trash')).length).toBe(3);
    later(31);
    await store.keepHouse(alice);
    expect(await uids('Trash')).toEqual([]);
  });

  test('asked for: a dry run counts what would go, and then it goes, whatever was done today', async () => {
    await store.keepHouse(alice);
    for (const path of ['Trash', 'Junk', 'Junk', 'Junk']) await append(path);
    later(31);
    for (let i = 0; i < 4; i++) await append('Junk');
    await account.create('Trash/sub');
    expect(await store.expire(alice, 'dry-run')).toEqual({ Trash: 1, Junk: 4 });
    expect(await store.expire(alice, 'dry-run')).toEqual({ Trash: 1, Junk: 4 });
    expect(await store.expire(alice, 'remove')).toEqual({ Trash: 1, Junk: 4 });
    expect(await uids('Junk')).toEqual([5, 6, 7]);
    expect(await store.expire(alice, 'remove')).toEqual({});
    expect(await store.expire('nobody@example.org' as AccountId, 'remove')).toBeNull();
  });

  test('nothing goes without a rule', async () => {
    await store.close();
    await open({});
    await append('Trash');
    later(4000);
    await store.keepHouse(alice);
    expect(await uids('Trash')).toEqual([1]);
    expect(expired()).toEqual([]);
  });
});

describe('once a day', () => {
  test('after a restart too: no day skipped, none twice; a clock that was ahead puts nothing off', async () => {
    expect(await store.keepHouse(alice)).toBe('kept');
    expect(await store.keepHouse(alice)).toBe('nothing');
    await store.close();
    await open();
    later(0.9);
    expect(await store.keepHouse(alice)).toBe('nothing');
    later(0.2);
    expect(await store.keepHouse(alice)).toBe('kept');
    writeFileSync(home('housekept'), `${clock.now().getTime() + 100 * DAY}\n`);
    expect(await store.keepHouse(alice)).toBe('kept');
    writeFileSync(home('housekept'), 'rubbish');
    expect(await store.keepHouse(alice)).toBe('kept');
    expect(Number(readFileSync(home('housekept'), 'utf8'))).toBe(clock.now().getTime());
  });

  test('tmp/ by the 36-hour rule, leftovers, and keys; also where a folder was removed by hand', async () => {
    await account.create('gone');
    const file = home('Maildir/tmp/1.2.x');
    writeFileSync(file, '');
    const old = clock.now().getTime() / 1000 - 37 * 3600;
    utimesSync(file, old, old);
    writeFileSync(home('Maildir/tmp/young'), '');
    mkdirSync(home('Maildir/..facteur-gone-M1/cur'), { recursive: true });
    rmSync(home('Maildir/.gone/tmp'), { recursive: true });
    expect(await store.keepHouse(alice)).toBe('kept');
    expect(readdirSync(home('Maildir/tmp'))).toEqual(['young']);
    await expect.poll(() => readdirSync(home('Maildir')).filter((name) => name.startsWith('..'))).toEqual([]);
  });

  test('tombstones beyond 50,000 go, the oldest first; who asks for them is told of all that is gone', async () => {
    const inbox = await id('INBOX');
    await append('INBOX');
    await account.expunge(inbox, [1 as Uid]);
    const since = (await account.mailbox('INBOX'))?.highestModSeq as ModSeq;
    await append('INBOX');
    await account.expunge(inbox, [2 as Uid]);
    await store.close();
    // As if 60,000 had been expunged one by one in between.
    const db = openSqlite(home('index.sqlite'), { durability: 'normal' });
    const [first] = db.prepare<[], { id: number }>('SELECT id FROM tombstones ORDER BY id').all();
    const base32 = (first?.id ?? 0) - 1;
    db.exec(`WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
      INSERT INTO tombstones SELECT ${base32} + i, ${since} FROM n WHERE i <= 9999
      UNION ALL SELECT ${base32} + i, ${since} + 1 FROM n WHERE i > 9999`);
    db.close();
    await open();
    expect((await account.vanished(inbox, since)).length).toBeGreaterThan(50_000);
    await store.keepHouse(alice);
    expect(await account.vanished(inbox, since)).toEqual([1, 2]);
    await store.close();
    const after = openSqlite(home('index.sqlite'), { durability: 'normal' });
    expect(after.prepare<[], { n: number }>('SELECT count(*) AS n FROM tombstones').get()?.n).toBeLessThan(
      50_001,
    );
    after.close();
    await open();
  });

  test('accounts without mail are not made', async () => {
    expect(await store.keepHouse('nobody@example.org' as AccountId)).toBe('nothing');
    expect(readdirSync(join(base.path, 'mail/example.org'))).toEqual(['alice']);
  });

  test('the walk goes to all accounts, one at a time, and on past one that fails', async () => {
    const names = Array.from({ length: 5 }, (_, i) => `user${i}@example.org` as AccountId);
    const kept: AccountId[] = [];
    let atOnce = 0;
    const walk = new DailyWalk({
      async *accounts() {
        yield* names;
      },
      async keepHouse(name) {
        if (++atOnce > 1) throw new Error('two at a time');
        await new Promise((resolve) => setImmediate(resolve));
        atOnce--;
        if (name === names[1]) throw new Error('disk on fire');
        if (kept.includes(name)) return 'nothing';
        kept.push(name);
        return 'kept';
      },
      clock,
      log: log.log,
    });
    await clock.advance(59_000);
    expect(kept).toEqual([]);
    await clock.advance(2000);
    expect(kept).toEqual(names.filter((_, i) => i !== 1));
    names.push('new@example.org' as AccountId);
    await clock.advance(3_600_000);
    expect(kept.at(-1)).toBe('new@example.org');
    expect(log.lines.filter((line) => line.message === 'daily housekeeping failed')).toHaveLength(2);
    await walk.close();
    expect(clock.sleeping).toBeGreaterThanOrEqual(0);
  });

  test('a walk that is closed waits for nobody', async () => {
    const walk = new DailyWalk({
      async *accounts() {
        yield alice;
      },
      keepHouse: () => new Promise(() => {}),
      clock,
      log: log.log,
    });
    await clock.advance(61_000);
    await walk.close();
  });
});
