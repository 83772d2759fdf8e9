import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RawMessage } from '../../src/mail/raw-message.ts';
import { queueOptions } from '../../src/queue/options.ts';
import type { DeliveryAgent, Job, NewMessage, Outcome, QueuedMessage } from '../../src/queue/queue.ts';
import { Scheduler, type SchedulerOptions } from '../../src/queue/scheduler.ts';
import { SegmentQueue } from '../../src/queue/segment-queue.ts';
import { ManualClock } from '../clock.ts';
import { add, collect, recorder } from './fixtures.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DEFAULTS: SchedulerOptions = { ...queueOptions.parse({}), hostname: 'mx.example.org', jitter: 0 };

type Answer = (job: Job, signal: AbortSignal) => Promise<readonly Outcome[]> | readonly Outcome[];

let directory: string;
let clock: ManualClock;
let store: SegmentQueue;
let scheduler: Scheduler;
let attempts: { at: number; job: Job }[];
let reports: { message: NewMessage; text: string }[];
let answers: Record<Job['agent'], Answer>;
let submit: (message: NewMessage, raw: RawMessage) => Promise<void>;
let lines: ReturnType<typeof recorder>['lines'];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'scheduler-'));
  clock = new ManualClock('2026-03-01T12:00:00Z');
  attempts = [];
  reports = [];
  answers = { local: say('delivered'), remote: say('delivered') };
  submit = async (message, raw) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of raw.read()) chunks.push(chunk);
    reports.push({ message, text: Buffer.concat(chunks).toString() });
  };
});
afterEach(async () => {
  await scheduler.close(0);
  await store.close();
  rmSync(directory, { recursive: true });
});

async function start(options: Partial<SchedulerOptions> = {}): Promise<void> {
  const record = recorder();
  lines = record.lines;
  store = await SegmentQueue.open(
    { directory: join(directory, 'queue'), segmentSize: 256 * 1024 },
    { clock, log: record.log },
  );
  const agent = (name: Job['agent']): DeliveryAgent => ({
    name,
    async deliver(job, raw, signal) {
      attempts.push({ at: clock.now().getTime(), job });
      expect(raw.size).toBe(job.message.size);
      return answers[name](job, signal);
    },
  });
  scheduler = new Scheduler(
    { ...DEFAULTS, ...options },
    {
      store,
      agents: { local: agent('local'), remote: agent('remote') },
      clock,
      log: record.log,
      submit: (message, raw) => submit(message, raw),
      random: () => 0.5,
    },
  );
  scheduler.start();
}

function say(
  is: 'delivered' | 'relayed' | 'expanded' | 'deferred' | 'failed',
  more: Partial<Outcome> = {},
): Answer {
  const reply = {
    delivered: { code: 250, enhanced: '2.0.0', text: 'ok' },
    relayed: { code: 250, enhanced: '2.0.0', text: 'ok' },
    expanded: { code: 250, enhanced: '2.0.0', text: 'ok' },
    deferred: { code: 451, enhanced: '4.7.1', text: 'Greylisted,\nplease come back' },
    failed: { code: 550, enhanced: '5.1.1', text: 'no such user' },
  } as const;
  return (job) =>
    job.recipients.map(({ index }) => ({
      index,
      is,
      reply: reply[is],
      ...(job.agent === 'remote' && { remoteMta: `mx.${job.nextHop}` }),
      ...more,
    })) as Outcome[];
}

/** Waits for what takes real time: files, syncs. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let n = 0; n < 2000; n++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect.fail(`did not happen: ${what.toString()}`);
}

/** The queue has settled everything and sleeps until the next time. */
async function quiet(): Promise<void> {
  await until(() => scheduler.running === 0);
  for (let n = 0; n < 10; n++) await new Promise((resolve) => setTimeout(resolve, 1));
  await until(() => scheduler.running === 0);
}

/** Moves the time on in steps, so that each attempt is finished at its time. */
async function pass(ms: number, step = MINUTE): Promise<void> {
  for (let left = ms; left > 0; left -= step) {
    await clock.advance(Math.min(step, left));
    if (scheduler.running > 0 || left <= step) await quiet();
  }
}

const list = (): Promise<QueuedMessage[]> => collect(store.list());
const empty = async (): Promise<boolean> => (await list()).length === 0;
const minutes = (): number[] => {
  const first = attempts[0]?.at ?? 0;
  return attempts.map(({ at }) => (at - first) / MINUTE);
};

test('a new message is tried at once, with no time passing, and is gone', async () => {
  await start();
  await add(store, ['alice@mail.here', 'bob@far.example']);
  await until(empty);
  expect(attempts.map(({ job }) => [job.agent, job.nextHop])).toEqual([
    ['local', 'alice@mail.here'],
    ['remote', 'far.example'],
  ]);
  expect(reports).toEqual([]);
});

test('what waited when the server started is tried at once', async () => {
  answers.remote = say('deferred');
  await start();
  await add(store, ['bob@far.example']);
  await quiet();
  await scheduler.close(0);
  await store.close();
  answers.remote = say('delivered');
  await clock.advance(HOUR);
  await start();
  await until(empty);
});

test('the retry schedule, the delay warning and the end, as the settings say', async () => {
  answers.remote = say('deferred');
  await start();
  await add(store, ['bob@far.example'], 'Message-ID: <1@x.example>\r\nSubject: hello\r\n\r\nhi\r\n');
  await until(() => attempts.length === 1);
  await quiet();
  await pass(24 * HOUR, 5 * MINUTE);
  expect(minutes().slice(0, 11)).toEqual([0, 5, 15, 35, 75, 135, 255, 495, 735, 975, 1215]);
  expect(reports.map(({ text }) => /Action: .*/.exec(text)?.[0])).toEqual(['Action: delayed']);
  expect(reports[0]?.text).toContain('Will-Retry-Until: Fri, 6 Mar 2026 12:00:00 +0000');
  await pass(97 * HOUR, 30 * MINUTE);
  await until(empty);
  expect(minutes().at(-1)).toBe(5 * 24 * 60);
  expect(reports.map(({ text }) => /Action: .*/.exec(text)?.[0])).toEqual([
    'Action: delayed',
    'Action: failed',
  ]);
  expect(reports[1]?.text).toContain('We tried for 5 days');
  expect(reports[1]?.text).toContain('451 4.7.1 Greylisted, please come back');
  expect(reports[1]?.message).toMatchObject({ from: null, source: 'dsn', account: null });
});

test('a peer that names its time is asked again at that time, but not after the end', async () => {
  answers.remote = (job) =>
    say('deferred', { retryAt: clock.now().getTime() + 7 * MINUTE } as Partial<Outcome>)(
      job,
      new AbortController().signal,
    );
  await start({ expire: 20 * MINUTE });
  await add(store, ['bob@far.example']);
  await quiet();
  await pass(30 * MINUTE);
  expect(minutes()).toEqual([0, 7, 14, 20]);
});

test('jitter moves each pause by at most its share', async () => {
  answers.remote = say('deferred');
  await start({ jitter: 0.2, retry: [10 * MINUTE] });
  await add(store, ['bob@far.example']);
  await quiet();
  const [message] = await list();
  const state = message?.recipients[0]?.state;
  expect(state).toMatchObject({ nextAttempt: clock.now().getTime() + 10 * MINUTE });
});

test('a refusal is returned to the sender at once; other recipients go their way', async () => {
  answers.remote = (job, signal) => say(job.nextHop === 'bad.example' ? 'failed' : 'deferred')(job, signal);
  await start();
  await add(store, ['x@bad.example', 'y@bad.example', 'z@slow.example']);
  await until(() => reports.length === 1);
  await quiet();
  expect(reports[0]?.text.match(/Final-Recipient: .*/g)).toEqual([
    'Final-Recipient: rfc822; x@bad.example',
    'Final-Recipient: rfc822; y@bad.example',
  ]);
  expect(reports[0]?.message.recipients).toMatchObject([
    { address: { local: 'sender', domain: 'example.org' } },
  ]);
  expect((await list())[0]?.recipients.map(({ state }) => state.is)).toEqual(['failed', 'failed', 'waiting']);
});

test('nothing is ever returned to the null sender, and it is logged', async () => {
  answers.remote = say('failed');
  await start();
  await add(store, ['x@bad.example'], undefined, { from: null });
  await until(empty);
  expect(reports).toEqual([]);
  expect(lines).toContainEqual(
    expect.objectContaining({ message: 'undeliverable, and nobody to return it to' }),
  );
});

test('NOTIFY is respected (RFC 3461 4.1)', async () => {
  answers.remote = (job, signal) => say(job.nextHop === 'bad.example' ? 'failed' : 'relayed')(job, signal);
  await start();
  const to = (text: string, notify: readonly ('success' | 'failure' | 'delay')[] | undefined) => {
    const [local = '', domain = ''] = text.split('@');
    const address = { local, domain } as NewMessage['recipients'][number]['address'];
    return { address, original: address, account: null, ...(notify && { notify }) };
  };
  await add(store, [], undefined, {
    recipients: [
      to('never@bad.example', []),
      to('success@bad.example', ['success']),
      to('failure@bad.example', ['failure']),
      to('default@good.example', undefined),
      to('never@good.example', []),
      to('wants@good.example', ['success', 'failure']),
    ],
  });
  await until(empty);
  expect(reports.flatMap(({ text }) => text.match(/Final-Recipient: .*|Action: .*/g) ?? []).sort()).toEqual([
    'Action: failed',
    'Action: relayed',
    'Final-Recipient: rfc822; failure@bad.example',
    'Final-Recipient: rfc822; wants@good.example',
  ]);
});

test('success is reported by us for a mailbox here, and left to a remote host that took our DSN parameters', async () => {
  await start();
  const notify = ['success'] as const;
  const local = { local: 'a', domain: 'mail.here' } as NewMessage['recipients'][number]['address'];
  const remote = { local: 'b', domain: 'far.example' } as NewMessage['recipients'][number]['address'];
  await add(store, [], undefined, {
    recipients: [
      { address: local, original: local, account: 'a@mail.here' as NewMessage['account'], notify },
      { address: remote, original: remote, account: null, notify },
    ],
  });
  await until(empty);
  expect(reports.map(({ text }) => text.match(/Final-Recipient: .*|Action: .*/g))).toEqual([
    ['Final-Recipient: rfc822; a@mail.here', 'Action: delivered'],
  ]);
});

test('a bounce that cannot be sent now is sent later: the message stays', async () => {
  answers.remote = say('failed');
  const works = submit;
  submit = () => Promise.reject(new Error('the disk is full'));
  await start();
  await add(store, ['x@bad.example']);
  await until(() => attempts.length === 1);
  await quiet();
  expect((await list())[0]?.recipients[0]?.state).toMatchObject({ is: 'waiting', attempts: 1 });
  submit = works;
  await pass(6 * MINUTE);
  await until(empty);
  expect(reports).toHaveLength(1);
});

test('an agent that throws, or forgets a recipient: tried again later, and logged with the error', async () => {
  answers.remote = () => {
    throw new Error('a bug');
  };
  answers.local = () => [];
  await start();
  await add(store, ['x@far.example', 'a@mail.here']);
  await until(() => attempts.length === 2);
  await quiet();
  const states = (await list())[0]?.recipients.map(({ state }) => state);
  for (const state of states ?? [])
    expect(state).toMatchObject({ is: 'waiting', attempts: 1, last: { code: 451, enhanced: '4.3.0' } });
  expect(lines).toContainEqual(
    expect.objectContaining({ level: 'error', message: 'delivery agent failed', err: new Error('a bug') }),
  );
});

test('one log line for each recipient of each attempt, with the reply as it came', async () => {
  answers.remote = say('deferred');
  await start();
  const id = await add(store, ['x@far.example', 'y@far.example']);
  await quiet();
  await clock.advance(5 * MINUTE);
  answers.remote = say('failed');
  await until(() => lines.filter(({ message }) => message === 'delivery attempt').length >= 4);
  const logged = lines.filter(({ message }) => message === 'delivery attempt');
  expect(logged).toHaveLength(4);
  expect(logged[0]).toMatchObject({
    qid: id,
    to: 'x@far.example',
    agent: 'remote',
    nextHop: 'far.example',
    status: 'deferred',
    reply: '451 4.7.1 Greylisted, please come back',
    delay: 0,
    attempts: 1,
  });
  expect(logged[3]).toMatchObject({ to: 'y@far.example', delay: 5 * MINUTE, attempts: 2 });
});

/** An agent whose deliveries end when the test says so. */
function gate(): { answer: Answer; waiting: { job: Job; end(): void; signal: AbortSignal }[] } {
  const waiting: { job: Job; end(): void; signal: AbortSignal }[] = [];
  const answer: Answer = (job, signal) =>
    new Promise((resolve) => {
      const end = async (): Promise<void> => resolve(await say('delivered')(job, signal));
      waiting.push({ job, signal, end: () => void end() });
    });
  return { answer, waiting };
}

test('no more at a time than allowed: to one destination, to all, to one account, to all accounts', async () => {
  const { answer, waiting } = gate();
  answers = { local: answer, remote: answer };
  await start({
    destinationConcurrency: 2,
    remoteConcurrency: 5,
    accountConcurrency: 3,
    localConcurrency: 5,
  });
  for (let n = 0; n < 8; n++)
    await Promise.all([
      add(store, ['x@one.example']),
      add(store, ['x@two.example']),
      add(store, ['x@three.example']),
      add(store, ['a@mail.here']),
      add(store, ['b@mail.here']),
    ]);
  const peak = new Map<string, number>();
  for (let done = 0; done < 40; done++) {
    await until(() => waiting.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 3));
    const count = (test: (job: Job) => boolean): number => waiting.filter(({ job }) => test(job)).length;
    const note = (key: string, value: number): void =>
      void peak.set(key, Math.max(peak.get(key) ?? 0, value));
    note(
      'one.example',
      count(({ nextHop }) => nextHop === 'one.example'),
    );
    note(
      'remote',
      count(({ agent }) => agent === 'remote'),
    );
    note(
      'a',
      count(({ nextHop }) => nextHop === 'a@mail.here'),
    );
    note(
      'local',
      count(({ agent }) => agent === 'local'),
    );
    waiting.shift()?.end();
  }
  await until(empty);
  expect(Object.fromEntries(peak)).toEqual({ 'one.example': 2, remote: 5, a: 3, local: 5 });
});

test('a destination with a long line does not keep a small one waiting', async () => {
  const { answer, waiting } = gate();
  answers.remote = answer;
  await start({ destinationConcurrency: 3, remoteConcurrency: 4 });
  await Promise.all(Array.from({ length: 50 }, () => add(store, ['x@big.example'])));
  await until(() => waiting.length === 3);
  await add(store, ['x@small.example']);
  await until(() => waiting.length === 4);
  expect(waiting.map(({ job }) => job.nextHop)).toContain('small.example');
  answers.remote = say('delivered');
  for (const { end } of waiting) end();
  await until(empty);
});

test('a stop lets attempts end, then breaks them off; these do not count and come back', async () => {
  const { answer, waiting } = gate();
  answers.local = answer;
  answers.remote = (job, signal) =>
    new Promise((resolve) => {
      const later = async (): Promise<void> => resolve(await say('deferred')(job, signal));
      signal.addEventListener('abort', () => void later());
    });
  await start();
  const local = await add(store, ['a@mail.here']);
  const remote = await add(store, ['x@far.example']);
  await until(() => attempts.length === 2);
  const closing = scheduler.close(10_000);
  await add(store, ['late@mail.here']);
  waiting[0]?.end();
  await until(async () => (await store.get(local)) === undefined);
  expect(scheduler.running).toBe(1);
  await clock.advance(10_000);
  await closing;
  expect(scheduler.running).toBe(0);
  expect(attempts).toHaveLength(2);
  expect((await store.get(remote))?.recipients[0]?.state).toMatchObject({ is: 'waiting', attempts: 0 });
  const now = clock.now().getTime();
  expect(await store.claim(now, now + 1000, 10)).toHaveLength(2);
});

test('an attempt that takes too long is broken off and counts', async () => {
  answers.remote = (_job, signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  await start({ deliveryTimeout: 10 * MINUTE });
  const id = await add(store, ['x@far.example']);
  await until(() => attempts.length === 1);
  await clock.advance(9 * MINUTE);
  expect(scheduler.running).toBe(1);
  await clock.advance(2 * MINUTE);
  await until(() => scheduler.running === 0);
  expect((await store.get(id))?.recipients[0]?.state).toMatchObject({ is: 'waiting', attempts: 1 });
});

test('retry and release by an administrator are seen at once', async () => {
  answers.remote = say('deferred');
  await start();
  const id = await add(store, ['x@far.example']);
  await quiet();
  answers.remote = say('delivered');
  expect(await store.retry(id)).toBe(1);
  await until(empty);
  answers.remote = say('deferred');
  const held = await add(store, ['x@far.example']);
  await quiet();
  await store.hold(held, 'wait');
  await pass(10 * MINUTE);
  expect(attempts).toHaveLength(3);
  answers.remote = say('delivered');
  await store.release(held);
  await until(empty);
});

test('many messages at once all arrive, each once', async () => {
  await start();
  await Promise.all(Array.from({ length: 500 }, (_, n) => add(store, [`u${n % 20}@mail.here`])));
  await until(empty);
  expect(attempts).toHaveLength(500);
  expect(new Set(attempts.map(({ job }) => job.message.id)).size).toBe(500);
});
