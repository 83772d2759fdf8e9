import { ConnectionLost } from '../../net/errors.ts';
import { type Command, command, type ImapSession, nothing } from '../command.ts';
import { ImapBad } from '../errors.ts';
import { LiveTelling } from '../live-telling.ts';
import { lookAtDisk } from './noop.ts';

/** `DONE`, and some room to see what came instead. */
const MAX_DONE = 100;

/** IDLE (RFC 2177, RFC 9051 6.3.13): what changes is told as it happens, until DONE. */
export const idle: Command = command({
  name: 'IDLE',
  states: ['authenticated', 'selected'],
  capability: 'IDLE',
  parse: nothing,

  async run(session) {
    session.out.goOn('idling');
    await lookAtDisk(session);
    await session.tell('now');
    const telling = new LiveTelling(session, { expunges: () => 'now' });
    const pulse = new Pulse(session);
    try {
      const line = await session.readLine(MAX_DONE, session.world.settings.idleTimeout);
      if (line === null) throw new ConnectionLost();
      if (!/^done$/i.test(line.toString('latin1'))) throw new ImapBad('IDLE ends with DONE');
    } finally {
      pulse.stop();
      await telling.stop();
    }
    return { text: 'IDLE completed' };
  },
});

/** A sign of life from time to time, while the client waits. */
class Pulse {
  readonly #session: ImapSession;
  readonly #abort = new AbortController();

  constructor(session: ImapSession) {
    this.#session = session;
    void this.#run();
  }

  stop(): void {
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    const { clock, settings } = this.#session.world;
    try {
      while (!signal.aborted) {
        await clock.sleep(settings.keepAlive, signal);
        this.#session.out.untagged('OK Still here');
        await this.#session.out.flush();
      }
    } catch (error) {
      if (signal.aborted || error instanceof ConnectionLost) return;
      this.#session.log.error({ err: error }, 'imap idle failed');
    }
  }
}
