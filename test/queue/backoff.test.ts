import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pauseAfter } from '../../src/queue/backoff.ts';
import { queueOptions } from '../../src/queue/options.ts';

test('the pauses come in order, and the last one repeats', () => {
  const backoff = { retry: [5, 10, 20], jitter: 0 };
  expect([1, 2, 3, 4, 50].map((attempts) => pauseAfter(attempts, backoff, 0.9))).toEqual([5, 10, 20, 20, 20]);
});

test('jitter stays within its share, to both sides', () => {
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(random, fc.double({ min: 0, max: 0.5, noNaN: true }), (dice, jitter) => {
      const pause = pauseAfter(1, { retry: [1000], jitter }, dice);
      expect(Math.abs(pause - 1000)).toBeLessThanOrEqual(Math.ceil(1000 * jitter));
    }),
  );
  expect(pauseAfter(1, { retry: [1000], jitter: 0.1 }, 0)).toBe(900);
});

test('the settings are read as they are written, and have their defaults', () => {
  const MINUTE = 60_000;
  expect(queueOptions.parse({})).toMatchObject({
    retry: [5, 10, 20, 40, 60, 120, 240].map((minutes) => minutes * MINUTE),
    expire: 5 * 24 * 60 * MINUTE,
    delayWarning: 4 * 60 * MINUTE,
    destinationConcurrency: 20,
  });
  expect(queueOptions.parse({ retry: ['1s', '2h'], expire: '1d' })).toMatchObject({
    retry: [1000, 120 * MINUTE],
    expire: 24 * 60 * MINUTE,
  });
  expect(queueOptions.safeParse({ retry: [] }).success).toBe(false);
  expect(queueOptions.safeParse({ retries: ['5m'] }).success).toBe(false);
});
