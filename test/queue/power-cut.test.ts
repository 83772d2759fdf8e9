import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { QueueId } from '../../src/queue/queue.ts';
import { SegmentQueue } from '../../src/queue/segment-queue.ts';
import { ManualClock } from '../clock.ts';
import { FaultyFiles } from '../faulty-files.ts';
import { add, all, bytes, collect, deferred, delivered, silent } from './fixtures.ts';

/**
 * The README's state table as a loop: a queue with small segments goes through all that a queue does, the power is cut
 * after step n, and what the disk then has for sure (and at random what it has by luck) is opened again.
 */
const OPTIONS = { segmentSize: 24 * 1024, inlineLimit: 3000 };

interface Promised {
  /** Resolved commits, and what they promised. */
  readonly accepted: Map<QueueId, { readonly body: string; readonly to: readonly string[] }>;
  /** Settled as delivered, and the queue said that this is noted. */
  readonly done: Set<QueueId>;
  /** Delivery began: it may be noted or not. */
  readonly tried: Set<QueueId>;
  /** Recipients noted as delivered in messages that still wait for others. */
  readonly half: Map<QueueId, number>;
}

function random(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 374761393) >>> 0;
    return state / 2 ** 32;
  };
}

async function work(
  queue: SegmentQueue,
  clock: ManualClock,
  chance: () => number,
  promised: Promised,
  beforeRound: (round: number) => void,
): Promise<void> {
  const { accepted, done, tried, half } = promised;
  for (let round = 0; round < 12; round++) {
    beforeRound(round);
    // All of them, also those that end after the first has failed: the picture of the disk is taken afterwards.
    const added = await Promise.allSettled(
      Array.from({ length: 4 }, async (_, n) => {
        const body = `round ${round} number ${n} `.padEnd(
          chance() < 0.15 ? 4000 : 20 + Math.floor(chance() * 2500),
          'x',
        );
        const to = chance() < 0.3 ? ['a@one.example', 'b@two.example'] : ['a@one.example'];
        accepted.set(await add(queue, to, body), { body, to });
      }),
    );
    for (const one of added) if (one.status === 'rejected') throw one.reason;
    const now = clock.now().getTime();
    for (const job of await queue.claim(now, now + 60_000, 10)) {
      const { id } = job.message;
      const dice = chance();
      if (dice < 0.3) {
        await queue.settle(job, all(job, deferred(now + 5000)));
        continue;
      }
      tried.add(id);
      await queue.settle(job, all(job, delivered(now)));
      const to = accepted.get(id)?.to.length ?? 1;
      if (to === job.recipients.length || half.has(id)) done.add(id);
      else half.set(id, job.recipients[0]?.index ?? 0);
    }
    await clock.advance(1000);
  }
}

async function examine(directory: string, clock: ManualClock, promised: Promised): Promise<void> {
  const queue = await SegmentQueue.open({ directory, ...OPTIONS }, { clock, log: silent });
  const messages = await collect(queue.list());
  const ids = messages.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [id, { body, to }] of promised.accepted) {
    const message = messages.find((one) => one.id === id);
    if (promised.done.has(id)) {
      expect(message, `${id} was finished and is back`).toBeUndefined();
      continue;
    }
    if (!message) {
      expect(promised.tried.has(id), `${id} was accepted and is lost`).toBe(true);
      continue;
    }
    expect((await bytes(queue, id)).toString()).toBe(body);
    expect(message.recipients.map(({ original }) => `${original.local}@${original.domain}`)).toEqual(to);
    const half = promised.half.get(id);
    if (half !== undefined) expect(message.recipients[half]?.state.is).toBe('delivered');
  }
  // And it works: everything can be delivered, and is then gone.
  const later = clock.now().getTime() + 1_000_000;
  for (;;) {
    const jobs = await queue.claim(later, later + 60_000, 50);
    if (jobs.length === 0) break;
    for (const job of jobs) await queue.settle(job, all(job, delivered(later)));
  }
  expect(await collect(queue.list())).toEqual([]);
  expect(readdirSync(join(directory, 'spool'))).toEqual([]);
  await queue.close();
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

test.each(SEEDS)('after a power cut every accepted message is there once (seed %i)', async (seed) => {
  const chance = random(seed);
  const directory = mkdtempSync(join(tmpdir(), 'power-'));
  const left = mkdtempSync(join(tmpdir(), 'power-'));
  const clock = new ManualClock();
  const files = new FaultyFiles();
  const promised: Promised = { accepted: new Map(), done: new Set(), tried: new Set(), half: new Map() };
  const queue = await SegmentQueue.open({ directory, ...OPTIONS }, { clock, log: silent, files });
  const end = files.steps + 5 + Math.floor(chance() * 260);
  files.fault = (_, __, count) => {
    if (count === end) files.cut();
    return count >= end ? new Error('the power is off') : undefined;
  };
  // The index may be lost, know more than the journal, or be from long ago: its commits are not synced.
  const fate = seed % 3 === 0 ? 'lost' : seed % 3 === 1 ? 'ahead' : 'old';
  const saved = Math.floor(chance() * 8);
  await work(queue, clock, chance, promised, (round) => {
    if (fate === 'old' && round <= saved) copyIndex(directory, left);
  }).catch(() => undefined);
  files.cut();
  if (fate === 'ahead') copyIndex(directory, left);
  const luck = [0, 0.5, 1][Math.floor(chance() * 3)] ?? 0;
  files.image(directory, left, () => chance() < luck);
  await queue.close().catch(() => undefined);
  await examine(left, clock, promised);
  rmSync(directory, { recursive: true });
  rmSync(left, { recursive: true });
});

function copyIndex(from: string, to: string): void {
  for (const name of ['index.sqlite', 'index.sqlite-wal', 'index.sqlite-shm']) {
    rmSync(join(to, name), { force: true });
    if (existsSync(join(from, name))) cpSync(join(from, name), join(to, name));
  }
}
