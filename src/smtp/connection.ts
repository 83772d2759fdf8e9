import type { TLSSocket } from 'node:tls';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import type { SMTPServer } from 'smtp-server/lib/smtp-server.js';
import type { Reply } from '../mail/reply.ts';
import type { Accepted } from '../net/connection.ts';
import { HandshakeError, handshake, type TlsContext, tlsState } from '../net/handshake.ts';
import type { SmtpRoom } from './client.ts';
import type { Framing } from './framing.ts';
import { Input, type InputSink } from './input.ts';
import { Session, type Wire } from './session.ts';

/**
 * The socket's side of a session: smtp-server's connection, of which the life of the socket remains (its pipe, the
 * half-closed state after QUIT with its deadline, its end), and not its protocol, which is session.ts. Replies go
 * out in one write for all commands that came together; a client that does not read them is not read from.
 */

/** Below it a message may be slow: a first minute proves nothing. */
const RATE_GRACE = 60_000;

export class Connection extends SMTPConnection implements InputSink, Wire {
  readonly #room: SmtpRoom;
  readonly #tls: TlsContext;
  readonly #accepted: Accepted;
  readonly #session: Session;
  readonly #now: () => number;
  #replies = '';
  /** When the client was last answered, or last heard of within a message. */
  #since: number;
  /** Whether the present input had something complete in it. */
  #heard = false;
  #contentSince = 0;
  #contentSize = 0;
  /** Since when the client has not taken what we said. */
  #blockedSince: number | undefined;
  #greeting: NodeJS.Timeout | undefined;

  /** @param now a coarse clock: one reading for all connections, some times a second. */
  constructor(server: SMTPServer, room: SmtpRoom, tls: TlsContext, accepted: Accepted, now: () => number) {
    const { sid, peer, socket } = accepted;
    super(server, socket, {
      id: sid,
      remoteAddress: peer.ip,
      remotePort: peer.port,
      localAddress: peer.localIp,
      localPort: peer.localPort,
    });
    this.#room = room;
    this.#tls = tls;
    this.#accepted = accepted;
    this.#now = now;
    this.#since = now();
    this.secure = accepted.tls !== null;
    this.#session = new Session(room, this, sid, peer, accepted.tls);
  }

  get ready(): boolean {
    return this._ready;
  }

  override init(): void {
    const socket = this._socket;
    socket.on('close', this.#onClose);
    socket.on('error', this.#onSocketError);
    const { service, settings } = this.#room;
    const parser = this._parser;
    if (parser) socket.pipe(parser);
    if (service === 'smtp' && settings.greetingDelay > 0)
      this.#greeting = setTimeout(() => this.#greet(), settings.greetingDelay);
    else this.#greet();
  }

  /** Timeouts are ours, one sweep for all connections. */
  override _armTimeout(): void {}

  override _createParser(): Input {
    // Called by the constructor of the base: only the reference is taken.
    const input = new Input(this);
    input.on('error', (error) => this.broken(error));
    return input;
  }

  /** Of smtp-server itself; its own replies are not used, but none may get past ours. */
  override send(code: number, text?: string | string[] | null): void {
    this.reply({ code, text: [text ?? ''].flat().join('\n') });
    if (code === 421) this.close();
    else void this.flush();
  }

  reply(reply: Reply): void {
    if (!this._closing && !this._closed) this.#replies += replyLines(reply);
  }

  /** Sends what waits. @returns a promise when the client does not take it. */
  flush(): Promise<void> | undefined {
    if (this.#replies === '') return undefined;
    const replies = this.#replies;
    this.#replies = '';
    const socket = this._socket;
    // During a handshake the socket belongs to it.
    if (this._upgrading || !socket.writable) return undefined;
    if (socket.write(replies, 'latin1')) return undefined;
    this.#blockedSince = this.#now();
    return new Promise((resolve) => {
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done);
        this.#blockedSince = undefined;
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
  }

  override close(): void {
    if (this._closing || this._closed) return;
    void this.flush();
    super.close();
  }

  quit(): void {
    // Closing on octets that were not read resets the connection, and with it the reply (RFC 1122 4.2.2.13).
    if (this.more) {
      this.close();
      return;
    }
    void this.flush();
    this._closing = true;
    this._server.connections.delete(this);
    if (this._parser) this._parser.isClosed = true;
    this.#blockedSince = this.#now();
    this._socket.destroySoon();
  }

  lineLimit(start: Buffer): number {
    return this.#session.lineLimit(start);
  }

  line(line: Buffer): Promise<void> | undefined {
    this.#heard = true;
    return this.#session.line(line);
  }

  badLine(fault: 'too-long' | 'bare-lf'): Promise<void> | undefined {
    this.#heard = true;
    return this.#session.badLine(fault);
  }

  content(chunk: Buffer): Promise<void> | undefined {
    this.#heard = true;
    this.#contentSize += chunk.length;
    return this.#session.content(chunk);
  }

  contentEnd(): Promise<void> | undefined {
    return this.#session.contentEnd();
  }

  idle(): Promise<void> | undefined {
    // A part of a command proves nothing: it must be complete in time.
    if (this.#heard) this.#since = this.#now();
    this.#heard = false;
    return this.flush();
  }

  earlyTalk(): void {
    if (this._closing) return;
    this.#room.log.info({ sid: this.id, ip: this.#accepted.peer.ip }, 'client talked before the greeting');
    this.reply({ code: 554, text: `${this.#room.hostname} Wait for the greeting` });
    this.close();
  }

  broken(error: unknown): void {
    this.#room.log.error({ sid: this.id, ip: this.#accepted.peer.ip, err: error }, 'session broke');
    this.#part({ code: 421, enhanced: '4.3.0', text: `${this.#room.hostname} Internal error` });
  }

  expect(framing: Framing): void {
    this.#contentSince = this.#now();
    this.#contentSize = 0;
    this.#input?.expect(framing);
  }

  get more(): boolean {
    return this.#input?.more ?? false;
  }

  startTls(): void {
    void this.flush();
    void this.#handshake();
  }

  /** The server stops. */
  stop(): void {
    if (this._upgrading) this._socket.destroy();
    else {
      this.#session.stop();
      void this.flush();
    }
  }

  /** The grace is over. */
  stopNow(): void {
    this.#part({ code: 421, enhanced: '4.3.2', text: `${this.#room.hostname} is stopping` });
  }

  /** Ends the session of a client that takes too long. */
  sweep(now: number): void {
    const { timeouts, minDataRate } = this.#room.settings;
    if (this.#blockedSince !== undefined) {
      // Nothing can be said to it: it does not listen.
      if (now - this.#blockedSince > timeouts.command) this._socket.destroy();
      return;
    }
    if (this._closing || this._closed || this._upgrading || !this._ready) return;
    const input = this.#input;
    // It waits for us.
    if (!input || input.waiting) return;
    if (!input.inContent) {
      if (now - this.#since > timeouts.command) this.#tooSlow('Timeout');
      return;
    }
    const age = now - this.#contentSince;
    if (now - this.#since > timeouts.data || age > timeouts.message) this.#tooSlow('Timeout');
    else if (age > RATE_GRACE && this.#contentSize * 1000 < minDataRate * age) this.#tooSlow('Too slow');
  }

  override _onClose(): void {
    clearTimeout(this.#greeting);
    super._onClose();
    this.#session.gone();
  }

  get #input(): Input | undefined {
    return this._parser instanceof Input ? this._parser : undefined;
  }

  #greet(): void {
    if (this._closing || this._closed) return;
    this._ready = true;
    this.#since = this.#now();
    this.#session.greet();
    void this.flush();
  }

  #tooSlow(text: string): void {
    const { sid, peer } = this.#accepted;
    this.#room.log.info({ sid, ip: peer.ip }, 'session timed out');
    this.#part({ code: 421, enhanced: '4.4.2', text: `${this.#room.hostname} ${text}` });
  }

  #part(reply: Reply): void {
    this.#session.reset();
    this.reply(reply);
    this.close();
  }

  /**
   * What the client has sent behind STARTTLS in the clear is in the old input, which is closed: it never gets to
   * the session that TLS protects (CVE-2011-0411).
   */
  async #handshake(): Promise<void> {
    const raw = this._socket;
    const old = this._parser;
    if (old) {
      raw.unpipe(old);
      old.isClosed = true;
    }
    this._parser = this._createParser();
    this._upgrading = true;
    try {
      const secure: TLSSocket = await handshake(raw, this.#tls, this.#room.settings.timeouts.tls);
      if (this._closed || !this._parser) {
        secure.destroy();
        return;
      }
      this._socket = secure;
      this._upgrading = false;
      this.secure = true;
      secure.on('error', this.#onSocketError);
      const state = tlsState(secure);
      this.#since = this.#now();
      this.#session.secured(state);
      this.#room.log.debug({ sid: this.id, ip: this.#accepted.peer.ip, tls: state.version }, 'tls started');
      secure.pipe(this._parser);
    } catch (error) {
      this.#handshakeFailed(error);
    }
  }

  #handshakeFailed(error: unknown): void {
    const { sid, peer } = this.#accepted;
    const reason = error instanceof Error ? error.message : String(error);
    const fields = { sid, ip: peer.ip, reason };
    if (error instanceof HandshakeError && error.kind === 'noise') this.#room.log.debug(fields, 'tls failed');
    else this.#room.log.info(fields, 'tls failed');
    this._socket.destroy();
  }

  readonly #onClose = (): void => this._onClose();

  readonly #onSocketError = (error: Error): void => {
    // 'close' follows and does the rest; peers that go away are everyday business.
    this.#room.log.debug({ sid: this.id, ip: this.#accepted.peer.ip, reason: error.message }, 'socket error');
  };
}

/** RFC 5321 4.2.1; enhanced codes on each line (RFC 2034 4). */
function replyLines({ code, enhanced, text }: Reply): string {
  const prefix = enhanced === undefined ? '' : `${enhanced} `;
  if (!text.includes('\n')) return `${code} ${prefix}${text}\r\n`;
  const lines = text.split('\n');
  return lines.map((line, i) => `${code}${i < lines.length - 1 ? '-' : ' '}${prefix}${line}\r\n`).join('');
}
