import { randomInt } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import type { QueueId } from './queue.ts';

/**
 * Queue ids: 9 letters and digits of time in milliseconds, 2 of a counter, 3 at random. They sort by time, are unique
 * within a process by time and counter, and across restarts because time never goes below the last id seen. Lower
 * case and without i, l, o, u: they are read out on the telephone.
 */
const DIGITS = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_DIGITS = 9;
const COUNTER_RANGE = 32 ** 2;
const RANDOM_RANGE = 32 ** 3;

export class QueueIds {
  readonly #clock: Clock;
  #time = 0;
  #counter = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  next(): QueueId {
    const now = this.#clock.now().getTime();
    if (now > this.#time) {
      this.#time = now;
      this.#counter = 0;
    } else if (++this.#counter === COUNTER_RANGE) {
      this.#time++;
      this.#counter = 0;
    }
    return (digits(this.#time, TIME_DIGITS) +
      digits(this.#counter, 2) +
      digits(randomInt(RANDOM_RANGE), 3)) as QueueId;
  }

  /** An id that exists: later ones are above it, also when the clock was set back. */
  seen(id: QueueId): void {
    let time = 0;
    for (const digit of id.slice(0, TIME_DIGITS)) time = time * 32 + DIGITS.indexOf(digit);
    if (time < this.#time) return;
    this.#time = time;
    this.#counter = COUNTER_RANGE - 1;
  }
}

function digits(value: number, count: number): string {
  let text = '';
  for (let rest = value; text.length < count; rest = Math.floor(rest / 32)) text = DIGITS[rest % 32] + text;
  return text;
}
