import { randomBytes } from 'node:crypto';
import type { AccountId } from '../directory/directory.ts';
import type { CapabilityMask } from '../lib/capability-mask.ts';
import type { Clock } from '../lib/clock.ts';
import type { Language } from '../lib/language.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import { ConnectionLost, IdleTimeout, LineTooLong } from '../net/errors.ts';
import { HandshakeError } from '../net/handshake.ts';
import type { AccountSessions } from '../net/limits.ts';
import type { Sasl, SaslContext, SaslStep } from '../sasl/sasl.ts';
import type { MailStore } from '../store/store.ts';
import type { Command, Pop3Session, Reply } from './command.ts';
import { commands } from './commands/index.ts';
import { Pop3Error, Pop3SyntaxError, refusal } from './errors.ts';
import { textIn } from './languages.ts';
import type { MaildropLocks } from './locks.ts';
import { Maildrop } from './maildrop.ts';
import type { Pop3Options } from './options.ts';

/** One client from greeting to end: reads a command, runs it, answers, in turn. */

/** RFC 2449 4 asks for 255 octets; AUTH with an initial response and long names may have more. */
const MAX_COMMAND = 4096;

/** What all sessions of one server share. */
export interface Pop3World {
  readonly hostname: string;
  readonly version: string;
  readonly store: MailStore;
  readonly sasl: Sasl;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: Pop3Options;
  readonly locks: MaildropLocks;
  readonly accountSessions: AccountSessions;
  readonly mask: CapabilityMask;
  allowPlaintext(ip: string): boolean;
}

const byName: ReadonlyMap<string, Command> = new Map(commands.map((command) => [command.name, command]));

export class Session implements Pop3Session {
  readonly connection: LineConnection;
  readonly log: Logger;
  readonly timestamp: string | null;
  user: string | null = null;
  language: Language = 'en';
  mode: 'ascii' | 'utf8' = 'ascii';
  readonly #world: Pop3World;
  #account: AccountId | null = null;
  #maildrop: Maildrop | null = null;
  #unlock: (() => void) | null = null;
  #errors = 0;
  #authFailures = 0;
  #closing = false;
  #reading = false;
  #octets = 0;
  #messages = 0;
  #deleted = 0;

  constructor(connection: LineConnection, world: Pop3World) {
    this.connection = connection;
    this.#world = world;
    this.log = world.log.child({ sid: connection.sid });
    // Its digest is as good as the password to whoever listens; the greeting comes before STLS.
    this.timestamp =
      world.sasl.apop && this.plaintextAllowed
        ? `<${randomBytes(8).toString('hex')}.${world.clock.now().getTime()}@${world.hostname}>`
        : null;
  }

  get hostname(): string {
    return this.#world.hostname;
  }

  get version(): string {
    return this.#world.version;
  }

  get settings(): Pop3Options {
    return this.#world.settings;
  }

  get sasl(): Sasl {
    return this.#world.sasl;
  }

  get plaintextAllowed(): boolean {
    return this.connection.tls !== null || this.#world.allowPlaintext(this.connection.peer.ip);
  }

  /** Resolves when the session is over; never rejects. */
  async run(): Promise<void> {
    try {
      await this.connection.write(`+OK Facteur POP3 ready${this.timestamp ? ` ${this.timestamp}` : ''}\r\n`);
      while (!this.#closing && (await this.#turn()));
    } catch (error) {
      this.#ended(error);
    } finally {
      this.#release();
      await this.connection.end();
      this.#summary();
    }
  }

  /** The server stops: a client that waits is sent away, a command that runs may finish. */
  stop(): void {
    this.#closing = true;
    if (this.#reading) void this.connection.end();
  }

  close(): void {
    this.#closing = true;
  }

  say(text: string): string {
    if (this.language === 'en') return text;
    const end = text.indexOf('\r\n');
    const first = end < 0 ? text : text.slice(0, end);
    const said = textIn(this.language, first);
    // Only what was translated: the rest is bytes already.
    return said === first ? text : Buffer.from(said).toString('latin1') + text.slice(first.length);
  }

  offers(capability: string): boolean {
    const { ip } = this.connection.peer;
    return !this.#world.mask.hiddenFrom({ account: this.#account, client: null, ip }).has(capability);
  }

  saslContext(): SaslContext {
    const { connection } = this;
    return {
      service: 'pop',
      hostname: this.hostname,
      tls: connection.tls,
      random: (size) => randomBytes(size),
      sid: connection.sid,
      ip: connection.peer.ip,
      signal: connection.signal,
    };
  }

  async readLine(maxBytes: number): Promise<Buffer | null> {
    const { loginTimeout, idleTimeout } = this.settings;
    this.#reading = true;
    try {
      const timeoutMs = this.#maildrop ? idleTimeout : loginTimeout;
      return await this.connection.readLine({ maxBytes, timeoutMs });
    } finally {
      this.#reading = false;
    }
  }

  async authenticated(step: SaslStep): Promise<string> {
    if (step.is !== 'done') throw this.#loginFailure(step);
    const { id } = step.account;
    const now = this.#world.clock.now().getTime();
    const { loginDelay } = this.settings;
    // RFC 2449 6.5, 8.1.1: counted from the last login that passed; no refused one makes it longer.
    if (this.#world.locks.isTooSoon(id, now, loginDelay))
      throw new Pop3Error(`log in once in ${Math.ceil(loginDelay / 1000)} seconds only`, 'LOGIN-DELAY');
    const unlock = this.#lock(id);
    // RFC 1939 4 wants the maildrop locked; the code tells the client that its password was right (RFC 2449 8.1.2).
    if (!unlock) throw new Pop3Error('another session has the maildrop', 'IN-USE');
    try {
      const maildrop = await Maildrop.open(await this.#world.store.account(id), this.settings.uidl);
      this.#maildrop = maildrop;
      this.#unlock = unlock;
      this.#account = id;
      if (loginDelay > 0) this.#world.locks.loggedIn(id, now);
      return `${maildrop.count} messages (${maildrop.octets} octets)`;
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /** Until it is unlocked, this is a session of the account. */
  #lock(id: AccountId): (() => void) | undefined {
    const { locks, accountSessions } = this.#world;
    const unlock = locks.lock(id);
    const leave = unlock && accountSessions.take(id, Number.POSITIVE_INFINITY, () => this.stop());
    return (
      unlock &&
      (() => {
        leave?.();
        unlock();
      })
    );
  }

  retrieved(octets: number): void {
    this.#messages++;
    this.#octets += octets;
  }

  async update(maildrop: Maildrop): Promise<void> {
    try {
      this.#deleted = await maildrop.update({
        seen: this.settings.markSeen ? 'mark' : 'leave',
        deleted: this.settings.deleted,
      });
    } finally {
      // Before the answer: the client may log in again as soon as it has it.
      this.#release();
    }
  }

  /** Reads and runs one command; false at the end of the stream. */
  async #turn(): Promise<boolean> {
    let reply: string | null;
    try {
      const line = await this.readLine(MAX_COMMAND);
      if (line === null) return false;
      const text = await this.#execute(line.toString('latin1'));
      this.#errors = 0;
      reply = text === null ? null : `+OK ${this.say(text)}\r\n`;
    } catch (error) {
      reply = this.#failure(error);
    }
    if (reply !== null) await this.connection.write(reply);
    return true;
  }

  #execute(line: string): Promise<Reply> | Reply {
    const [, verb = '', args = ''] = /^([^ ]*) ?(.*)$/s.exec(line) ?? [];
    const command = byName.get(verb.toUpperCase());
    if (!command) throw new Pop3SyntaxError('unknown command');
    switch (command.state) {
      case 'any':
        return command.run(this, args, this.#maildrop);
      case 'authorization':
        if (this.#maildrop) throw new Pop3SyntaxError('not after login');
        return command.run(this, args);
      case 'transaction':
        if (!this.#maildrop) throw new Pop3SyntaxError('log in first');
        return command.run(this, args, this.#maildrop);
    }
  }

  /** The answer to what went wrong; throws what ends the session. */
  #failure(error: unknown): string {
    if (error instanceof IdleTimeout || error instanceof ConnectionLost || error instanceof HandshakeError)
      throw error;
    // The response was cut in the middle: there is nobody to answer any more.
    if (this.connection.signal.aborted) throw error;
    const known = error instanceof LineTooLong ? new Pop3SyntaxError('line too long') : refusal(error);
    if (!known) this.log.error({ err: error }, 'POP3 command failed');
    else if (known.cause !== undefined) this.log.warn({ err: known.cause }, 'POP3 command refused');
    const { text, code } = known
      ? { text: known.message, code: known.code }
      : { text: 'internal error, try again later', code: 'SYS/TEMP' };
    if (known instanceof Pop3SyntaxError && ++this.#errors >= this.settings.maxErrors) {
      this.#closing = true;
      return `-ERR ${this.say('too many errors')}\r\n`;
    }
    return `-ERR ${code === null ? '' : `[${code}] `}${this.say(text)}\r\n`;
  }

  #loginFailure(step: Exclude<SaslStep, { is: 'done' }>): Pop3Error {
    if (step.is === 'failed' && step.reason === 'temporary')
      return new Pop3Error('authentication is not possible at the moment', 'SYS/TEMP');
    if (++this.#authFailures >= this.settings.maxAuthFailures) this.#closing = true;
    if (step.is === 'failed' && step.reason === 'limited')
      return new Pop3Error('too many failed logins, try again later', 'SYS/TEMP');
    if (step.is === 'failed' && step.reason === 'credentials')
      return new Pop3Error('wrong name or password', 'AUTH');
    return new Pop3SyntaxError('the authentication exchange is malformed');
  }

  #ended(error: unknown): void {
    // RFC 1939 3: no UPDATE, and no answer either.
    if (error instanceof IdleTimeout) this.log.info({}, 'POP3 client was silent for too long');
    else if (error instanceof ConnectionLost) this.log.debug({}, 'POP3 client is gone');
    else if (error instanceof HandshakeError)
      this.log.info({ reason: error.message }, 'TLS handshake failed');
    else this.log.error({ err: error }, 'POP3 session broken off');
  }

  #summary(): void {
    if (this.#account === null) return;
    const fields = { account: this.#account, retrieved: this.#messages, octets: this.#octets };
    this.log.info({ ...fields, deleted: this.#deleted }, 'POP3 session ended');
  }

  #release(): void {
    this.#maildrop = null;
    this.#unlock?.();
    this.#unlock = null;
  }
}
