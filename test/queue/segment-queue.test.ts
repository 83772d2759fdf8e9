import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Logger } from '../../src/lib/logger.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import { type Capacity, type Job, QueueFull, type QueueId } from '../../src/queue/queue.ts';
import { SegmentQueue, type SegmentQueueOptions } from '../../src/queue/segment-queue.ts';
import { ManualClock } from '../clock.ts';
import { diskFull, FaultyFiles } from '../faulty-files.ts';
import { add, all, bytes, collect, deferred, delivered, newMessage, recorder, silent } from './fixtures.ts';

let directory: string;
let clock: ManualClock;
let files: FaultyFiles;
let queue: SegmentQueue;
let trouble: string[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'queue-'));
  clock = new ManualClock();
  trouble = [];
  queue = await open();
});
afterEach(async () => {
  await queue.close();
  expect(trouble).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** Whatever the queue complains of fails the test. */
const complaints: Logger = {
  ...silent,
  warn: (fields, message) => void trouble.push(`${message} ${JSON.stringify(fields)}`),
  error: (fields, message) => void trouble.push(`${message} ${'err' in fields ? String(fields.err) : ''}`),
};

async function open(options: Partial<SegmentQueueOptions> = {}, log = complaints): Promise<SegmentQueue> {
  files = new FaultyFiles();
  return SegmentQueue.open({ directory, segmentSize: 128 * 1024, ...options }, { clock, log, files });
}

async function reopen(options: Partial<SegmentQueueOptions> = {}): Promise<void> {
  await queue.close();
  queue = await open(options);
}

const now = (): number => clock.now().getTime();
const claim = (limit = 100, capacity?: Capacity): Promise<readonly Job[]> =>
  queue.claim(now(), now() + 60_000, limit, capacity);
const ids = (jobs: readonly Job[]): QueueId[] => jobs.map((job) => job.message.id);
const spool = (): string[] => readdirSync(join(directory, 'spool'));
/** Into the index, out of memory. */
const indexed = (): Promise<void> => clock.advance(60_000);

test('a message added is claimed with what was said of it, and gone once delivered', async () => {
  let ready = 0;
  queue.onReady(() => ready++);
  const id = await add(
    queue,
    ['alice@mail.here', 'bob@far.example', 'carol@far.example'],
    'Subject: x\r\n\r\n',
    {
      envid: 'e1',
      ret: 'hdrs',
    },
  );
  expect(id).toMatch(/^[0-9a-z]{14}$/);
  expect(ready).toBe(1);
  expect(await queue.nextDue()).toBe(now());
  const jobs = await claim();
  expect(
    jobs.map(({ agent, nextHop, recipients }) => [agent, nextHop, recipients.map(({ index }) => index)]),
  ).toEqual([
    ['local', 'alice@mail.here', [0]],
    ['remote', 'far.example', [1, 2]],
  ]);
  expect(jobs[0]?.message).toMatchObject({
    id,
    envid: 'e1',
    ret: 'hdrs',
    size: 14,
    finalTrace: 0,
    queuedAt: now(),
  });
  expect(await claim()).toEqual([]);
  for (const job of jobs) await queue.settle(job, all(job, delivered()));
  expect(await queue.get(id)).toBeUndefined();
  expect(await collect(queue.list())).toEqual([]);
  expect(await queue.nextDue()).toBeUndefined();
});

test('mail delivered at once never touches the index', async () => {
  for (let n = 0; n < 20; n++) await add(queue, ['alice@mail.here']);
  for (const job of await claim()) await queue.settle(job, all(job, delivered()));
  const db = openSqlite(join(directory, 'index.sqlite'), { durability: 'normal', readonly: true });
  expect(db.pragma('data_version', { simple: true })).toBeDefined();
  expect(db.prepare('SELECT count(*) FROM message').pluck().get()).toBe(0);
  db.close();
});

test.each([0, 1, 1000, 256 * 1024, 256 * 1024 + 1, 3_000_000])(
  'a body of %i octets comes back as it went in',
  async (size) => {
    const body = Buffer.alloc(size, 'abcdefg\r\n');
    const draft = queue.draft();
    for (let at = 0; at < size; at += 60_000) await draft.write(body.subarray(at, at + 60_000));
    await draft.commit(newMessage(['bob@far.example']));
    expect(spool()).toEqual(size > 256 * 1024 ? [draft.id] : []);
    expect((await bytes(queue, draft.id)).equals(body)).toBe(true);
    await indexed();
    expect((await bytes(queue, draft.id)).equals(body)).toBe(true);
    await reopen();
    expect((await bytes(queue, draft.id)).equals(body)).toBe(true);
    expect((await queue.get(draft.id))?.size).toBe(size);
    const [job] = await claim();
    if (job) await queue.settle(job, all(job, delivered()));
    expect(spool()).toEqual([]);
  },
);

test('a big message is one piece that is a whole file, so that it can be linked into a Maildir', async () => {
  const id = await add(queue, ['alice@mail.here'], Buffer.alloc(400_000, 'x'));
  const { pieces } = await queue.raw(id);
  expect(pieces).toEqual([{ path: join(directory, 'spool', id), start: 0, end: 400_000 }]);
  expect(statSync(join(directory, 'spool', id)).size).toBe(400_000);
});

test('an aborted draft leaves nothing; abort after commit does nothing', async () => {
  const draft = queue.draft();
  await draft.write(Buffer.alloc(600_000));
  expect(spool()).toHaveLength(1);
  await draft.abort();
  await draft.abort();
  expect(spool()).toEqual([]);
  const other = queue.draft();
  await other.write(Buffer.alloc(600_000));
  await other.commit(newMessage(['a@b.example']));
  await other.abort();
  expect(await queue.get(other.id)).toBeDefined();
});

test('drafts together hold no more memory than allowed; beyond it they go to files early', async () => {
  await reopen({ draftsLimit: 100_000 });
  const drafts = Array.from({ length: 5 }, () => queue.draft());
  for (const draft of drafts) await draft.write(Buffer.alloc(30_000));
  expect(spool().length).toBe(2);
  for (const draft of drafts) await draft.commit(newMessage(['a@b.example']));
  for (const draft of drafts) expect((await bytes(queue, draft.id)).length).toBe(30_000);
  const later = queue.draft();
  await later.write(Buffer.alloc(30_000));
  expect(spool().length).toBe(2);
  await later.abort();
});

test('waiting recipients come back at their time, finished ones never', async () => {
  const id = await add(queue, ['a@one.example', 'b@two.example']);
  const [first, second] = await claim();
  if (first) await queue.settle(first, all(first, delivered(now())));
  if (second) await queue.settle(second, all(second, deferred(now() + 300_000)));
  expect(await claim()).toEqual([]);
  expect(await queue.nextDue()).toBe(now() + 300_000);
  await reopen();
  expect(await claim()).toEqual([]);
  expect(await queue.nextDue()).toBe(now() + 300_000);
  await clock.advance(300_000);
  const jobs = await claim();
  expect(jobs.map(({ nextHop }) => nextHop)).toEqual(['two.example']);
  expect(jobs[0]?.recipients[0]?.state).toMatchObject({ is: 'waiting', attempts: 1 });
  expect((await queue.get(id))?.recipients.map(({ state }) => state.is)).toEqual(['delivered', 'waiting']);
});

test.each(['in memory', 'in the index'])(
  'a lease %s runs out, and settling it late still counts what was delivered',
  async (where) => {
    const id = await add(queue, ['a@one.example']);
    if (where === 'in the index') await reopen();
    const [job] = await claim();
    expect(await claim()).toEqual([]);
    await clock.advance(59_000);
    expect(await claim()).toEqual([]);
    await clock.advance(1000);
    const [again] = await claim();
    expect(again?.message.id).toBe(id);
    // The first one comes late with "try later": the second one decides.
    if (job) await queue.settle(job, all(job, deferred(now() + 1)));
    expect((await queue.get(id))?.recipients[0]?.state).toMatchObject({ attempts: 0 });
    if (job) await queue.settle(job, all(job, delivered()));
    expect(await queue.get(id)).toBeUndefined();
    if (again) await queue.settle(again, all(again, delivered()));
  },
);

test('a lease given back without an outcome is due again at once', async () => {
  await add(queue, ['a@one.example']);
  const [job] = await claim();
  if (job) await queue.settle(job, []);
  expect(await claim()).toHaveLength(1);
});

test('after a crash nobody holds a lease', async () => {
  const id = await add(queue, ['a@one.example']);
  await indexed();
  expect(await claim()).toHaveLength(1);
  const left = mkdtempSync(join(tmpdir(), 'queue-'));
  cpSync(directory, left, { recursive: true });
  const next = await SegmentQueue.open({ directory: left }, { clock, log: complaints });
  expect(ids(await next.claim(now(), now() + 60_000, 10))).toEqual([id]);
  await next.close();
  rmSync(left, { recursive: true });
});

test.each(['in memory', 'in the index'])('next hops take turns %s', async (where) => {
  for (let n = 0; n < 30; n++) await add(queue, [`u${n}@big.example`]);
  for (const hop of ['b', 'c', 'd']) await add(queue, [`x@${hop}.example`]);
  if (where === 'in the index') await reopen();
  const jobs = await claim(8);
  expect(jobs).toHaveLength(8);
  expect(new Set(jobs.map(({ nextHop }) => nextHop))).toEqual(
    new Set(['big.example', 'b.example', 'c.example', 'd.example']),
  );
});

test.each(['in memory', 'in the index'])(
  'no more is claimed than there is capacity for, %s',
  async (where) => {
    for (let n = 0; n < 10; n++) await add(queue, [`u@far.example`]);
    for (let n = 0; n < 10; n++) await add(queue, [`u@other.example`]);
    for (let n = 0; n < 10; n++) await add(queue, [`u@mail.here`]);
    if (where === 'in the index') await reopen();
    const capacity: Capacity = {
      agent: (agent) => (agent === 'local' ? 4 : 5),
      nextHop: (_, hop) => (hop === 'far.example' ? 2 : 10),
    };
    const jobs = await claim(100, capacity);
    const count = (hop: string): number => jobs.filter(({ nextHop }) => nextHop === hop).length;
    expect([count('u@mail.here'), count('far.example'), count('other.example')]).toEqual([4, 2, 3]);
    expect(await claim(100, { agent: () => 0, nextHop: () => 10 })).toEqual([]);
    expect(await claim(100)).toHaveLength(21);
  },
);

test.each(['in memory', 'in the index'])(
  'a message with very many recipients at one host is several jobs, %s',
  async (where) => {
    const to = Array.from({ length: 250 }, (_, n) => `u${n}@far.example`);
    const id = await add(queue, to);
    if (where === 'in the index') await reopen();
    const jobs = [...(await claim()), ...(await claim()), ...(await claim())];
    expect(jobs.map(({ recipients }) => recipients.length)).toEqual([100, 100, 50]);
    for (const job of jobs) await queue.settle(job, all(job, delivered()));
    expect(await queue.get(id)).toBeUndefined();
  },
);

test('new mail and an old backlog share the claims', async () => {
  for (let n = 0; n < 20; n++) await add(queue, [`old${n}@old.example`]);
  await reopen();
  for (let n = 0; n < 20; n++) await add(queue, [`new${n}@new.example`]);
  const hops = (await claim(10)).map(({ nextHop }) => nextHop);
  expect(hops.filter((hop) => hop === 'old.example').length).toBeGreaterThanOrEqual(3);
  expect(hops.filter((hop) => hop === 'new.example').length).toBeGreaterThanOrEqual(3);
});

test('hold, release, retry and remove', async () => {
  const id = await add(queue, ['a@one.example']);
  const other = await add(queue, ['b@one.example']);
  expect(await queue.hold(id, 'looks odd')).toBe(true);
  expect(ids(await claim())).toEqual([other]);
  await reopen();
  expect((await queue.get(id))?.recipients[0]?.state).toEqual({
    is: 'held',
    attempts: 0,
    reason: 'looks odd',
  });
  expect(await queue.retry(id)).toBe(0);
  expect(await queue.release(id)).toBe(true);
  const jobs = await claim();
  expect(ids(jobs)).toContain(id);
  for (const job of jobs) await queue.settle(job, all(job, deferred(now() + 900_000)));
  expect(await claim()).toEqual([]);
  expect(await queue.retry(id)).toBe(1);
  expect(ids(await claim())).toEqual([id]);
  expect(await queue.retry()).toBe(1);
  expect(ids(await claim())).toEqual([other]);
  expect(await queue.remove(id)).toBe(true);
  expect(await queue.remove(id)).toBe(false);
  expect(await queue.get(id)).toBeUndefined();
  const nobody = 'nosuchmessage0' as QueueId;
  expect([await queue.hold(nobody, ''), await queue.release(nobody), await queue.retry(nobody)]).toEqual([
    false,
    false,
    0,
  ]);
  await expect(queue.raw(nobody)).rejects.toThrow('no message');
  await reopen();
  expect((await collect(queue.list())).map((message) => message.id)).toEqual([other]);
});

test('what is held during an attempt stays held when the attempt fails, and goes when it succeeds', async () => {
  const id = await add(queue, ['a@one.example']);
  const [job] = await claim();
  await queue.hold(id, 'wait');
  if (job) await queue.settle(job, all(job, deferred(now() + 1000)));
  expect((await queue.get(id))?.recipients[0]?.state.is).toBe('held');
  await queue.release(id);
  const [again] = await claim();
  await queue.hold(id, 'wait');
  if (again) await queue.settle(again, all(again, delivered()));
  expect(await queue.get(id)).toBeUndefined();
});

test('a message removed during an attempt does not come back', async () => {
  const id = await add(queue, ['a@one.example'], Buffer.alloc(300_000));
  const [job] = await claim();
  await queue.remove(id);
  if (job) await queue.settle(job, all(job, deferred(now())));
  expect(await claim()).toEqual([]);
  expect(spool()).toEqual([]);
  await reopen();
  expect(await queue.get(id)).toBeUndefined();
});

test('list tells of each message once, in order, wherever it is, and filters', async () => {
  const old = [];
  for (let n = 0; n < 450; n++) old.push(await add(queue, [`u${n}@old.example`]));
  await indexed();
  const fresh = await add(queue, ['alice@mail.here', 'bob@far.example']);
  await claim(5);
  expect((await collect(queue.list())).map(({ id }) => id)).toEqual([...old, fresh]);
  const found = async (filter: object): Promise<QueueId[]> =>
    (await collect(queue.list(filter))).map(({ id }) => id);
  expect(await found({ domain: 'far.example' })).toEqual([fresh]);
  expect(await found({ domain: 'old.example' })).toHaveLength(450);
  expect(await found({ account: 'alice@mail.here' })).toEqual([fresh]);
  await indexed();
  expect(await found({ domain: 'far.example' })).toEqual([fresh]);
  expect(await found({ account: 'alice@mail.here' })).toEqual([fresh]);
  expect(await found({ domain: 'nowhere.example' })).toEqual([]);
});

test('the index can be lost or damaged: everything is in the journal', async () => {
  const { log, lines } = recorder();
  const kept = await add(queue, ['a@one.example', 'b@two.example'], 'small');
  const big = await add(queue, ['c@one.example'], Buffer.alloc(500_000, 'b'));
  const gone = await add(queue, ['d@one.example']);
  for (const job of await claim())
    if (job.message.id === gone || job.nextHop === 'two.example')
      await queue.settle(job, all(job, delivered()));
    else await queue.settle(job, all(job, deferred(now() + 3_600_000, 3)));
  await indexed();
  const before = await collect(queue.list());
  expect(before.map(({ id }) => id)).toEqual([kept, big]);

  await queue.close();
  rmSync(join(directory, 'index.sqlite'));
  queue = await open();
  expect(await collect(queue.list())).toEqual(before);
  expect((await bytes(queue, big)).length).toBe(500_000);

  await queue.close();
  writeFileSync(join(directory, 'index.sqlite'), Buffer.alloc(20_000, 'no database'));
  queue = await open({}, log);
  expect(await collect(queue.list())).toEqual(before);
  expect(lines).toContainEqual(
    expect.objectContaining({ level: 'error', message: expect.stringContaining('damaged') }),
  );
});

test('a journal or index of a newer version is refused and left alone', async () => {
  await add(queue, ['a@one.example']);
  await queue.close();
  const db = openSqlite(join(directory, 'index.sqlite'), { durability: 'full' });
  db.pragma('user_version = 99');
  db.close();
  await expect(open()).rejects.toThrow(/index has format 99.*newer version of Facteur/);
  rmSync(join(directory, 'index.sqlite'));
  queue = await open();
  expect(await collect(queue.list())).toHaveLength(1);
});

test('an index without its journal is no empty queue', async () => {
  await add(queue, ['a@one.example']);
  await queue.close();
  rmSync(join(directory, 'journal'), { recursive: true });
  await expect(open()).rejects.toThrow(/journal.*is missing.*1 messages/);
  rmSync(join(directory, 'index.sqlite'));
  queue = await open();
});

test('spool files that nobody refers to are removed at start', async () => {
  await add(queue, ['a@one.example'], Buffer.alloc(300_000));
  const draft = queue.draft();
  await draft.write(Buffer.alloc(300_000));
  expect(spool()).toHaveLength(2);
  await reopen();
  expect(spool()).toHaveLength(1);
});

test('one message that waits for long does not keep the journal long', async () => {
  const stays = await add(queue, ['a@down.example'], 'x'.repeat(2000));
  const [job] = await claim();
  if (job) await queue.settle(job, all(job, deferred(now() + 86_400_000, 5)));
  for (let round = 0; round < 30; round++) {
    for (let n = 0; n < 10; n++) await add(queue, ['alice@mail.here'], Buffer.alloc(10_000, 'y'));
    for (const one of await claim()) await queue.settle(one, all(one, delivered()));
    await clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // 3 MB went through segments of 128 KB.
  expect(readdirSync(join(directory, 'journal')).length).toBeLessThan(12);
  expect((await bytes(queue, stays)).toString()).toBe('x'.repeat(2000));
  const state = (await queue.get(stays))?.recipients[0]?.state;
  expect(state).toMatchObject({ is: 'waiting', attempts: 5 });
  await queue.close();
  rmSync(join(directory, 'index.sqlite'));
  queue = await open();
  expect((await queue.get(stays))?.recipients[0]?.state).toEqual(state);
  expect((await bytes(queue, stays)).toString()).toBe('x'.repeat(2000));
});

test('a full disk: draft and commit say QueueFull, nothing is left over, and later it works again', async () => {
  const draft = queue.draft();
  files.fault = (step, path) => (step === 'write' && path.includes('spool') ? diskFull() : undefined);
  await expect(draft.write(Buffer.alloc(300_000))).rejects.toThrow(QueueFull);
  await expect(draft.commit(newMessage(['a@b.example']))).rejects.toThrow(QueueFull);
  expect(spool()).toEqual([]);
  files.fault = (step) => (step === 'write' ? diskFull() : undefined);
  await expect(add(queue, ['a@b.example'])).rejects.toThrow(QueueFull);
  files.fault = () => undefined;
  expect(trouble.splice(0).join()).toContain('ENOSPC');
  await add(queue, ['a@b.example']);
  await reopen();
  expect(await collect(queue.list())).toHaveLength(1);
});

test('a backlog does not stay in memory', async () => {
  const body = Buffer.alloc(2000, 'x');
  for (let round = 0; round < 6; round++) {
    await Promise.all(
      Array.from({ length: 500 }, (_, n) => add(queue, [`u${n}@host${n % 50}.example`], body)),
    );
    for (;;) {
      const jobs = await claim(500);
      if (jobs.length === 0) break;
      await Promise.all(jobs.map((job) => queue.settle(job, all(job, deferred(now() + 3_600_000)))));
    }
    await clock.advance(400);
  }
  await indexed();
  expect(queue.inMemory).toBeLessThan(50);
  expect(await queue.nextDue()).toBeGreaterThan(now());
  await clock.advance(3_600_000);
  expect(await claim(200)).toHaveLength(200);
});

test('ids sort by time and never go back, also when the clock does', async () => {
  const made = [queue.draft().id, queue.draft().id];
  await clock.advance(5);
  made.push(await add(queue, ['a@b.example']));
  clock.set('2020-01-01T00:00:00Z');
  made.push(queue.draft().id);
  await reopen();
  for (let n = 0; n < 3000; n++) made.push(queue.draft().id);
  expect(made).toEqual([...made].sort());
  expect(new Set(made).size).toBe(made.length);
});

test('a torn end of the journal loses only what was never acknowledged', async () => {
  const first = await add(queue, ['a@b.example']);
  await queue.close();
  const journal = join(directory, 'journal');
  const [used = ''] = readdirSync(journal).sort();
  const path = join(journal, used);
  // What a write looks like that was cut off: a record's head, and no more.
  const size = statSync(path).size;
  truncateSync(path, size);
  queue = await open();
  const second = await add(queue, ['c@d.example']);
  await reopen();
  expect((await collect(queue.list())).map(({ id }) => id)).toEqual([first, second]);
  expect(existsSync(path)).toBe(true);
});
