import type { LineConnection } from '../net/connection.ts';
import { LineTooLong } from '../net/errors.ts';
import { SieveBye, SieveNo, SieveSyntaxError } from './errors.ts';

/**
 * Commands as they come (RFC 5804 4): a word and arguments, each a quoted string, a literal or a number. Linear; what a peer
 * can make us hold has a bound.
 */

/** Of a command without its literals. */
const MAX_LINE = 16 * 1024;
/** Lines that literals cut one command into. */
const MAX_LITERALS = 8;
/** A literal that is too big is read and forgotten, so that the session goes on; one beyond this ends it. */
const MAX_SKIPPED = 64 * 1024 * 1024;

export type Argument =
  | { readonly is: 'string'; readonly octets: Buffer }
  | { readonly is: 'number'; readonly value: number };

export interface Request {
  /** Upper case. */
  readonly name: string;
  readonly args: readonly Argument[];
}

export interface ReadLimits {
  readonly timeoutMs: number;
  /** Octets that a literal of this command may have. */
  maxLiteral(name: string): number;
}

/** Blanks, then the next argument. RFC 5804 4: in quoted strings only `"` and `\` are quoted. */
const QUOTED = /[ \t]+"((?:[^"\\\r\n\0]|\\["\\])*)"/y;
const NUMBER = /[ \t]+(\d{1,10})(?=[ \t]|$)/y;
const LITERAL = /[ \t]*\{(\d{1,12})\+?\}$/y;
const END = /[ \t]*$/y;

export class RequestReader {
  readonly #connection: LineConnection;

  constructor(connection: LineConnection) {
    this.#connection = connection;
  }

  /** null at the end of the stream. Throws SieveSyntaxError, SieveNo (a literal too big), SieveBye, and what the connection throws. */
  async command(limits: ReadLimits): Promise<Request | null> {
    const line = await this.#line(limits.timeoutMs);
    if (line === null) return null;
    const word = /^[A-Za-z]{1,30}(?=[ \t{]|$)/.exec(line)?.[0];
    const name = word?.toUpperCase() ?? '';
    const args = await this.#arguments(name, line.slice(word?.length ?? 0), limits, word === undefined);
    if (word === undefined) throw new SieveSyntaxError('a command is expected');
    return { name, args };
  }

  /** A string alone on its line: what a client says in an authentication. null at the end of the stream. */
  async string(limits: ReadLimits): Promise<Buffer | null> {
    const line = await this.#line(limits.timeoutMs);
    if (line === null) return null;
    const args = await this.#arguments('AUTHENTICATE', ` ${line}`, limits, false);
    const [only] = args;
    if (only?.is !== 'string' || args.length > 1) throw new SieveSyntaxError('a string is expected');
    return only.octets;
  }

  /** Whatever is wrong with it, all of the command is read, literals too: what follows is the next one. */
  async #arguments(name: string, first: string, limits: ReadLimits, isBroken: boolean): Promise<Argument[]> {
    const args: Argument[] = [];
    let wrong: SieveNo | undefined = isBroken ? new SieveSyntaxError('a command is expected') : undefined;
    let rest = first;
    for (let literals = 0; ; literals++) {
      const size = literalSize(rest);
      const text = size === undefined ? rest : rest.replace(/[ \t]*\{\d+\+?\}$/, '');
      try {
        if (!wrong) args.push(...parsed(text));
      } catch (error) {
        if (!(error instanceof SieveSyntaxError)) throw error;
        wrong = error;
      }
      if (size === undefined) break;
      if (literals >= MAX_LITERALS || size > MAX_SKIPPED)
        throw new SieveBye('that is too much for one command');
      if (size > limits.maxLiteral(name))
        wrong ??= new SieveNo('the string is too big', isScript(name) ? 'QUOTA/MAXSIZE' : null);
      const octets = await this.#octets(size, limits.timeoutMs, wrong === undefined);
      args.push({ is: 'string', octets });
      const next = await this.#line(limits.timeoutMs);
      if (next === null) throw new SieveBye('the command has no end');
      rest = next;
    }
    if (wrong) throw wrong;
    return args;
  }

  async #line(timeoutMs: number): Promise<string | null> {
    try {
      const line = await this.#connection.readLine({ maxBytes: MAX_LINE, timeoutMs });
      return line === null ? null : line.toString('latin1');
    } catch (error) {
      if (error instanceof LineTooLong) throw new SieveSyntaxError('the line is too long');
      throw error;
    }
  }

  async #octets(size: number, timeoutMs: number, keep: boolean): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#connection.readOctets(size, { timeoutMs }))
      if (keep) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  }
}

function isScript(name: string): boolean {
  return name === 'PUTSCRIPT' || name === 'CHECKSCRIPT';
}

function literalSize(text: string): number | undefined {
  const at = text.lastIndexOf('{');
  if (at < 0) return undefined;
  LITERAL.lastIndex = at;
  const match = LITERAL.exec(text);
  return match ? Number(match[1]) : undefined;
}

function parsed(text: string): Argument[] {
  const args: Argument[] = [];
  let at = 0;
  for (;;) {
    END.lastIndex = at;
    if (END.test(text)) return args;
    QUOTED.lastIndex = at;
    const quoted = QUOTED.exec(text);
    if (quoted) {
      args.push({
        is: 'string',
        octets: Buffer.from((quoted[1] ?? '').replace(/\\(["\\])/g, '$1'), 'latin1'),
      });
      at = QUOTED.lastIndex;
      continue;
    }
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(text);
    if (!number) throw new SieveSyntaxError('an argument is no string and no number');
    args.push({ is: 'number', value: Number(number[1]) });
    at = NUMBER.lastIndex;
  }
}
