import { isUtf8 } from 'node:buffer';
import { decodeModifiedUtf7 } from '../mail/modified-utf7.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import { parseInternalDate } from '../message/date.ts';
import { ImapBad, ImapNo } from './errors.ts';
import type { SeqNumber, SeqRange, SequenceSet } from './sequence-set.ts';

/**
 * Reads one command, literals in place, one method per rule of the formal syntax (RFC 9051 9). Linear; throws only
 * ImapBad, which names the offending byte, and ImapNo for mailbox names that cannot be.
 */

/** Longer names are no mailbox; RFC 9051 5.1 sets no limit, file systems have 255. */
const MAX_MAILBOX_NAME = 1024;
/** RFC 9051 9: nz-number < 2^32. */
const MAX_NUMBER = 4_294_967_295;

/** `"17-Jul-1996 02:44:25 -0700"` */
const DATE_TIME = 28;

const SP = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const STAR = 0x2a;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const TILDE = 0x7e;

/** RFC 9051 9: ATOM-CHAR is any CHAR but ( ) { SP CTL % * " \ and ]. */
const ATOM = 1;
/** ASTRING-CHAR: also ]. */
const ASTRING = 2;
/** list-char: also % and *. */
const LIST = 4;
const TAG = 8;

const CLASSES: Uint8Array = classes();

function classes(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0x21; byte < 0x7f; byte++) {
    const char = String.fromCharCode(byte);
    if ('(){"\\'.includes(char)) continue;
    const wild = char === '%' || char === '*';
    let bits = LIST;
    if (!wild) bits |= ASTRING;
    if (!wild && char !== ']') bits |= ATOM;
    if (!wild && char !== '+') bits |= TAG;
    table[byte] = bits;
  }
  return table;
}

/** What a command was read into: its bytes, and messages that were too big to stay among them. */
export interface CommandSource {
  /** Lines and literals as they came, `{n}` and its CRLF included; without the last CRLF. */
  readonly bytes: Buffer;
  /** Literals kept elsewhere, by the offset in `bytes` where their octets would begin. */
  readonly spooled?: ReadonlyMap<number, RawMessage>;
}

export interface ParserOptions {
  /** Quoted strings and mailbox names are UTF-8: the client enabled IMAP4rev2 or UTF8=ACCEPT. */
  readonly utf8?: boolean;
  /** `utf8-only`: no command says in which charset it is (RFC 9755 3), for all is UTF-8. */
  readonly charsets?: 'any' | 'utf8-only';
  /** `uids`: the client has given up sequence numbers (RFC 9586). */
  readonly numbers?: 'all' | 'uids';
}

/** Thrown where the bytes end right after a literal's announcement: it has not been read yet. */
export class LiteralAhead extends ImapBad {
  readonly literal8: boolean;

  constructor(at: number, literal8: boolean) {
    super('A literal is missing', at);
    this.literal8 = literal8;
  }
}

/** Comes with each message that is appended: without the stack, which is most of the work and which nobody reads. */
function literalAhead(at: number, literal8: boolean): LiteralAhead {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return new LiteralAhead(at, literal8);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

export class Parser {
  /** The command came as `UID <name>`: numbers in it are UIDs. */
  uid = false;
  readonly utf8: boolean;
  readonly charsets: 'any' | 'utf8-only';
  readonly numbers: 'all' | 'uids';
  readonly #bytes: Buffer;
  readonly #spooled: ReadonlyMap<number, RawMessage> | undefined;
  #at = 0;

  constructor(source: CommandSource, options: ParserOptions = {}) {
    this.#bytes = source.bytes;
    this.#spooled = source.spooled;
    this.utf8 = options.utf8 ?? false;
    this.charsets = options.charsets ?? 'any';
    this.numbers = options.numbers ?? 'all';
  }

  /** The offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next byte, or -1 at the end. */
  get peek(): number {
    return this.#bytes[this.#at] ?? -1;
  }

  /** Whether `char` is next. */
  next(char: string): boolean {
    return this.peek === char.charCodeAt(0);
  }

  get isDigit(): boolean {
    return this.peek >= 0x30 && this.peek <= 0x39;
  }

  /** Whether a letter follows the next byte. */
  get letterAfterNext(): boolean {
    const byte = (this.#bytes[this.#at + 1] ?? 0) | 0x20;
    return byte >= 0x61 && byte <= 0x7a;
  }

  /** Whether a digit follows the next byte. */
  get digitAfterNext(): boolean {
    const byte = this.#bytes[this.#at + 1] ?? 0;
    return byte >= 0x30 && byte <= 0x39;
  }

  /** The bytes from `at` up to here. */
  textSince(at: number): string {
    return this.#bytes.toString('latin1', at, this.#at);
  }

  fail(text: string, at: number = this.#at): never {
    throw new ImapBad(text, at);
  }

  sp(): this {
    if (this.peek !== SP) this.fail(this.atEnd ? 'Arguments are missing' : 'A space is missing');
    this.#at++;
    return this;
  }

  /** Takes these characters, in any case. */
  take(text: string): this {
    if (!this.tryTake(text)) this.fail(`"${text}" is missing`);
    return this;
  }

  /** Takes these characters, in any case, if they are next. */
  tryTake(text: string): boolean {
    const end = this.#at + text.length;
    if (end > this.#bytes.length) return false;
    if (this.#bytes.toString('latin1', this.#at, end).toUpperCase() !== text.toUpperCase()) return false;
    this.#at = end;
    return true;
  }

  /** Whether this word is next and nothing or a space follows it. */
  isWord(word: string): boolean {
    const end = this.#at + word.length;
    const after = this.#bytes[end];
    if (after !== undefined && after !== SP) return false;
    return this.#bytes.toString('latin1', this.#at, end).toUpperCase() === word;
  }

  tag(): string {
    return this.#run(TAG, 'A tag is missing');
  }

  atom(): string {
    return this.#run(ATOM, 'An atom is missing');
  }

  /** A word of a command's syntax, upper case: atoms that end at `[` too, for FETCH items. */
  keyword(): string {
    const start = this.#at;
    while ((CLASSES[this.peek] ?? 0) & ATOM && this.peek !== OPEN_BRACKET) this.#at++;
    if (this.#at === start) this.fail('A word is missing');
    return this.#bytes.toString('latin1', start, this.#at).toUpperCase();
  }

  /** RFC 9051 9, astring: as bytes. */
  astring(): Buffer {
    if (this.peek === QUOTE || this.peek === OPEN_BRACE) return this.string();
    return Buffer.from(this.#run(ASTRING, 'A string is missing'), 'latin1');
  }

  /** An astring as text: user names, passwords. */
  astringText(): string {
    return this.astring().toString();
  }

  /** RFC 9051 9, string: quoted or literal. */
  string(): Buffer {
    if (this.peek === QUOTE) return this.#quoted();
    if (this.peek === OPEN_BRACE || this.peek === TILDE) return this.#literal();
    return this.fail('A string is missing');
  }

  nstring(): Buffer | null {
    return this.tryTake('NIL') ? null : this.string();
  }

  /** A mailbox name, decoded; INBOX in any case is INBOX (RFC 9051 5.1). Throws ImapNo where it can be none. */
  mailbox(): string {
    return this.decodeMailbox(this.astring());
  }

  /** LIST's pattern: like a mailbox, with % and *; not NIL-safe, not canonical. What can be no name matches none. */
  listMailbox(): string {
    const bytes =
      this.peek === QUOTE || this.peek === OPEN_BRACE
        ? this.string()
        : Buffer.from(this.#run(LIST, 'A mailbox pattern is missing'), 'latin1');
    return this.#mailboxText(bytes, 'pattern');
  }

  /** Decodes a name as `mailbox()` does. */
  decodeMailbox(bytes: Buffer): string {
    const name = this.#mailboxText(bytes);
    return /^inbox(?=\/|$)/i.test(name) ? `INBOX${name.slice(5)}` : name;
  }

  #mailboxText(bytes: Buffer, what: 'name' | 'pattern' = 'name'): string {
    if (bytes.length > MAX_MAILBOX_NAME) throw new ImapNo('The mailbox name is too long', 'CANNOT');
    const text = bytes.toString();
    if (bytes.some((byte) => byte >= 0x80)) {
      // Not allowed before UTF-8 is enabled, but its meaning is plain (RFC 9051 5.1).
      if (!isUtf8(bytes)) this.fail('The mailbox name is not UTF-8');
      const name = netUnicode(text);
      // Who speaks UTF-8 must know it; with names that changed on the way the client would lose track (RFC 9051 5.1).
      if (this.utf8 && name !== text) throw new ImapNo('The mailbox name is not normalised (NFC)', 'CANNOT');
      return name;
    }
    if (this.utf8) return netUnicode(text);
    const decoded = decodeModifiedUtf7(text);
    if (decoded === undefined && what === 'name')
      throw new ImapNo('The mailbox name is not modified UTF-7', 'CANNOT');
    return netUnicode(decoded ?? text);
  }

  /** number: 32 bits, unsigned. */
  number(): number {
    const start = this.#at;
    const value = this.#digits('A number is missing');
    if (value > MAX_NUMBER) this.fail('The number is too big', start);
    return value;
  }

  nzNumber(): number {
    const start = this.#at;
    const value = this.number();
    if (value === 0) this.fail('The number must not be 0', start);
    return value;
  }

  /** number64, mod-sequence-value: 63 bits; what is beyond 2^53 stands for "beyond everything". */
  number64(): number {
    const start = this.#at;
    const value = this.#digits('A number is missing');
    if (this.#at - start > 19) this.fail('The number is too big', start);
    return Math.min(value, Number.MAX_SAFE_INTEGER);
  }

  sequenceSet(): SequenceSet {
    const at = this.#at;
    if (this.tryTake('$')) return { ranges: '$', at };
    const ranges: SeqRange[] = [];
    do {
      const first = this.#seqNumber();
      ranges.push({ first, last: this.#takeByte(COLON) ? this.#seqNumber() : first });
    } while (this.#takeByte(COMMA));
    return { ranges, at };
  }

  /** RFC 7162 7: known-uids and uid sets of VANISHED: ranges without `*`. */
  uidSet(): SequenceSet {
    const set = this.sequenceSet();
    if (set.ranges === '$' || set.ranges.some((range) => range.first === '*' || range.last === '*'))
      this.fail('The set must consist of numbers', set.at);
    return set;
  }

  /** `(item item …)`, at least one item unless `empty`. */
  list<T>(item: (p: this) => T, size: 'filled' | 'empty' = 'filled'): T[] {
    this.take('(');
    const items: T[] = [];
    if (size === 'empty' && this.tryTake(')')) return items;
    do items.push(item(this));
    while (this.#takeByte(SP));
    this.take(')');
    return items;
  }

  /** A flag to store: a keyword or a system flag; \Recent is not ours to set (RFC 9051 9, flag). */
  flag(): string {
    const at = this.#at;
    if (this.peek !== BACKSLASH) return this.atom();
    this.#at++;
    const name = this.atom().toLowerCase();
    const flag = SYSTEM_FLAGS.get(name);
    return flag ?? this.fail(`\\${name} is no flag that can be set`, at);
  }

  /** flag-list: `(…)`, maybe empty. */
  flagList(): string[] {
    return this.list((p) => p.flag(), 'empty');
  }

  get isList(): boolean {
    return this.peek === OPEN;
  }

  /** date: `1-Feb-1994`, quoted or not: midnight UTC of that day, in milliseconds. */
  date(): number {
    const quoted = this.tryTake('"');
    const at = this.#at;
    const match = /^(\d{1,2})-([A-Za-z]{3})-(\d{4})/.exec(this.#bytes.toString('latin1', at, at + 11));
    const month = MONTHS.indexOf((match?.[2] ?? '').toLowerCase());
    if (!match || month < 0) return this.fail('A date such as 1-Feb-1994 is missing');
    const day = Number(match[1]);
    const time = utc(Number(match[3]), month, day);
    if (new Date(time).getUTCDate() !== day) this.fail('There is no such day', at);
    this.#at += match[0].length;
    if (quoted) this.take('"');
    return time;
  }

  /** date-time of APPEND: `"17-Jul-1996 02:44:25 -0700"`, in milliseconds since the epoch. */
  dateTime(): number {
    const text = this.#bytes.toString('latin1', this.#at, this.#at + DATE_TIME);
    const date = /^".*"$/.test(text) ? parseInternalDate(text.slice(1, -1)) : undefined;
    if (!date) return this.fail('A date such as "17-Jul-1996 02:44:25 -0700" is missing');
    this.#at += DATE_TIME;
    return date.ms;
  }

  get isQuoted(): boolean {
    return this.peek === QUOTE;
  }

  /** APPEND's message: a literal, kept elsewhere when it was big. `literal8` allows `~{n}`. */
  message(): RawMessage | Buffer {
    const start = this.#at;
    const at = this.#literalStart();
    const spooled = this.#spooled?.get(at.start);
    if (spooled) {
      this.#at = at.start;
      return spooled;
    }
    this.#at = start;
    return this.#literal();
  }

  /** The end of the command; the dispatcher asks for it after every `parse`. */
  end(): void {
    if (!this.atEnd) this.fail('Nothing more belongs here');
  }

  #takeByte(byte: number): boolean {
    if (this.peek !== byte) return false;
    this.#at++;
    return true;
  }

  #run(kind: number, missing: string): string {
    const start = this.#at;
    while ((CLASSES[this.peek] ?? 0) & kind) this.#at++;
    if (this.#at === start) this.fail(missing);
    return this.#bytes.toString('latin1', start, this.#at);
  }

  #digits(missing: string): number {
    const start = this.#at;
    let value = 0;
    for (let byte = this.peek; byte >= 0x30 && byte <= 0x39; byte = this.peek) {
      value = value * 10 + byte - 0x30;
      this.#at++;
    }
    if (this.#at === start) this.fail(missing);
    return value;
  }

  #seqNumber(): SeqNumber {
    return this.#takeByte(STAR) ? '*' : this.nzNumber();
  }

  #quoted(): Buffer {
    const start = this.#at++;
    let plain = true;
    for (;;) {
      const byte = this.peek;
      if (byte < 0) this.fail('The quoted string has no end', start);
      if (byte === QUOTE) break;
      if (byte === 0x0d || byte === 0x0a || byte === 0) this.fail('Not allowed in a quoted string');
      if (byte === BACKSLASH) {
        plain = false;
        this.#at++;
        if (this.peek !== QUOTE && this.peek !== BACKSLASH) this.fail('Only \\ and " are escaped', this.#at);
      }
      this.#at++;
    }
    const bytes = this.#bytes.subarray(start + 1, this.#at++);
    // Before UTF-8 is enabled, 8-bit octets are no syntax at all, and tolerated as what they are.
    if (this.utf8 && !isUtf8(bytes)) this.fail('The string is not UTF-8', start);
    return plain ? bytes : Buffer.from(bytes.toString('latin1').replace(/\\(.)/g, '$1'), 'latin1');
  }

  #literal(): Buffer {
    const { start, size } = this.#literalStart();
    if (start + size > this.#bytes.length) this.fail('The literal is not complete');
    this.#at = start + size;
    const bytes = this.#bytes.subarray(start, this.#at);
    return bytes;
  }

  /** Reads `{n}` and its line end; where the octets begin. */
  #literalStart(): { start: number; size: number } {
    const head = /^(~?)\{(\d{1,20})\+?\}(\r\n)?/.exec(
      this.#bytes.toString('latin1', this.#at, this.#at + 27),
    );
    if (!head) return this.fail('A literal is missing');
    if (head[3] === undefined) {
      if (this.#at + head[0].length === this.#bytes.length) throw literalAhead(this.#at, head[1] !== '');
      this.fail('A literal is not followed by its line end', this.#at + head[0].length);
    }
    return { start: this.#at + head[0].length, size: Number(head[2]) };
  }
}

/** RFC 9051 2.3.2. */
export const SYSTEM_FLAGS: ReadonlyMap<string, string> = new Map(
  ['\\Answered', '\\Flagged', '\\Deleted', '\\Seen', '\\Draft'].map((flag) => [
    flag.slice(1).toLowerCase(),
    flag,
  ]),
);

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** Date.UTC reads the years 0 to 99 as 1900 to 1999. */
function utc(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month, day);
  return date.getTime();
}

/** RFC 6855 3, RFC 5198 2: NFC, and no control characters or line separators. */
function netUnicode(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those that a name must not hold.
  if (/[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(name))
    throw new ImapNo('A mailbox name has no control characters', 'CANNOT');
  return name.normalize('NFC');
}
