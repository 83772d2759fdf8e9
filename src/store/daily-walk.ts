import type { AccountId } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';

/**
 * Goes to every account once a day, also to those that nobody opens, and has its house kept: one after the other, with a
 * pause after each at which there was something to do. The account itself remembers when that was; a walk that a restart
 * interrupts loses nothing, and the next one repeats nothing.
 */

/** After the start there is other work (ms). */
const FIRST = 60_000;
/** Between two walks: so much later than a day an account may be kept. */
const PAUSE = 3_600_000;
/** After an account at which there was something to do. */
const REST = 50;

export interface DailyWalkOptions {
  /** All that there are, at the time of asking. */
  readonly accounts: () => AsyncIterable<AccountId>;
  /** Resolves when an account's house is kept, or to 'nothing' when that was not due. */
  readonly keepHouse: (account: AccountId) => Promise<'kept' | 'nothing'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class DailyWalk {
  readonly #options: DailyWalkOptions;
  readonly #closed = new AbortController();
  readonly #walking: Promise<void>;

  constructor(options: DailyWalkOptions) {
    this.#options = options;
    this.#walking = this.#run();
  }

  /** What is being done at one account may still go on, until the store closes: it can be stopped anywhere. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#walking;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#closed;
    try {
      for (let pause = FIRST; ; pause = PAUSE) {
        await clock.sleep(pause, signal);
        await this.#walk(signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#options.log.error({ err: error }, 'daily housekeeping has stopped');
    }
  }

  async #walk(signal: AbortSignal): Promise<void> {
    const { accounts, keepHouse, clock, log } = this.#options;
    try {
      for await (const account of accounts()) {
        signal.throwIfAborted();
        try {
          if ((await orClosed(keepHouse(account), signal)) === 'nothing') continue;
        } catch (error) {
          if (signal.aborted) throw error;
          log.warn({ err: error, account }, 'daily housekeeping failed');
        }
        await clock.sleep(REST, signal);
      }
    } catch (error) {
      if (signal.aborted) throw error;
      // The list of accounts cannot be read now: in an hour there is another walk.
      log.warn({ err: error }, 'daily housekeeping failed');
    }
  }
}

function orClosed<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
