import { CapabilityMask } from '../lib/capability-mask.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import { AccountSessions } from '../net/limits.ts';
import type { Sasl } from '../sasl/sasl.ts';
import type { MailStore } from '../store/store.ts';
import { MaildropLocks } from './locks.ts';
import type { Pop3Options } from './options.ts';
import { Session } from './session.ts';

/** POP3 (RFC 1939) for connections that a listener has accepted; 110 and 995 share one server. */

export interface Pop3ServerOptions {
  readonly hostname: string;
  readonly version: string;
  readonly store: MailStore;
  readonly sasl: Sasl;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: Pop3Options;
  /** Shared with the servers before and after a reload, whose sessions may live side by side. */
  readonly locks?: MaildropLocks;
  readonly accountSessions?: AccountSessions;
  /** Whether a password may come without TLS from this address. */
  allowPlaintext(ip: string): boolean;
}

export interface Pop3Server {
  /** Resolves when the session is over; never rejects. */
  handle(connection: LineConnection): Promise<void>;
  /**
   * Sends away clients that wait, lets commands that run finish for at most `graceMs`, then cuts the rest. Messages
   * marked as deleted stay: only QUIT deletes.
   */
  close(graceMs: number): Promise<void>;
  readonly sessions: number;
}

/** What a client is told that comes when there are too many. */
export const POP3_REFUSAL = '-ERR [SYS/TEMP] too many connections, try again later\r\n';

export function createPop3Server(options: Pop3ServerOptions): Pop3Server {
  const world = {
    ...options,
    locks: options.locks ?? new MaildropLocks(),
    accountSessions: options.accountSessions ?? new AccountSessions(),
    mask: new CapabilityMask(options.settings.mask),
  };
  const sessions = new Map<Session, Promise<void>>();
  let stopping = false;

  return {
    get sessions() {
      return sessions.size;
    },

    async handle(connection) {
      const session = new Session(connection, world);
      const running = session.run();
      sessions.set(session, running);
      if (stopping) session.stop();
      await running;
      sessions.delete(session);
    },

    async close(graceMs) {
      stopping = true;
      for (const session of sessions.keys()) session.stop();
      const done = new AbortController();
      const all = Promise.all(sessions.values()).then(() => done.abort());
      // Rejects when all are done before.
      await options.clock.sleep(graceMs, done.signal).catch(() => {});
      for (const session of sessions.keys()) session.connection.destroy();
      await all;
    },
  };
}
