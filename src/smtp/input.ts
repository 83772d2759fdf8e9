import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import type { Framing } from './framing.ts';

/**
 * Cuts what a client sends into command lines and message content. Replaces smtp-server's reading altogether
 * (it keeps lines that end in a lone LF, and yields for every dotted line); what stays is its place in the pipe.
 *
 * Holds at most one unfinished command line and the chunk at hand: while a command is being worked on, nothing
 * more is read, so a client cannot make us buffer.
 */
export interface InputSink {
  /** False until the greeting is sent: any octet before it is an offence. */
  readonly ready: boolean;
  /** How long a line that begins like this may be, without its line end. */
  lineLimit(start: Buffer): number;
  /** A command line, without its CRLF. */
  line(line: Buffer): Promise<void> | undefined;
  /** A line that is none: too long, or ended by a lone LF. It is gone. */
  badLine(fault: 'too-long' | 'bare-lf'): Promise<void> | undefined;
  content(chunk: Buffer): Promise<void> | undefined;
  contentEnd(): Promise<void> | undefined;
  /** All complete input is done: time to send what waits, and to wait until it is sent. */
  idle(): Promise<void> | undefined;
  earlyTalk(): void;
  /** A bug of ours: nothing sensible can follow. */
  broken(error: unknown): void;
}

/** Lines handled without giving other connections a turn. */
const MAX_LINES_AT_ONCE = 100;

const CR = 0x0d;
const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

export class Input extends SMTPStream {
  readonly #sink: InputSink;
  #framing: Framing | undefined;
  #chunk: Buffer = NOTHING;
  #at = 0;
  /** The beginning of a line whose end has not come yet. */
  #held: Buffer = NOTHING;
  /** Within a line that was too long already. */
  #skipping = false;
  #next: (() => void) | undefined;
  #waiting = false;
  /** Lines and pieces since others had a turn: a promise that is kept at once gives them none. */
  #turns = 0;

  constructor(sink: InputSink) {
    super();
    this.#sink = sink;
  }

  /** From the next octet on, content comes. */
  expect(framing: Framing): void {
    this.#framing = framing;
  }

  /** Whether a command is being worked on: the client waits for us, not we for it. */
  get waiting(): boolean {
    return this.#waiting;
  }

  get inContent(): boolean {
    return this.#framing !== undefined;
  }

  /** Whether the client has sent on behind the present command. */
  get more(): boolean {
    return this.#at < this.#chunk.length;
  }

  override _write(chunk: Buffer, _encoding: string, next: () => void): void {
    if (this.isClosed) {
      next();
      return;
    }
    if (!this.#sink.ready) {
      this.#sink.earlyTalk();
      next();
      return;
    }
    this.#chunk = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    this.#at = 0;
    this.#turns = 0;
    this.#next = next;
    this.#run();
  }

  #run(): void {
    try {
      for (;;) {
        if (++this.#turns > MAX_LINES_AT_ONCE) {
          setImmediate(() => {
            this.#turns = 0;
            this.#run();
          });
          return;
        }
        const step = this.isClosed ? 'starved' : this.#framing ? this.#content(this.#framing) : this.#line();
        if (step === 'starved') break;
        if (step !== undefined) {
          this.#continueAfter(step);
          return;
        }
      }
      const idle = this.isClosed ? undefined : this.#sink.idle();
      if (idle !== undefined) void this.#finishAfter(idle);
      else this.#finish();
    } catch (error) {
      this.#sink.broken(error);
      this.#finish();
    }
  }

  #line(): Promise<void> | undefined | 'starved' {
    const chunk = this.#chunk;
    const start = this.#at;
    const lf = chunk.indexOf(LF, start);
    if (lf < 0) {
      if (this.#skipping) return 'starved';
      const rest = chunk.subarray(start);
      // The CR of a line end that is on its way does not count.
      if (rest.length > this.#sink.lineLimit(rest) + 1) this.#skipping = true;
      // A copy: the rest of a big chunk would otherwise stay in memory behind it.
      else if (rest.length > 0) this.#held = Buffer.from(rest);
      return 'starved';
    }
    this.#at = lf + 1;
    if (this.#skipping) {
      this.#skipping = false;
      return this.#sink.badLine('too-long');
    }
    if (lf === start || chunk[lf - 1] !== CR) return this.#sink.badLine('bare-lf');
    const line = chunk.subarray(start, lf - 1);
    if (line.length > this.#sink.lineLimit(line)) return this.#sink.badLine('too-long');
    return this.#sink.line(line);
  }

  #content(framing: Framing): Promise<void> | undefined | 'starved' {
    if (!this.more && !framing.complete) return 'starved';
    const { content, next, ended } = framing.take(this.#chunk, this.#at);
    this.#at = next;
    const written = content.length > 0 ? this.#sink.content(content) : undefined;
    if (!ended) return written;
    this.#framing = undefined;
    return written === undefined ? this.#sink.contentEnd() : written.then(() => this.#sink.contentEnd());
  }

  #continueAfter(step: Promise<void>): void {
    this.#waiting = true;
    step.then(
      () => {
        this.#waiting = false;
        this.#run();
      },
      (error: unknown) => {
        this.#waiting = false;
        this.#sink.broken(error);
        this.#finish();
      },
    );
  }

  async #finishAfter(idle: Promise<void>): Promise<void> {
    this.#waiting = true;
    await idle;
    this.#waiting = false;
    this.#finish();
  }

  #finish(): void {
    this.#chunk = NOTHING;
    this.#at = 0;
    const next = this.#next;
    this.#next = undefined;
    next?.();
  }
}
