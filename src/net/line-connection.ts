import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Accepted, LineConnection, Peer, TlsState } from './connection.ts';
import { DeflatedSocket } from './deflated-socket.ts';
import { ConnectionLost, IdleTimeout, LineTooLong } from './errors.ts';
import { handshake, type TlsContext, tlsState } from './handshake.ts';

/**
 * Lines and octets on request over one socket. What nobody asked for stays in the kernel but for one chunk; an idle
 * connection holds no buffer and, unless somebody reads with a timeout, no timer. STARTTLS and COMPRESS change the socket
 * in place.
 */

/** What is skipped of a line that is too long before the caller hears of it again, so that it can lose patience. */
const MAX_SKIPPED = 1024 * 1024;
/** So much of a line that is too long is told. */
const START = 200;
/** `ahead` looks no further than this into what has arrived. */
const MAX_PEEK = 65_536;
/** So many octets of a literal must come within each timeout: a trickle is as good as silence. */
const MIN_PROGRESS = 4096;
/** After our last word the peer may finish its own for so long, and so much, or TCP might throw our last word away. */
const LINGER_MS = 2000;
const MAX_LINGER_OCTETS = 65_536;

const EMPTY: Buffer = Buffer.alloc(0);
const LF = 0x0a;
const CR = 0x0d;

export interface LineConnectionOptions {
  /** null where STARTTLS is not offered. */
  readonly tls: TlsContext | null;
  readonly handshakeTimeoutMs: number;
  /** A peer that takes nothing for so long is cut off. */
  readonly writeTimeoutMs: number;
}

export class SocketLineConnection implements LineConnection {
  readonly sid: string;
  readonly peer: Peer;
  readonly #options: LineConnectionOptions;
  #socket: Duplex;
  #tls: TlsState | null;
  /** Unread octets are `#start` to `#end`; the part before `#scanned` has no LF. */
  #buffer: Buffer = EMPTY;
  #start = 0;
  #end = 0;
  #scanned = 0;
  #skipping = false;
  /** No more octets will come. */
  #ended = false;
  #closed = false;
  #corked = false;
  #error: unknown;
  #wake: (() => void) | null = null;
  #drained: Promise<void> | null = null;
  #controller: AbortController | null = null;

  constructor(accepted: Accepted, options: LineConnectionOptions) {
    this.sid = accepted.sid;
    this.peer = accepted.peer;
    this.#socket = accepted.socket;
    this.#tls = accepted.tls;
    this.#options = options;
    this.#attach();
  }

  get tls(): TlsState | null {
    return this.#tls;
  }

  /** Most connections are never waited on, so the signal is made when first asked for. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#closed) this.#controller.abort(new ConnectionLost(this.#error));
    }
    return this.#controller.signal;
  }

  get ahead(): Buffer {
    if (this.#end - this.#start < MAX_PEEK) this.#pull();
    return this.#buffer.subarray(this.#start, Math.min(this.#end, this.#start + MAX_PEEK));
  }

  async readLine(options: { readonly maxBytes: number; readonly timeoutMs: number }): Promise<Buffer | null> {
    const { maxBytes, timeoutMs } = options;
    let skipped = 0;
    const deadline = new Deadline(timeoutMs, () => this.#wake?.());
    try {
      for (;;) {
        const lf = this.#indexOfLf();
        if (this.#skipping) {
          skipped += this.#skipTo(lf);
          // The peer still sends the same line: the caller may count that as another offence.
          if (this.#skipping && skipped > MAX_SKIPPED) throw new LineTooLong(EMPTY);
          if (!this.#skipping) continue;
        } else if (lf >= 0) {
          return this.#takeLine(lf, maxBytes);
        } else if (this.#end - this.#start > maxBytes + 1) {
          const start = this.#startOfLine();
          this.#skipping = true;
          this.#skipTo(-1);
          throw new LineTooLong(start);
        }
        if (this.#pull()) continue;
        // A line without its end was not meant to be acted on (the peer may have died in the middle of it).
        if (this.#ended) return null;
        if (deadline.passed) throw new IdleTimeout();
        deadline.start();
        await this.#readable();
      }
    } finally {
      deadline.clear();
    }
  }

  /** All octets must be taken before the next line is read. */
  async *readOctets(size: number, options: { readonly timeoutMs: number }): AsyncGenerator<Buffer> {
    let left = size;
    let progress = 0;
    const deadline = new Deadline(options.timeoutMs, () => this.#wake?.());
    try {
      while (left > 0) {
        if (this.#start === this.#end && !this.#pull()) {
          if (this.#ended) throw new ConnectionLost(this.#error);
          if (deadline.passed) throw new IdleTimeout();
          deadline.start();
          await this.#readable();
          continue;
        }
        const chunk = this.#take(Math.min(left, this.#end - this.#start));
        left -= chunk.length;
        progress += chunk.length;
        if (progress >= MIN_PROGRESS) {
          progress = 0;
          deadline.clear();
        }
        yield chunk;
      }
    } finally {
      deadline.clear();
    }
  }

  write(data: string | Uint8Array): Promise<void> | undefined {
    const socket = this.#socket;
    if (this.#closed || socket.destroyed || socket.writableEnded) throw new ConnectionLost(this.#error);
    this.#cork(socket);
    const room = typeof data === 'string' ? socket.write(data, 'latin1') : socket.write(data);
    return room ? undefined : this.#drain();
  }

  async startTls(): Promise<void> {
    const { tls, handshakeTimeoutMs } = this.#options;
    if (!tls || this.#tls) throw new Error('STARTTLS is not possible on this connection');
    // Whatever came before our answer left was sent in the clear, by whomever (CVE-2011-0411; RFC 3207 6, RFC 2595 4).
    this.#buffer = EMPTY;
    this.#start = this.#end = this.#scanned = 0;
    this.#skipping = false;
    this.#socket.read();
    await this.#flushed();
    const plain = this.#socket;
    if (!(plain instanceof Socket)) throw new Error('STARTTLS is not possible inside of compression');
    this.#detach();
    const secure = await handshake(plain, tls, handshakeTimeoutMs).catch((error: unknown) => {
      this.#onClose();
      throw error;
    });
    this.#socket = secure;
    this.#tls = tlsState(secure);
    this.#attach();
  }

  get compressed(): boolean {
    return this.#socket instanceof DeflatedSocket;
  }

  async compress(): Promise<void> {
    await this.#flushed();
    const plain = this.#socket;
    if (!(plain instanceof Socket)) throw new Error('compression is active already');
    this.#detach();
    // Sent with the command, before our answer: whatever it is, it is no line any more (RFC 4978 3).
    if (this.#start < this.#end) plain.unshift(this.#buffer.subarray(this.#start, this.#end));
    this.#buffer = EMPTY;
    this.#start = this.#end = this.#scanned = 0;
    this.#socket = new DeflatedSocket(plain);
    this.#attach();
  }

  async end(): Promise<void> {
    const socket = this.#socket;
    if (this.#closed || socket.destroyed) return;
    socket.off('readable', this.#onReadable);
    this.#ended = true;
    this.#wake?.();
    const timer = setTimeout(() => socket.destroy(), this.#options.writeTimeoutMs);
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      socket.end(() => resolve());
    });
    clearTimeout(timer);
    linger(socket);
  }

  destroy(): void {
    this.#socket.destroy();
    this.#onClose();
  }

  /** The position of the next LF, or -1; octets are looked at once. */
  #indexOfLf(): number {
    if (this.#scanned === this.#end) return -1;
    const lf = this.#buffer.subarray(0, this.#end).indexOf(LF, this.#scanned);
    this.#scanned = lf < 0 ? this.#end : lf;
    return lf;
  }

  #takeLine(lf: number, maxBytes: number): Buffer {
    const line = this.#take(lf + 1 - this.#start);
    // Some clients end lines with LF alone; it can do no harm where no line is passed on to others.
    const length = line.length - (line.length > 1 && line[line.length - 2] === CR ? 2 : 1);
    if (length > maxBytes) throw new LineTooLong(Buffer.from(line.subarray(0, START)));
    return line.subarray(0, length);
  }

  /** A copy, which keeps nothing else alive. */
  #startOfLine(): Buffer {
    return Buffer.from(this.#buffer.subarray(this.#start, Math.min(this.#start + START, this.#end)));
  }

  #take(size: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + size);
    this.#start += size;
    if (this.#scanned < this.#start) this.#scanned = this.#start;
    // Nothing is kept for a connection that has nothing to say.
    if (this.#start === this.#end) {
      this.#buffer = EMPTY;
      this.#start = this.#end = this.#scanned = 0;
    }
    return taken;
  }

  /** Throws away up to and with the LF, or all there is; returns how much. */
  #skipTo(lf: number): number {
    if (lf >= 0) this.#skipping = false;
    return this.#take((lf < 0 ? this.#end : lf + 1) - this.#start).length;
  }

  /** Moves what has arrived into the buffer; false when nothing has. */
  #pull(): boolean {
    const chunk = this.#ended ? null : (this.#socket.read() as Buffer | null);
    if (chunk === null || chunk.length === 0) return false;
    if (this.#start === this.#end) {
      this.#buffer = chunk;
      this.#start = this.#scanned = 0;
      this.#end = chunk.length;
      return true;
    }
    if (this.#end + chunk.length > this.#buffer.length) {
      // Always a new buffer: lines handed out are views of the old one. Doubling keeps many small chunks linear.
      const kept = this.#end - this.#start;
      const larger = Buffer.allocUnsafe(2 * (kept + chunk.length));
      this.#buffer.copy(larger, 0, this.#start, this.#end);
      this.#buffer = larger;
      this.#scanned -= this.#start;
      this.#start = 0;
      this.#end = kept;
    }
    chunk.copy(this.#buffer, this.#end);
    this.#end += chunk.length;
    return true;
  }

  /** Resolves when there may be something to pull, at the end of the stream, or when somebody wakes it. */
  #readable(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = null;
        resolve();
      };
    });
  }

  /** Many small answers of one turn of the event loop leave in one packet (and one TLS record). */
  #cork(socket: Duplex): void {
    if (this.#corked) return;
    this.#corked = true;
    socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      socket.uncork();
    });
  }

  /** One promise for all who wait for the same room. Who does not wait must not hear of a loss either. */
  #drain(): Promise<void> {
    if (this.#drained !== null) return this.#drained;
    const socket = this.#socket;
    const drained = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => socket.destroy(), this.#options.writeTimeoutMs);
      const settle = (): void => {
        clearTimeout(timer);
        socket.off('drain', settle);
        socket.off('close', settle);
        this.#drained = null;
        if (socket.destroyed) reject(new ConnectionLost(this.#error));
        else resolve();
      };
      socket.once('drain', settle);
      socket.once('close', settle);
    });
    drained.catch(() => {});
    this.#drained = drained;
    return drained;
  }

  /** Resolves when all that was written has left for the kernel. */
  #flushed(): Promise<void> {
    const socket = this.#socket;
    if (this.#closed || socket.destroyed || socket.writableEnded)
      return Promise.reject(new ConnectionLost(this.#error));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => socket.destroy(), this.#options.writeTimeoutMs);
      socket.write('', (error) => {
        clearTimeout(timer);
        if (error) reject(new ConnectionLost(error));
        else resolve();
      });
    });
  }

  readonly #onReadable = (): void => this.#wake?.();

  readonly #onEnd = (): void => {
    this.#ended = true;
    this.#wake?.();
  };

  readonly #onError = (error: unknown): void => {
    this.#error = error;
  };

  readonly #onClose = (): void => {
    this.#ended = true;
    this.#closed = true;
    this.#wake?.();
    this.#controller?.abort(new ConnectionLost(this.#error));
  };

  #attach(): void {
    const socket = this.#socket;
    // A peer that has said its last word may still wait for our answers (`printf … | nc -N`).
    socket.allowHalfOpen = true;
    socket.on('readable', this.#onReadable);
    socket.on('end', this.#onEnd);
    socket.on('error', this.#onError);
    socket.on('close', this.#onClose);
    if (socket.destroyed) this.#onClose();
  }

  /** The plain socket keeps its error listener: an error without one would end the process. */
  #detach(): void {
    this.#socket.off('readable', this.#onReadable);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onClose);
  }
}

/** A timeout that costs a timer only when there is something to wait for. */
class Deadline {
  passed = false;
  readonly #ms: number;
  readonly #onPassed: () => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(ms: number, onPassed: () => void) {
    this.#ms = ms;
    this.#onPassed = onPassed;
  }

  start(): void {
    this.#timer ??= setTimeout(() => {
      this.passed = true;
      this.#onPassed();
    }, this.#ms);
  }

  clear(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.passed = false;
  }
}

/** Waits a moment for the peer to close: closing on unread octets sends a reset, which may overtake our last reply. */
function linger(socket: Duplex): void {
  if (socket.destroyed) return;
  let octets = 0;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    octets += chunk.length;
    if (octets > MAX_LINGER_OCTETS) socket.destroy();
  });
  socket.resume();
}
