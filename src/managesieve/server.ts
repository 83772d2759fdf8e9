import type { LineConnection } from '../net/connection.ts';
import { type ManageSieveWorld, Session } from './session.ts';

/** ManageSieve (RFC 5804) for connections that a listener has accepted. */

export interface ManageSieveServer {
  /** Resolves when the session is over; never rejects. */
  handle(connection: LineConnection): Promise<void>;
  /** Sends away clients that wait, lets commands that run finish for at most `graceMs`, then cuts the rest. */
  close(graceMs: number): Promise<void>;
  readonly sessions: number;
}

/** What a client is told that comes when there are too many. */
export const MANAGESIEVE_REFUSAL = 'BYE (TRYLATER) "too many connections, try again later"\r\n';

export function createManageSieveServer(world: ManageSieveWorld): ManageSieveServer {
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
      await world.clock.sleep(graceMs, done.signal).catch(() => {});
      for (const session of sessions.keys()) session.connection.destroy();
      await all;
    },
  };
}
