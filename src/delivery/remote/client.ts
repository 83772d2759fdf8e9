import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import type { SecureContext } from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import DataStream from 'nodemailer/lib/smtp-connection/data-stream';
import type { Reply } from '../../mail/reply.ts';
import type { DeliveryTimeouts } from '../options.ts';
import { type Endpoint, openSocket, reasonOf } from './connect.ts';
import type { Extensions } from './envelope.ts';
import { isPositive, parsePeerReply } from './peer-reply.ts';
import { SessionError } from './session-error.ts';
import { type TlsUsed, tlsOf } from './tls-used.ts';
import type { Progress, Transaction } from './transaction.ts';

/** A reply that does not end by then ends the session; RFC 5321 4.5.3.1.5 asks for 512 octets a line. */
const MAX_REPLY = 64 * 1024;
/** How long a peer may take to say good-bye to our QUIT. */
const QUIT_WAIT = 5000;

export interface ClientOptions extends Endpoint {
  /** The host's name, for SNI and its certificate; undefined for an address literal. */
  readonly servername: string | undefined;
  /** What we call ourselves in EHLO. */
  readonly helo: string;
  readonly localAddress?: string;
  /** `starttls`: when offered; `required`: always; `implicit`: from the first byte. */
  readonly tls: 'none' | 'starttls' | 'required' | 'implicit';
  /** Which certificates are good. */
  readonly secureContext: SecureContext;
  readonly timeouts: DeliveryTimeouts;
}

/** The parts of SMTPConnection that its declarations leave out. */
interface Internals {
  readonly _ehloLines?: readonly string[];
  _responseActions: ((raw: string) => void)[];
  _sendCommand(line: string): void;
}

/**
 * One SMTP conversation as client, on nodemailer's SMTPConnection: that does the greeting, EHLO and HELO, STARTTLS,
 * AUTH and the framing of replies. Transactions are ours, so that every recipient has its own parameters and its own
 * reply, every wait has its deadline (RFC 5321 4.5.3.2), and the connection can be used again.
 */
export class SmtpClient extends SMTPConnection {
  readonly #timeouts: DeliveryTimeouts;
  readonly #inbox: string[] = [];
  #broken: SessionError | undefined;
  #wake: (() => void) | undefined;
  #transactions = 0;
  #extensions: Extensions = new Map();
  #tls: TlsUsed | undefined;

  /** Connects and says hello; rejects with a SessionError. */
  static async open(options: ClientOptions, signal: AbortSignal): Promise<SmtpClient> {
    const socket = await openSocket(options, {
      timeout: options.timeouts.connect,
      signal,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    const client = new SmtpClient(options, socket);
    await client.#until(signal, () => client.#sayHello());
    return client;
  }

  private constructor(options: ClientOptions, connection: Socket) {
    const { timeouts } = options;
    super({
      host: options.address,
      port: options.port,
      connection,
      name: options.helo,
      logger: false,
      maxResponseSize: MAX_REPLY,
      greetingTimeout: timeouts.greeting,
      // The library counts greeting and handshake as part of it.
      connectionTimeout: timeouts.greeting + 2 * timeouts.command,
      // A last resort: every wait of ours is shorter.
      socketTimeout: Math.max(timeouts.end, timeouts.greeting, timeouts.command) + 60_000,
      socketCloseTimeout: QUIT_WAIT,
      secure: options.tls === 'implicit',
      ignoreTLS: options.tls === 'none',
      requireTLS: options.tls === 'required',
      opportunisticTLS: options.tls === 'starttls',
      // Whether the certificate is good is looked at afterwards: it depends on the message.
      tls: { rejectUnauthorized: false, secureContext: options.secureContext },
      ...(options.servername === undefined ? {} : { servername: options.servername }),
    });
    this.#timeouts = timeouts;
    this.on('error', (error: Error & { response?: string }) => this.#fail(this.#explain(error)));
    this.on('end', () => this.#fail(this.#ended()));
  }

  /** What the peer announced, after STARTTLS where there was one. */
  get extensions(): Extensions {
    return this.#extensions;
  }

  /** undefined without TLS. */
  get tlsUsed(): TlsUsed | undefined {
    return this.#tls;
  }

  /** Messages handed over so far. */
  get transactions(): number {
    return this.#transactions;
  }

  /** Whether another transaction may be tried. */
  get usable(): boolean {
    return this.#broken === undefined;
  }

  /** Rejects with a SessionError of phase 'auth'. */
  async logIn(
    credentials: { readonly user: string; readonly password: string },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#until(signal, () =>
      this.#within(this.#timeouts.command, 'the answer to AUTH', (done, failed) => {
        this.login({ user: credentials.user, pass: credentials.password }, (error) => {
          if (!error) return done();
          const raw = 'response' in error ? String(error.response) : '';
          const reply = parsePeerReply(raw);
          failed(
            new SessionError(
              'auth',
              reply ? 'authentication failed' : 'no common way to authenticate',
              reply,
            ),
          );
        });
      }),
    );
  }

  /** One message. What was answered is in `progress` even when it rejects, which is with a SessionError. */
  async transact(transaction: Transaction, progress: Progress, signal: AbortSignal): Promise<void> {
    await this.#until(signal, () => this.#transact(transaction, progress));
  }

  /** QUIT, without waiting for long. */
  leave(): void {
    if (this.#broken) return;
    this.#broken = new SessionError('aborted', 'the connection was closed');
    const socket = this._socket;
    this.quit();
    if (socket) setTimeout(() => socket.destroy(), QUIT_WAIT).unref();
  }

  /** At once, without a word. */
  abandon(): void {
    this.#fail(new SessionError('aborted', 'delivery was stopped'));
    const socket = this._socket;
    this.close();
    if (socket) socket.destroy();
  }

  async #transact({ mail, rcpts, content }: Transaction, progress: Progress): Promise<void> {
    const { command, data } = this.#timeouts;
    const again = this.#transactions++ > 0;
    const pipelining = this.#extensions.has('PIPELINING');
    // RSET clears away what is left of the transaction before, and shows whether the peer is still there.
    const first = again ? ['RSET'] : [];
    if (pipelining) this.#sendTogether([...first, mail, ...rcpts, 'DATA']);
    else this.#sendTogether(first);
    if (again) await this.#reset();
    if (!pipelining) this.#send(mail);
    progress.mail = await this.#reply(command, 'the answer to MAIL');
    progress.started = true;
    if (!pipelining && !isPositive(progress.mail)) return;
    for (const rcpt of rcpts) {
      if (!pipelining) this.#send(rcpt);
      progress.rcpts.push(await this.#reply(command, 'the answer to RCPT'));
    }
    const accepted = isPositive(progress.mail) && progress.rcpts.some(isPositive);
    if (!pipelining) {
      if (!accepted) return;
      this.#send('DATA');
    }
    const go = await this.#reply(data, 'the answer to DATA');
    if (go.code >= 400) {
      if (accepted) progress.data = go;
      return;
    }
    if (!accepted) {
      // The peer wants a message although nobody is to get it (RFC 2920 3.1): it gets none, and is left.
      this.abandon();
      return;
    }
    await this.#sendContent(content());
    progress.data = await this.#lastReply();
  }

  async #reset(): Promise<void> {
    const reply = await this.#reply(this.#timeouts.command, 'the answer to RSET');
    if (!isPositive(reply)) throw this.#broke(new SessionError('transaction', 'RSET was refused', reply));
  }

  /** Stuffs dots and ends lines in CRLF, whatever the message has: nothing in it can look like the end. */
  async #sendContent(content: AsyncIterable<Uint8Array>): Promise<void> {
    const stuffing = new DataStream();
    const source = Readable.from(content, { objectMode: false });
    source.on('error', (error) => stuffing.destroy(error));
    source.pipe(stuffing);
    // From here on the next thing the peer may say is its answer to the message.
    this.#expect();
    const socket = this._socket;
    let written: Buffer = Buffer.alloc(0);
    try {
      // A small message leaves in one piece with its final dot.
      if (socket) socket.cork();
      for await (const block of stuffing as AsyncIterable<Buffer>) {
        if (this.#broken) throw this.#broken;
        // An answer before the end: whatever it is, what we send is no message to the peer any more.
        if (this.#inbox.length > 0) throw this.#broke(this.#earlyAnswer());
        written = block;
        if (socket && !socket.write(block)) await this.#drain(socket);
      }
    } catch (error) {
      // Lost while the final dot was on its way: it may have arrived.
      if (
        error instanceof SessionError &&
        error.phase === 'transaction' &&
        !error.reply &&
        endsInDot(written)
      )
        throw new SessionError('end', error.message, undefined, error);
      if (error instanceof SessionError) throw error;
      // Our own copy could not be read: the peer must not take the half for the whole.
      this.abandon();
      throw error;
    } finally {
      source.destroy();
      if (socket) socket.uncork();
    }
  }

  #earlyAnswer(): SessionError {
    const reply = parsePeerReply(this.#inbox.shift() ?? '');
    return new SessionError('transaction', 'the host answered before the end of the message', reply);
  }

  async #drain(socket: Socket): Promise<void> {
    socket.uncork();
    // What is sent while the socket was corked may have left already.
    if (socket.writableNeedDrain)
      await this.#within(this.#timeouts.block, 'the host to take the message', (done) => {
        socket.once('drain', done);
      });
    socket.cork();
  }

  async #lastReply(): Promise<Reply> {
    try {
      return await this.#reply(this.#timeouts.end, 'the answer to the message');
    } catch (error) {
      if (!(error instanceof SessionError) || error.phase === 'aborted' || error.reply) throw error;
      throw new SessionError('end', error.message, undefined, error);
    }
  }

  #sendTogether(lines: readonly string[]): void {
    const socket = this._socket;
    if (socket) socket.cork();
    for (const line of lines) this.#send(line);
    if (socket) socket.uncork();
  }

  #send(line: string): void {
    if (/[\r\n]/.test(line)) throw new Error('a command cannot have more than one line');
    if (this.#broken) return;
    this.#expect();
    this.#inner._sendCommand(line);
  }

  #expect(): void {
    if (this.#broken) return;
    this.#inner._responseActions.push((raw) => {
      this.#inbox.push(raw);
      this.#wake?.();
    });
  }

  async #reply(timeout: number, what: string): Promise<Reply> {
    if (this.#inbox.length === 0)
      await this.#within(timeout, what, (done) => {
        this.#wake = done;
      });
    const raw = this.#inbox.shift() ?? '';
    const reply = parsePeerReply(raw);
    if (!reply)
      throw this.#broke(new SessionError('transaction', 'the host answered with something that is no reply'));
    return reply;
  }

  #sayHello(): Promise<void> {
    const { greeting, command } = this.#timeouts;
    return this.#within(greeting + 2 * command, 'the greeting', (done, failed) => {
      this.connect((error) => {
        if (error) return failed(this.#explain(error));
        this.#extensions = new Map((this.#inner._ehloLines ?? []).map(extension));
        this.#tls = tlsOf(this._socket);
        done();
      });
    });
  }

  /** Runs `start`, which calls `done` or `failed`; rejects when the session ends before, or after `timeout`. */
  #within(
    timeout: number,
    what: string,
    start: (done: () => void, failed: (error: SessionError) => void) => void,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#wake = undefined;
        this.off('broken', onBroken);
        act();
      };
      const failed = (error: SessionError): void => settle(() => reject(this.#broke(error)));
      const onBroken = (): void => {
        // Replies that came before the end are still worth reading.
        if (this.#inbox.length > 0) settle(resolve);
        else settle(() => reject(this.#broken));
      };
      const timer = setTimeout(
        () => failed(new SessionError(this.#phase, `timed out while waiting for ${what}`)),
        timeout,
      );
      if (this.#broken) return onBroken();
      this.once('broken', onBroken);
      start(() => settle(resolve), failed);
    });
  }

  /** While `work` runs, the signal ends the session. */
  async #until<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const onAbort = (): void => this.abandon();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal.aborted) onAbort();
      return await work();
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #broke(error: SessionError): SessionError {
    this.#fail(error);
    this.close();
    if (this._socket) this._socket.destroy();
    return error;
  }

  #fail(error: SessionError): void {
    if (this.#broken) return;
    this.#broken = error;
    this.emit('broken');
  }

  #ended(): SessionError {
    // RFC 5321 3.8: a 421 says why, to whichever command it came.
    const last = parsePeerReply(this.lastServerResponse || '');
    const reply = last?.code === 421 ? last : undefined;
    return new SessionError(this.#phase, 'the host closed the connection', reply);
  }

  get #phase(): 'greeting' | 'transaction' {
    return this.#transactions > 0 ? 'transaction' : 'greeting';
  }

  #explain(error: Error & { response?: string | undefined }): SessionError {
    const reply = parsePeerReply(error.response ?? '');
    const phase = this.#isTls(error) ? 'tls' : this.#phase;
    const words = /^(?:Timeout|Greeting never received|TLS handshake timed out)$/.test(error.message)
      ? 'timed out'
      : /closed unexpectedly/.test(error.message)
        ? 'the host closed the connection'
        : reasonOf('cause' in error && error.cause !== undefined ? error.cause : original(error));
    return new SessionError(phase, words, reply, error);
  }

  #isTls(error: Error): boolean {
    return this.upgrading === true || ('code' in error && error.code === 'ETLS');
  }

  get #inner(): Internals {
    return this as unknown as Internals;
  }
}

/** The library puts its own code over the system's. */
function original(error: Error): Error {
  const code = 'originalCode' in error ? error.originalCode : undefined;
  return code === undefined ? error : Object.assign(new Error(error.message), { code });
}

function endsInDot(block: Buffer): boolean {
  return block.subarray(-3).toString('latin1') === '.\r\n';
}

function extension(line: string): [string, string] {
  const [, keyword = '', value = ''] = /^([^\s=]+)[\s=]*(.*)$/.exec(line) ?? [];
  return [keyword.toUpperCase(), value];
}
