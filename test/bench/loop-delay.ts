/**
 * Loaded into a server (`--import`): every half second each of its threads writes a line to the file that LOOP_DELAY
 * names, with the longest time that its event loop was held meanwhile, and the memory of the process.
 */
import { appendFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { isMainThread, threadId } from 'node:worker_threads';

export interface LoopDelay {
  /** ms since the epoch. */
  readonly at: number;
  readonly thread: string;
  /** ms. */
  readonly held: number;
  readonly rss: number;
}

/** The histogram looks once in so many ms, which is no delay. */
const RESOLUTION = 5;

const file = process.env['LOOP_DELAY'];
if (file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  delay.enable();
  const thread = isMainThread ? 'main loop' : `thread ${threadId}`;
  setInterval(() => {
    const line: LoopDelay = {
      at: Date.now(),
      thread,
      held: Math.max(delay.max / 1e6 - RESOLUTION, 0),
      rss: process.memoryUsage.rss(),
    };
    delay.reset();
    appendFileSync(file, `${JSON.stringify(line)}\n`);
  }, 500).unref();
}
