import { ConnectionLost } from '../net/errors.ts';
import type { ImapSession } from './command.ts';

/**
 * Tells what happens while the client waits: in IDLE, and with NOTIFY between any two commands (RFC 5465 3). Many changes
 * of one moment are told together, one telling at a time; who wants to go on waits until the last one has been said.
 */

export interface TellingOptions {
  /** Whether messages may leave the view now. */
  readonly expunges: () => 'now' | 'later';
}

export class LiveTelling {
  readonly #session: ImapSession;
  readonly #options: TellingOptions;
  #telling: Promise<void> | null = null;
  #stopped = false;

  constructor(session: ImapSession, options: TellingOptions) {
    this.#session = session;
    this.#options = options;
    const wake = (): void => this.#wake();
    if (session.hasSelected) session.selected.onPending = wake;
    for (const each of session.news) each.onPending = wake;
    // Since the last telling something may have happened already.
    if (this.#hasNews()) wake();
  }

  /** Resolves when nothing is being told any more. */
  async stop(): Promise<void> {
    if (!this.#stopped) {
      this.#stopped = true;
      const session = this.#session;
      if (session.hasSelected) session.selected.onPending = null;
      for (const each of session.news) each.onPending = null;
    }
    await this.#telling;
  }

  #hasNews(): boolean {
    const session = this.#session;
    for (const each of session.news) if (each.hasPending) return true;
    if (!session.hasSelected) return false;
    const { selected } = session;
    return this.#options.expunges() === 'now' ? selected.hasPending : selected.hasPendingOthers;
  }

  #wake(): void {
    if (this.#stopped || !this.#hasNews()) return;
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = null;
    });
  }

  async #tell(): Promise<void> {
    const session = this.#session;
    try {
      // Changes that are committed together are announced one after the other.
      await new Promise<void>((resolve) => setImmediate(resolve));
      while (!this.#stopped && this.#hasNews()) {
        await session.tell(this.#options.expunges());
        await session.out.flush();
      }
    } catch (error) {
      // Whoever reads the line hears of a lost connection by itself; anything else is a bug of ours.
      if (!(error instanceof ConnectionLost)) session.log.error({ err: error }, 'telling imap news failed');
      session.connection.destroy();
    }
  }
}
