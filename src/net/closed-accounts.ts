import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { AccountSessions } from './limits.ts';

/**
 * Ends the sessions of accounts that were disabled or removed while they were logged in: whoever locks somebody out
 * means at once, not at the next login.
 */

/** So long (ms) such a session may go on. */
const EVERY = 5000;

export const CLOSED = 'This account is closed';

export interface ClosedAccountsOptions {
  readonly sessions: AccountSessions;
  /** Whether it is there and enabled. */
  readonly isOpen: (account: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ClosedAccounts {
  readonly #options: ClosedAccountsOptions;
  readonly #closed = new AbortController();
  readonly #looking: Promise<void>;

  constructor(options: ClosedAccountsOptions) {
    this.#options = options;
    this.#looking = this.#run();
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#looking;
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#closed;
    while (!signal.aborted) {
      try {
        await clock.sleep(EVERY, signal);
        await this.#look();
      } catch (error) {
        if (!signal.aborted) log.error({ err: error }, 'cannot look whether accounts are still open');
      }
    }
  }

  async #look(): Promise<void> {
    const { sessions, isOpen, log } = this.#options;
    for (const account of sessions.accounts()) {
      if (await isOpen(account)) continue;
      const ended = sessions.end(account, CLOSED);
      log.info({ account, sessions: ended }, 'sessions of a closed account ended');
    }
  }
}
