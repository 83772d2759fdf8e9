import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import type { QueueId } from '../../src/queue/queue.ts';
import { SegmentQueue } from '../../src/queue/segment-queue.ts';
import { bytes, collect, silent } from './fixtures.ts';

const CHILD = join(import.meta.dirname, 'kill-child.ts');
const ROUNDS = 10;

/** Runs the child on the directory, kills it after `ms` of work, and resolves to what it said. */
function run(directory: string, ms: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CHILD, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    let killing = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (!killing) setTimeout(() => child.kill('SIGKILL'), ms);
      killing = true;
    });
    child.on('error', reject);
    child.on('close', (_, signal) =>
      signal === 'SIGKILL'
        ? resolve(said.split('\n').slice(0, -1))
        : reject(new Error('the child ended by itself')),
    );
  });
}

test(`killed ${ROUNDS} times at random moments: what was accepted is there once`, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kill-'));
  const accepted = new Map<QueueId, string>();
  const tried = new Set<string>();
  const done = new Set<string>();
  let found = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const line of await run(directory, 20 + Math.random() * 150)) {
      const [what, id = '', number, n, size] = line.split(' ');
      if (what === 'accepted') accepted.set(id as QueueId, `${number} ${n} `.padEnd(Number(size), '.'));
      if (what === 'tried') tried.add(id);
      if (what === 'done') done.add(id);
    }
    const queue = await SegmentQueue.open(
      { directory, segmentSize: 256 * 1024 },
      { clock: systemClock, log: silent },
    );
    const ids = (await collect(queue.list())).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const present = new Set(ids);
    for (const [id, body] of accepted) {
      if (done.has(id)) expect(present.has(id), `${id} is back`).toBe(false);
      else if (!present.has(id)) expect(tried.has(id), `${id} is lost`).toBe(true);
      else if ((await bytes(queue, id)).toString() !== body) expect.fail(`${id} has another body`);
    }
    found += ids.length;
    // The next round begins with a queue that is not too long.
    for (const id of ids.slice(0, -20)) {
      await queue.remove(id);
      accepted.delete(id);
    }
    for (const id of done) accepted.delete(id as QueueId);
    await queue.close();
  }
  expect(found).toBeGreaterThan(ROUNDS * 20);
  rmSync(directory, { recursive: true });
}, 60_000);
