import { z } from 'zod';
import { duration } from '../lib/options.ts';

/** Settings of `queue:`. Times in milliseconds. */
export interface QueueOptions {
  readonly retry: readonly number[];
  readonly jitter: number;
  readonly expire: number;
  readonly delayWarning: number;
  readonly destinationConcurrency: number;
  readonly remoteConcurrency: number;
  readonly accountConcurrency: number;
  readonly localConcurrency: number;
  readonly deliveryTimeout: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const concurrency = (): z.ZodInt => z.int().min(1).max(10_000);

export const queueOptions: z.ZodType<QueueOptions> = z.strictObject({
  retry: z
    .array(duration())
    .min(1)
    .default([5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR])
    .describe('Pauses between attempts to deliver a message; the last one repeats until `expire`.'),
  jitter: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.1)
    .describe(
      'By how much of itself each pause is made longer or shorter at random, so that what failed together does not come back together.',
    ),
  expire: duration()
    .default(120 * HOUR)
    .describe('How long delivery is tried before the message is returned to its sender.'),
  delayWarning: duration()
    .default(4 * HOUR)
    .describe(
      'After this time a sender is told, once, that the message still waits. 0s: only those are told who ask (NOTIFY=DELAY), at the first delay.',
    ),
  destinationConcurrency: concurrency()
    .default(20)
    .describe('How many messages are delivered to one remote domain at the same time.'),
  remoteConcurrency: concurrency()
    .default(200)
    .describe('How many messages are delivered to remote domains at the same time, in all.'),
  accountConcurrency: concurrency()
    .default(32)
    .describe('How many messages are delivered to one account here at the same time.'),
  localConcurrency: concurrency()
    .default(200)
    .describe('How many messages are delivered to accounts here at the same time, in all.'),
  deliveryTimeout: duration()
    .default(2 * HOUR)
    .describe(
      'After this time an attempt that has not ended is broken off and the message is tried again later.',
    ),
});
