import { randomBytes } from 'node:crypto';
import type { AccountId } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import { ConnectionLost, IdleTimeout } from '../net/errors.ts';
import { HandshakeError } from '../net/handshake.ts';
import type { AccountSessions } from '../net/limits.ts';
import type { Sasl, SaslContext, SaslStep } from '../sasl/sasl.ts';
import { type Complaint, SieveError } from '../sieve/errors.ts';
import type { ScriptStore } from '../store/script-store.ts';
import type { Command, ManageSieveSession, Ok } from './command.ts';
import { commands } from './commands/index.ts';
import { shown } from './commands/scripts.ts';
import { refusal, SieveBye, SieveNo, SieveSyntaxError } from './errors.ts';
import { textIn } from './languages.ts';
import type { ManageSieveOptions } from './options.ts';
import { type ReadLimits, type Request, RequestReader } from './reader.ts';
import { string } from './strings.ts';

/** One client from greeting to end: reads a command, runs it, answers, in turn. */

/** Names and SASL data; the same bound as for SASL in SMTP (RFC 4954 4). */
const MAX_STRING = 12_288;

/** What scripts can do here, for the capabilities. */
export interface ScriptAbilities {
  readonly extensions: readonly string[];
  readonly notify: readonly string[];
  readonly maxRedirects: number;
}

/** What all sessions of one server share. */
export interface ManageSieveWorld {
  readonly hostname: string;
  readonly version: string;
  readonly scripts: ScriptStore;
  readonly abilities: ScriptAbilities;
  readonly sasl: Sasl;
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: ManageSieveOptions;
  readonly accountSessions: AccountSessions;
  allowPlaintext(ip: string): boolean;
  /** Resolves to warnings. Throws SieveError. */
  check(account: AccountId, source: string): Promise<readonly Complaint[]>;
}

const byName: ReadonlyMap<string, Command> = new Map(commands.map((command) => [command.name, command]));

export class Session implements ManageSieveSession {
  readonly connection: LineConnection;
  readonly #log: Logger;
  readonly #world: ManageSieveWorld;
  readonly #reader: RequestReader;
  #account: AccountId | null = null;
  #leave: (() => void) | undefined;
  #errors = 0;
  #authFailures = 0;
  #closing = false;
  #reading = false;

  constructor(connection: LineConnection, world: ManageSieveWorld) {
    this.connection = connection;
    this.#world = world;
    this.#log = world.log.child({ sid: connection.sid });
    this.#reader = new RequestReader(connection);
  }

  get sasl(): Sasl {
    return this.#world.sasl;
  }

  get scripts(): ScriptStore {
    return this.#world.scripts;
  }

  get plaintextAllowed(): boolean {
    return this.connection.tls !== null || this.#world.allowPlaintext(this.connection.peer.ip);
  }

  /** Resolves when the session is over; never rejects. */
  async run(): Promise<void> {
    try {
      await this.connection.write(
        `${this.capabilities()}OK ${string(this.say('Facteur ManageSieve ready'))}\r\n`,
      );
      while (!this.#closing && (await this.#turn()));
    } catch (error) {
      await this.#ended(error);
    } finally {
      this.unauthenticate();
      await this.connection.end();
    }
  }

  /** The server stops: a client that waits is sent away, a command that runs may finish. */
  stop(): void {
    this.#closing = true;
    if (this.#reading) void this.#bye('the server stops, come back soon', 'TRYLATER');
  }

  close(): void {
    this.#closing = true;
  }

  say(text: string): string {
    return textIn(this.#world.settings.language, text);
  }

  capabilities(): string {
    const { abilities, settings, version } = this.#world;
    const { tls } = this.connection;
    const mechanisms =
      this.#account === null
        ? this.sasl
            .mechanisms(this.plaintextAllowed, tls, 'sieve')
            .map(({ name }) => name)
            // RFC 5804 2.1: all clients know it, and some look at the first name only.
            .sort((one, other) => Number(other === 'PLAIN') - Number(one === 'PLAIN'))
        : [];
    const lines: [string, string?][] = [
      ['IMPLEMENTATION', `Facteur ${version}`],
      ['SIEVE', abilities.extensions.join(' ')],
      ['NOTIFY', abilities.notify.join(' ')],
      ['MAXREDIRECTS', String(abilities.maxRedirects)],
      // RFC 5804 1.7: empty where nobody can log in as things are.
      ['SASL', mechanisms.join(' ')],
      ...(tls === null && this.#account === null ? ([['STARTTLS']] as [string][]) : []),
      ['LANGUAGE', settings.language],
      ...(this.#account === null ? [] : ([['OWNER', this.#account]] as [string, string][])),
      ['UNAUTHENTICATE'],
      ['VERSION', '1.0'],
    ];
    return lines
      .map(([name, value]) => `${string(name)}${value === undefined ? '' : ` ${string(value)}`}\r\n`)
      .join('');
  }

  saslContext(): SaslContext {
    const { connection } = this;
    return {
      service: 'sieve',
      hostname: this.#world.hostname,
      tls: connection.tls,
      random: (size) => randomBytes(size),
      sid: connection.sid,
      ip: connection.peer.ip,
      signal: connection.signal,
    };
  }

  async readResponse(): Promise<Buffer> {
    const octets = await this.#read((limits) => this.#reader.string(limits));
    if (octets === null) throw new SieveNo('the client is gone');
    return octets;
  }

  authenticated(step: SaslStep): void {
    if (step.is !== 'done') throw this.#loginFailure(step);
    const { id } = step.account;
    this.#leave = this.#world.accountSessions.take(id, Number.POSITIVE_INFINITY, () => this.stop());
    this.#account = id;
  }

  unauthenticate(): void {
    this.#leave?.();
    this.#leave = undefined;
    this.#account = null;
  }

  check(account: AccountId, source: string): Promise<readonly Complaint[]> {
    return this.#world.check(account, source);
  }

  async #read<T>(read: (limits: ReadLimits) => Promise<T>): Promise<T> {
    const { loginTimeout, idleTimeout, maxScriptSize } = this.#world.settings;
    const isScript = (name: string): boolean => name === 'PUTSCRIPT' || name === 'CHECKSCRIPT';
    this.#reading = true;
    try {
      return await read({
        timeoutMs: this.#account === null ? loginTimeout : idleTimeout,
        maxLiteral: (name) => (this.#account !== null && isScript(name) ? maxScriptSize : MAX_STRING),
      });
    } finally {
      this.#reading = false;
    }
  }

  /** Reads and runs one command; false at the end of the stream. */
  async #turn(): Promise<boolean> {
    let answer: string | null;
    try {
      const request = await this.#read((limits) => this.#reader.command(limits));
      if (request === null) return false;
      const ok = await this.#execute(request);
      this.#errors = 0;
      answer = ok && this.#line('OK', ok.code ?? null, ok.text ?? 'done');
    } catch (error) {
      answer = this.#failure(error);
    }
    if (answer !== null) await this.connection.write(answer);
    return true;
  }

  #execute({ name, args }: Request): Promise<Ok | null> | Ok | null {
    const command = byName.get(name);
    if (!command) throw new SieveSyntaxError('unknown command');
    if (command.state === 'authenticated') {
      if (this.#account === null) throw new SieveSyntaxError('log in first');
      return command.run(this, args, this.#account);
    }
    if (command.state === 'not-authenticated' && this.#account !== null)
      throw new SieveSyntaxError('not after login');
    return command.run(this, args);
  }

  #line(word: 'OK' | 'NO' | 'BYE', code: string | null, text?: string): string {
    const said = text === undefined ? '' : ` ${string(this.say(text))}`;
    return `${word}${code === null ? '' : ` (${code})`}${said}\r\n`;
  }

  /** The answer to what went wrong; throws what ends the session. */
  #failure(error: unknown): string {
    const isEnd =
      error instanceof IdleTimeout ||
      error instanceof ConnectionLost ||
      error instanceof HandshakeError ||
      error instanceof SieveBye;
    if (isEnd || this.connection.signal.aborted) throw error;
    // RFC 5804 2.6: all that is wrong, for people to read.
    if (error instanceof SieveError) return `NO ${string(shown(error.complaints))}\r\n`;
    const known = refusal(error);
    if (!known) this.#log.error({ err: error }, 'ManageSieve command failed');
    else if (known.cause !== undefined) this.#log.warn({ err: known.cause }, 'ManageSieve command refused');
    if (!known) return this.#line('NO', 'TRYLATER', 'internal error, try again later');
    if (known instanceof SieveSyntaxError && ++this.#errors >= this.#world.settings.maxErrors) {
      this.#closing = true;
      return this.#line('BYE', null, 'too many errors');
    }
    return this.#line(this.#closing ? 'BYE' : 'NO', known.code, known.message);
  }

  #loginFailure(step: Exclude<SaslStep, { is: 'done' }>): SieveNo {
    if (step.is === 'failed' && step.reason === 'temporary')
      return new SieveNo('authentication is not possible at the moment', 'TRYLATER');
    if (++this.#authFailures >= this.#world.settings.maxAuthFailures) this.#closing = true;
    if (step.is === 'failed' && step.reason === 'limited')
      return new SieveNo('too many failed logins, try again later', 'TRYLATER');
    if (step.is === 'failed' && step.reason === 'credentials') return new SieveNo('wrong name or password');
    return new SieveSyntaxError('the authentication exchange is malformed');
  }

  async #ended(error: unknown): Promise<void> {
    if (error instanceof SieveBye) return this.#bye(error.message, null);
    if (error instanceof IdleTimeout) {
      this.#log.info({}, 'ManageSieve client was silent for too long');
      return this.#bye('you were silent for too long', null);
    }
    if (error instanceof ConnectionLost) this.#log.debug({}, 'ManageSieve client is gone');
    else if (error instanceof HandshakeError)
      this.#log.info({ reason: error.message }, 'TLS handshake failed');
    else this.#log.error({ err: error }, 'ManageSieve session broken off');
  }

  async #bye(text: string, code: string | null): Promise<void> {
    try {
      await this.connection.write(this.#line('BYE', code, text));
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    }
    await this.connection.end();
  }
}
