import type { Clock } from '../src/lib/clock.ts';

interface Sleeper {
  readonly until: number;
  readonly order: number;
  wake(): void;
}

/** A clock that stands still until it is moved: sleepers wake in the order of their time. */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start: Date | number | string = '2026-01-01T00:00:00Z') {
    this.#now = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.#now);
  }

  /** How many are asleep: a test can wait until the thing it tests has nothing else to do. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** When the first sleeper wakes, in milliseconds since the epoch. */
  get nextWake(): number | undefined {
    return this.#first()?.until;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      // No time has to pass for that.
      if (ms <= 0) {
        resolve();
        return;
      }
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        until: this.#now + ms,
        order: this.#order++,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#sleepers.add(sleeper);
    });
  }

  /**
   * Moves the time on by `ms`, stopping at each sleeper on the way, so that what it does and whom it puts to sleep
   * happens at its own time. Real input and output takes real time: between stops the event loop turns a few times.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await turn();
    for (let next = this.#first(); next && next.until <= end; next = this.#first()) {
      this.#now = Math.max(this.#now, next.until);
      next.wake();
      await turn();
    }
    this.#now = end;
    await turn();
  }

  /** Sets the time without waking anybody: a clock that was wrong. */
  set(time: Date | number | string): void {
    this.#now = new Date(time).getTime();
  }

  #first(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      if (
        !first ||
        sleeper.until < first.until ||
        (sleeper.until === first.until && sleeper.order < first.order)
      )
        first = sleeper;
    }
    return first;
  }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}
