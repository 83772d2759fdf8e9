/**
 * The octets of BODY[HEADER.FIELDS (...)] and BODY[HEADER.FIELDS.NOT (...)] (RFC 9051 6.4.5.1): the fields as they stand,
 * in their order, then a blank line. Made once for a list of names and used for many headers: it looks at the bytes and
 * makes no strings of them. What is a field, and what its name, is as in header.ts.
 */

export interface FieldSelection {
  readonly mode: 'only' | 'not';
  /** Compared without case. */
  readonly names: readonly string[];
}

/** Names letter by letter: however many there are, each octet of a field's name is looked at once. */
interface Letter {
  /** By their octets. */
  readonly next: (Letter | undefined)[];
  ends: 'a name' | 'no name';
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;
/** The most that is added to a header: a line end that was missing, and the blank line. */
const ENDING = 4;

export class FieldSelector {
  readonly #mode: 'only' | 'not';
  readonly #names: Letter = { next: [], ends: 'no name' };
  /** Lines that are no fields have the empty name. */
  readonly #junk: boolean;

  constructor({ mode, names }: FieldSelection) {
    this.#mode = mode;
    this.#junk = names.includes('');
    for (const name of names) {
      let letter = this.#names;
      for (const char of name.toLowerCase()) {
        const code = char.charCodeAt(0);
        let next = letter.next[code];
        if (!next) {
          next = { next: [], ends: 'no name' };
          letter.next[code] = next;
        }
        letter = next;
      }
      letter.ends = 'a name';
    }
  }

  /** What is selected of so many octets of header has at most so many. */
  static room(header: number): number {
    return header + ENDING;
  }

  /** Writes what is selected into `into` from `at` on, where there must be room; returns where it ends. */
  select(header: Uint8Array, into: Uint8Array, at: number): number {
    let to = at;
    let from = 0;
    let start = 0;
    while (start < header.length && !isBlankLine(header, start)) {
      const end = endOfField(header, start);
      if (this.#has(header, start, end) !== (this.#mode === 'only')) {
        // Neighbours go together.
        to = copy(header, from, start, into, to);
        from = end;
      }
      start = end;
    }
    to = copy(header, from, start, into, to);
    if (to > at && into[to - 1] !== LF) {
      into[to++] = CR;
      into[to++] = LF;
    }
    into[to++] = CR;
    into[to++] = LF;
    return to;
  }

  #has(header: Uint8Array, start: number, end: number): boolean {
    let letter: Letter | undefined = this.#names;
    let at = start;
    for (; at < end; at++) {
      const code = header[at] ?? 0;
      if (code <= SPACE || code >= 0x7f || code === COLON) break;
      letter = letter?.next[code >= 0x41 && code <= 0x5a ? code + 0x20 : code];
      if (!letter && !this.#junk) return false;
    }
    const nameEnd = at;
    while (at < end && (header[at] === SPACE || header[at] === TAB)) at++;
    if (nameEnd === start || header[at] !== COLON) return this.#junk;
    return letter?.ends === 'a name';
  }
}

/** Returns where it ends in `into`. */
function copy(header: Uint8Array, from: number, end: number, into: Uint8Array, at: number): number {
  if (from < end) into.set(header.subarray(from, end), at);
  return at + end - from;
}

function isBlankLine(header: Uint8Array, at: number): boolean {
  return header[at] === LF || (header[at] === CR && header[at + 1] === LF);
}

/** Past the last line of the field: a line that begins with a blank continues it. */
function endOfField(header: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const lineEnd = header.indexOf(LF, at);
    if (lineEnd < 0) return header.length;
    at = lineEnd + 1;
    const next = header[at];
    if (next !== SPACE && next !== TAB) return at;
  }
}
