import { ConnectionLost } from '../../net/errors.ts';
import { type Command, command, type ImapSession, nothing, type News as Told } from '../command.ts';
import { ImapBad } from '../errors.ts';

/** `DONE`, and some room to see what came instead. */
const MAX_DONE = 100;

/** IDLE (RFC 2177, RFC 9051 6.3.13): what changes is told as it happens, until DONE. */
export const idle: Command = command({
  name: 'IDLE',
  states: ['authenticated', 'selected'],
  capability: 'IDLE',
  parse: nothing,

  async run(session) {
    session.out.add('+ idling\r\n');
    if (session.hasSelected) await session.store.refresh(session.selected.id);
    await session.tell('now');
    const news = new News(session);
    const pulse = new Pulse(session);
    try {
      const line = await session.readLine(MAX_DONE, session.world.settings.idleTimeout);
      if (line === null) throw new ConnectionLost();
      if (!/^done$/i.test(line.toString('latin1'))) throw new ImapBad('IDLE ends with DONE');
    } finally {
      pulse.stop();
      await news.stop();
    }
    return { text: 'IDLE completed' };
  },
});

/** Tells what is pending, many changes of one moment together, one telling at a time. */
class News {
  readonly #session: ImapSession;
  #telling: Promise<void> | null = null;
  #stopped = false;

  constructor(session: ImapSession) {
    this.#session = session;
    for (const each of this.#sources()) each.onPending = () => this.#wake();
  }

  /** Resolves when nothing is being told any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const each of this.#sources()) each.onPending = null;
    await this.#telling;
  }

  #sources(): readonly Pick<Told, 'hasPending' | 'onPending'>[] {
    const session = this.#session;
    return session.hasSelected ? [session.selected, ...session.news] : [...session.news];
  }

  #wake(): void {
    this.#telling ??= this.#tell().finally(() => {
      this.#telling = null;
    });
  }

  async #tell(): Promise<void> {
    const session = this.#session;
    try {
      // Changes that are committed together are announced one after the other.
      await new Promise<void>((resolve) => setImmediate(resolve));
      while (!this.#stopped && this.#sources().some(({ hasPending }) => hasPending)) {
        await session.tell('now');
        await session.out.flush();
      }
    } catch (error) {
      // Whoever reads the line hears of a lost connection by itself; anything else is a bug of ours.
      if (!(error instanceof ConnectionLost)) session.log.error({ err: error }, 'imap idle failed');
      session.connection.destroy();
    }
  }
}

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
