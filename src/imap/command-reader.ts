import type { RawMessage } from '../mail/raw-message.ts';
import type { LineConnection } from '../net/connection.ts';
import { ConnectionLost, LineTooLong } from '../net/errors.ts';
import type { Announced, LiteralKind } from './command.ts';
import { ImapBad, ImapNo } from './errors.ts';
import type { CommandSource } from './parser.ts';
import type { Output } from './response.ts';
import { MAX_IN_MEMORY, type Spool } from './spool.ts';

/**
 * Reads whole commands: lines, and the literals they announce (RFC 9051 4.3, RFC 7888). Everything has a bound; what is
 * too big is refused before it is sent, or thrown away while it comes, and the connection lives on.
 */

/** RFC 2683 3.2.1.5 and RFC 7162 4 ask for 8,192 octets; clients send UID sets of 10,000 messages. */
const MAX_LINE = 128 * 1024;
/** Nobody needs more before login: the longest is ID with its 30 fields and values (RFC 2971 3.3). */
const MAX_LINE_BEFORE_LOGIN = 40 * 1024;
/** Literals that are arguments: mailbox names, search strings, passwords. */
const MAX_ARGUMENT = 64 * 1024;
/** All lines and literals of one command. */
const MAX_COMMAND = 512 * 1024;
/** Beside messages: this is parsed again with each of them, which must stay linear in what was sent. */
const MAX_BESIDE_MESSAGES = 128 * 1024;
/** Literals in one command: each costs a round trip or a parse. */
const MAX_LITERALS = 1000;
/** A refused literal that is already under way is read to its end, if it is not longer than this (RFC 7888 4). */
const MAX_DRAINED = 1024 ** 3;
const MAX_DRAINED_BEFORE_LOGIN = 1024 ** 2;

/** Literals that need no leave, of any size we take (RFC 7888). */
export const LITERAL_CAPABILITY = 'LITERAL+';

/** How a literal ends the line that announces it. */
const ANNOUNCED = /~?\{(\d{1,20})(\+?)\}$/;
/** `{n}` and what stands before it fit in this. */
const ANNOUNCEMENT = 25;

const CRLF = Buffer.from('\r\n');

export type Received =
  | { readonly is: 'command'; readonly source: CommandSource; readonly discard: () => Promise<void> }
  /** Refused while it was read; `line` is its beginning, for the tag. */
  | { readonly is: 'refused'; readonly line: Buffer; readonly reason: ImapNo | ImapBad }
  | { readonly is: 'closed' };

export interface ReadOptions {
  /** For the first line. */
  readonly timeoutMs: number;
  /** For all that follows it. */
  readonly literalTimeoutMs: number;
  readonly phase: 'before-login' | 'logged-in';
  /** Says what the announced literal is; throws the refusal. */
  readonly accept: (source: CommandSource, announced: Announced) => Promise<LiteralKind>;
}

export class CommandReader {
  readonly #connection: LineConnection;
  readonly #out: Output;
  readonly #spool: Spool;
  #bytes = 0;

  constructor(connection: LineConnection, out: Output, spool: Spool) {
    this.#connection = connection;
    this.#out = out;
    this.#spool = spool;
  }

  /** Octets read so far. */
  get bytes(): number {
    return this.#bytes;
  }

  async next(options: ReadOptions): Promise<Received> {
    const maxBytes = options.phase === 'logged-in' ? MAX_LINE : MAX_LINE_BEFORE_LOGIN;
    const parts: Buffer[] = [];
    const spooled = new Map<number, RawMessage>();
    const discards: (() => Promise<void>)[] = [];
    const discard = async (): Promise<void> => {
      for (const each of discards) await each();
    };
    let size = 0;
    let room = MAX_IN_MEMORY;
    let refusal: ImapNo | ImapBad | null = null;
    try {
      for (let literals = 0; ; literals++) {
        const timeoutMs = literals === 0 ? options.timeoutMs : options.literalTimeoutMs;
        const line = await this.#line(maxBytes, timeoutMs);
        if (line === null) {
          await discard();
          return { is: 'closed' };
        }
        const announced = announcedLiteral(line);
        if (refusal) {
          // The rest of a refused command whose literals need no leave to come.
          if (announced?.plus !== true) return { is: 'refused', line: parts[0] ?? line, reason: refusal };
          await this.#drain(announced.size, options);
          continue;
        }
        parts.push(line);
        size += line.length;
        const most = spooled.size > 0 ? MAX_BESIDE_MESSAGES : MAX_COMMAND;
        if (size > most) refusal = new ImapBad('The command is too long', most);
        if (!announced) {
          if (refusal) return { is: 'refused', line: parts[0] ?? line, reason: refusal };
          // Only the last line: a literal before it keeps its spaces.
          parts.push(trimmed(parts.pop() ?? line));
          return { is: 'command', source: { bytes: join(parts), spooled }, discard };
        }
        if (literals >= MAX_LITERALS) refusal = new ImapBad('The command has too many literals', size);
        let kind: LiteralKind = 'argument';
        if (!refusal) {
          try {
            kind = await options.accept({ bytes: join(parts), spooled }, announced);
            if (kind === 'argument' && (announced.size > MAX_ARGUMENT || size + announced.size > MAX_COMMAND))
              throw new ImapBad('The literal is too big', size, 'TOOBIG');
          } catch (error) {
            if (!(error instanceof ImapNo || error instanceof ImapBad)) throw error;
            refusal = error;
          }
        }
        if (refusal) {
          // A synchronising literal does not come when it is not asked for (RFC 9051 4.3).
          if (!announced.plus) return { is: 'refused', line: parts[0] ?? line, reason: refusal };
          await this.#drain(announced.size, options);
          continue;
        }
        if (!announced.plus) {
          this.#out.goOn('Go ahead');
          await this.#out.flush();
        }
        parts.push(CRLF);
        size += 2;
        const octets = this.#octets(announced.size, options);
        if (kind !== 'argument') {
          const how = kind === 'message' ? 'lines' : 'octets';
          const message = await this.#spool.keep(announced.size, octets, how, room);
          room = Math.max(room - announced.size, 0);
          discards.push(message.discard);
          if (message.refusal) refusal = message.refusal;
          else spooled.set(size, message.raw);
        } else {
          for await (const chunk of octets) parts.push(Buffer.from(chunk));
          size += announced.size;
        }
      }
    } catch (error) {
      await discard();
      if (!(error instanceof LineTooLong)) throw error;
      // The rest is skipped; its tag tells the client which command that was.
      const reason = new ImapBad('The line is too long', maxBytes);
      return { is: 'refused', line: parts[0] ?? error.start, reason };
    } finally {
      if (refusal) await discard();
    }
  }

  async #line(maxBytes: number, timeoutMs: number): Promise<Buffer | null> {
    const line = await this.#connection.readLine({ maxBytes, timeoutMs });
    if (line !== null) this.#bytes += line.length + 2;
    return line;
  }

  async *#octets(size: number, options: ReadOptions): AsyncGenerator<Buffer> {
    for await (const chunk of this.#connection.readOctets(size, { timeoutMs: options.literalTimeoutMs })) {
      this.#bytes += chunk.length;
      yield chunk;
    }
  }

  async #drain(size: number, options: ReadOptions): Promise<void> {
    if (size > (options.phase === 'logged-in' ? MAX_DRAINED : MAX_DRAINED_BEFORE_LOGIN))
      throw new LiteralTooBig();
    for await (const _ of this.#octets(size, options));
  }
}

/** A literal that nobody would wait for: the only way out is to close (RFC 7888 4). */
export class LiteralTooBig extends ConnectionLost {
  constructor() {
    super('a refused literal is too big to be thrown away');
  }
}

function announcedLiteral(line: Buffer): Announced | undefined {
  const match = ANNOUNCED.exec(line.toString('latin1', Math.max(0, line.length - ANNOUNCEMENT)));
  return match ? { size: Number(match[1]), plus: match[2] === '+' } : undefined;
}

function join(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only ? only : Buffer.concat(parts);
}

/** Some clients end a line with a space. */
function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x20) end--;
  return bytes.subarray(0, end);
}
