import type { Piece } from '../lib/pieces.ts';
import { SmtpError } from '../mail/reply.ts';
import { type Draft, type NewMessage, QueueFull } from '../queue/queue.ts';
import { HeaderSection } from './header.ts';
import { type BareNewline, LineEnds } from './line-ends.ts';

/**
 * One message on its way into the queue: content in, as it comes; at the end it is durable, or it never was.
 * Whatever goes wrong on the way is remembered and answered at the end, since a client that is sending a message
 * listens to nothing before that.
 */
export interface IncomingRules {
  readonly maxSize: number;
  readonly bareNewline: BareNewline;
  /** Written before all content: the trace fields. */
  readonly trace: string;
  /** Judges the header section, or the beginning of an overlong one, and may change it. Throws SmtpError to refuse. */
  header(section: Buffer, extent: 'whole' | 'beginning'): Promise<Buffer> | Buffer;
}

/** Content is read on after a refusal so that the client hears of it; but not for ever. */
const MAX_DISCARDED = 256 * 1024 * 1024;

const BLANK_LINE = Buffer.from('\r\n');

export class Incoming {
  readonly #draft: Draft;
  readonly #rules: IncomingRules;
  readonly #lineEnds: LineEnds;
  #header: HeaderSection | undefined = new HeaderSection();
  #refusal: SmtpError | undefined;
  #size = 0;
  #finished: Promise<void> | undefined;

  constructor(draft: Draft, rules: IncomingRules) {
    this.#draft = draft;
    this.#rules = rules;
    this.#lineEnds = new LineEnds(rules.bareNewline);
  }

  get id(): Draft['id'] {
    return this.#draft.id;
  }

  /** Octets of content so far. */
  get size(): number {
    return this.#size;
  }

  get refusal(): SmtpError | undefined {
    return this.#refusal;
  }

  /** The client sends on and on into a message that was refused long ago. */
  get overrun(): boolean {
    return this.#size > this.#rules.maxSize + MAX_DISCARDED;
  }

  /** Resolves when there is room for more. Never rejects. */
  take(chunk: Buffer): Promise<void> | undefined {
    this.#size += chunk.length;
    if (this.#refusal) return undefined;
    if (this.#size > this.#rules.maxSize) {
      this.refuse(new SmtpError(552, '5.3.4', 'Message too big'));
      return undefined;
    }
    const content = this.#lineEnds.take(chunk);
    if (content === 'bare') return this.#refuseBare();
    return this.#pass(content);
  }

  /** The whole message as it will be queued, nothing more may come; undefined when it has been refused. */
  async pieces(): Promise<readonly Piece[] | undefined> {
    await this.#finish();
    if (this.#refusal) return undefined;
    try {
      return await this.#draft.pieces();
    } catch (error) {
      this.refuse(error);
      return undefined;
    }
  }

  /**
   * Resolves when the message is durable.
   * @throws SmtpError with the reply to give; then nothing is left of the message.
   */
  async commit(message: NewMessage): Promise<void> {
    await this.#finish();
    if (this.#refusal) throw this.#refusal;
    try {
      await this.#draft.commit(message);
    } catch (error) {
      this.refuse(error);
      throw this.#refusal;
    }
  }

  /** The message is not wanted any more, for the first reason given. */
  refuse(reason: unknown): void {
    this.#refusal ??= asRefusal(reason);
    this.abort();
  }

  abort(): void {
    this.#draft.abort().catch(() => {
      // Nothing hangs on it: what an abort leaves behind is removed at the next start.
    });
  }

  #refuseBare(): undefined {
    this.refuse(new SmtpError(550, '5.6.11', 'Lines must end with CRLF: lone CR or LF in message'));
  }

  #finish(): Promise<void> {
    this.#finished ??= this.#end();
    return this.#finished;
  }

  async #end(): Promise<void> {
    if (this.#refusal) return;
    const missing = this.#lineEnds.end();
    if (missing === 'bare') {
      this.#refuseBare();
      return;
    }
    if (missing.length > 0) await this.#pass(missing);
    const header = this.#header;
    this.#header = undefined;
    if (header) await this.#judge(header.end(), 'whole', undefined);
  }

  #pass(content: Buffer): Promise<void> | undefined {
    if (!this.#header) return this.#write(content);
    const part = this.#header.take(content);
    if (part.is === 'open') return undefined;
    this.#header = undefined;
    return this.#judge(part.header, part.is === 'complete' ? 'whole' : 'beginning', part.rest);
  }

  #judge(header: Buffer, extent: 'whole' | 'beginning', rest: Buffer | undefined): Promise<void> | undefined {
    try {
      const judged = this.#rules.header(header, extent);
      if (judged instanceof Promise)
        return judged.then(
          (kept) => this.#writeStart(kept, rest),
          (error: unknown) => this.refuse(error),
        );
      return this.#writeStart(judged, rest);
    } catch (error) {
      this.refuse(error);
      return undefined;
    }
  }

  #writeStart(header: Buffer, rest: Buffer | undefined): Promise<void> | undefined {
    // A message that ends within its header gets the blank line that RFC 5322 2.1 lets it do without.
    return this.#writeAll([Buffer.from(this.#rules.trace), header, rest ?? BLANK_LINE]);
  }

  #writeAll(pieces: readonly Buffer[]): Promise<void> | undefined {
    const [first, ...others] = pieces;
    if (!first) return undefined;
    const written = this.#write(first);
    return written === undefined ? this.#writeAll(others) : written.then(() => this.#writeAll(others));
  }

  #write(bytes: Buffer): Promise<void> | undefined {
    if (this.#refusal || bytes.length === 0) return undefined;
    try {
      return this.#draft.write(bytes)?.catch((error: unknown) => this.refuse(error));
    } catch (error) {
      this.refuse(error);
      return undefined;
    }
  }
}

/** What to tell the client of an error of ours. */
export function asRefusal(error: unknown): SmtpError {
  if (error instanceof SmtpError) return error;
  if (isDiskFull(error)) return new SmtpError(452, '4.3.1', 'Insufficient system storage', error);
  return new SmtpError(451, '4.3.0', 'Internal error, try again later', error);
}

function isDiskFull(error: unknown): boolean {
  if (error instanceof QueueFull) return true;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT';
}
