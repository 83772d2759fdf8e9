/**
 * Address lists of header fields (RFC 5322 3.4, with the obsolete syntax of 4.4): lenient, linear, never throws.
 * What cannot be an address keeps its text as a name, so that nothing a person wrote disappears.
 * Encoded words stay encoded: ENVELOPE shows them as they are, decodeWords() reads them.
 */
import { trimBlanks } from './header.ts';

export interface Mailbox {
  readonly is: 'mailbox';
  /** The display name, or else the last comment. */
  readonly name: string | null;
  /** The obsolete source route, `@a,@b`. */
  readonly route: string | null;
  /** Unquoted; null when the text has none. */
  readonly local: string | null;
  /** null when the text has none. */
  readonly domain: string | null;
}

export interface Group {
  readonly is: 'group';
  readonly name: string;
  readonly members: readonly Mailbox[];
}

/** @param value an unfolded field value; one char an octet, or decoded. */
export function parseAddressList(value: string): (Mailbox | Group)[] {
  const simple = simpleMailbox(value);
  if (simple) return [simple];
  return new AddressListParser(value).list();
}

/** One mailbox in the plainest form, as most fields have it: read at once. What is not quite so goes the long way. */
const SIMPLE =
  /^(?:([\w'-]+(?: [\w'-]+)*) |"([^"\\\s]+(?: [^"\\\s]+)*)" )?<([^\s()<>@,;:"[\]\\.]+(?:\.[^\s()<>@,;:"[\]\\.]+)*)@([\w-]+(?:\.[\w-]+)*)>$/;
/** Longer values are left to the parser, which is linear; it keeps the pattern's cost small. */
const MAX_SIMPLE = 200;

function simpleMailbox(value: string): Mailbox | undefined {
  if (value.length > MAX_SIMPLE) return undefined;
  const match = SIMPLE.exec(value);
  if (match === null) return undefined;
  const [, words, quoted, local = null, domain = null] = match;
  return { is: 'mailbox', name: words ?? quoted ?? null, route: null, local, domain };
}

/** `space`: blanks or a comment came before it. */
interface Token {
  readonly kind: 'word' | 'quoted' | 'dot' | 'at' | 'literal';
  readonly text: string;
  readonly space: boolean;
}

/** Specials that end an atom; the rest of RFC 5322 3.2.3's list is junk here and taken as it stands. */
const ATOM = /[^\s()<>@,;:."[\\]+/y;
/** An encoded word with specials in it, which RFC 2047 5 forbids and some write; bounded, so that this stays linear. */
const ENCODED_WORD = /=\?[^?\s]{1,80}\?[bq]\?[^?\s]{0,200}\?=/iy;

class AddressListParser {
  readonly #text: string;
  #at = 0;
  /** Openers that were never closed: from then on they are plain characters, or the search would be quadratic. */
  readonly #unclosed = new Set<string>();
  #comment: string | null = null;

  constructor(text: string) {
    this.#text = text;
  }

  list(): (Mailbox | Group)[] {
    const found: (Mailbox | Group)[] = [];
    let members = found as (Mailbox | Group)[] | Mailbox[];
    let group: string | null = null;
    const endGroup = () => {
      if (group !== null) found.push({ is: 'group', name: group, members: members as Mailbox[] });
      group = null;
      members = found;
    };
    for (;;) {
      const { mailbox, end } = this.#address(group === null ? ',;:' : ',;');
      // The name of a group is a phrase; a colon after an address can only part it from the next.
      if (end === ':' && (mailbox === null || mailbox.domain === null)) {
        group = mailbox?.name ?? mailbox?.local ?? '';
        members = [];
        continue;
      }
      if (mailbox) (members as Mailbox[]).push(mailbox);
      if (end === ';') endGroup();
      if (end === '') {
        endGroup();
        return found;
      }
    }
  }

  /** One address, up to one of `ends` (skipped and given) or the end of the text (''). null where nothing stands. */
  #address(ends: string): { mailbox: Mailbox | null; end: string } {
    this.#comment = null;
    const before: Token[] = [];
    const after: Token[] = [];
    let angle: Token[] | undefined;
    for (;;) {
      const space = this.#skipBlanks();
      const char = this.#text.charAt(this.#at);
      if (char === '' || ends.includes(char)) {
        this.#at++;
        return { mailbox: this.#mailbox(before, angle, after), end: char };
      }
      if (char === '<' && angle === undefined) {
        this.#at++;
        angle = this.#angle();
      } else (angle === undefined ? before : after).push(this.#token(space));
    }
  }

  /** To `>`; one that is not closed ends at a comma that is not part of a route. */
  #angle(): Token[] {
    const tokens: Token[] = [];
    for (;;) {
      const space = this.#skipBlanks();
      const char = this.#text.charAt(this.#at);
      if (char === '>') {
        this.#at++;
        return tokens;
      }
      if (char === '' || (char === ',' && tokens[0]?.kind !== 'at') || char === '<') return tokens;
      tokens.push(this.#token(space));
    }
  }

  #mailbox(before: Token[], angle: Token[] | undefined, after: Token[]): Mailbox | null {
    if (angle) {
      const { route, rest } = splitRoute(angle);
      const { local, domain, others } = splitAddress(rest);
      const name = textOf(before) || textOf(after) || this.#comment || textOf(others) || null;
      return { is: 'mailbox', name, route, local, domain };
    }
    // Nothing, or a comment alone, is no address.
    if (before.length === 0) return null;
    const { local, domain, others } = splitAddress(before);
    return { is: 'mailbox', name: textOf(others) || this.#comment || null, route: null, local, domain };
  }

  #token(space: boolean): Token {
    const char = this.#text.charAt(this.#at);
    if (char === '"') {
      const text = this.#delimited('"');
      if (text !== undefined) return { kind: 'quoted', text, space };
    }
    if (char === '[') {
      const text = this.#delimited(']');
      if (text !== undefined) return { kind: 'literal', text: `[${text}]`, space };
    }
    if (char === '@' || char === '.') {
      this.#at++;
      return { kind: char === '@' ? 'at' : 'dot', text: char, space };
    }
    if (char === '\\') {
      // A quoted pair outside quotes (obsolete).
      this.#at += 2;
      return { kind: 'word', text: this.#text.charAt(this.#at - 1), space };
    }
    for (const pattern of [ENCODED_WORD, ATOM]) {
      pattern.lastIndex = this.#at;
      const text = pattern.exec(this.#text)?.[0];
      if (text !== undefined) {
        this.#at += text.length;
        return { kind: 'word', text, space };
      }
    }
    // A special where none belongs.
    this.#at++;
    return { kind: 'word', text: char, space };
  }

  /** From an opener to `close`, without quoted pairs' backslashes; undefined, and nothing taken, when it is not closed. */
  #delimited(close: '"' | ']'): string | undefined {
    if (this.#unclosed.has(close)) return undefined;
    let text = '';
    let from = this.#at + 1;
    for (let at = from; at < this.#text.length; at++) {
      const char = this.#text.charAt(at);
      if (char === '\\') {
        text += this.#text.slice(from, at);
        from = ++at;
      } else if (char === close) {
        this.#at = at + 1;
        return text + this.#text.slice(from, at);
      }
    }
    this.#unclosed.add(close);
    return undefined;
  }

  /** Skips blanks and comments, and keeps the last comment. */
  #skipBlanks(): boolean {
    const start = this.#at;
    for (;;) {
      const char = this.#text.charAt(this.#at);
      if (char === ' ' || char === '\t' || char === '\r' || char === '\n') this.#at++;
      else if (char !== '(' || !this.#skipComment()) return this.#at > start;
    }
  }

  #skipComment(): boolean {
    if (this.#unclosed.has('(')) return false;
    let depth = 0;
    let text = '';
    let from = this.#at + 1;
    for (let at = this.#at; at < this.#text.length; at++) {
      const char = this.#text.charAt(at);
      if (char === '\\') {
        text += this.#text.slice(from, at);
        from = ++at;
      } else if (char === '(') depth++;
      else if (char === ')' && --depth === 0) {
        this.#comment = trimBlanks(text + this.#text.slice(from, at)) || null;
        this.#at = at + 1;
        return true;
      }
    }
    this.#unclosed.add('(');
    return false;
  }
}

function splitRoute(tokens: Token[]): { route: string | null; rest: Token[] } {
  if (tokens[0]?.kind !== 'at') return { route: null, rest: tokens };
  const colon = tokens.findIndex((token) => token.text === ':');
  if (colon < 0) return { route: null, rest: tokens };
  return {
    route: tokens
      .slice(0, colon)
      .map(({ text }) => text)
      .join(''),
    rest: tokens.slice(colon + 1),
  };
}

/** The address around the last `@`; what does not belong to it is `others`. */
function splitAddress(tokens: Token[]): { local: string | null; domain: string | null; others: Token[] } {
  const at = tokens.findLastIndex((token) => token.kind === 'at');
  if (at < 0) {
    // A single local part; or words, or a quoted string, that more likely are a name.
    return isDotted(tokens)
      ? { local: joined(tokens), domain: null, others: [] }
      : { local: null, domain: null, others: tokens };
  }
  let start = at;
  while (start > 0 && belongs(tokens, start - 1, tokens[start])) start--;
  let end = at + 1;
  while (end < tokens.length && (end === at + 1 || belongs(tokens, end, tokens[end - 1]))) end++;
  return {
    local: joined(tokens.slice(start, at)) || null,
    domain: joined(tokens.slice(at + 1, end)) || null,
    others: [...tokens.slice(0, start), ...tokens.slice(end)],
  };
}

/** Whether the token at `index` goes on from its `neighbour` nearer to the `@`: no blank between, or a dot beside it. */
function belongs(tokens: readonly Token[], index: number, neighbour: Token | undefined): boolean {
  const token = tokens[index];
  if (token === undefined || neighbour === undefined) return false;
  if (neighbour.kind === 'at') return true;
  const right = tokens[index + 1] === neighbour ? neighbour : token;
  return !right.space || token.kind === 'dot' || neighbour.kind === 'dot';
}

function isDotted(tokens: readonly Token[]): boolean {
  return tokens.length > 0 && tokens.every(({ kind, space }, i) => kind !== 'quoted' && (i === 0 || !space));
}

function joined(tokens: readonly Token[]): string {
  return tokens.map(({ text }) => text).join('');
}

function textOf(tokens: readonly Token[]): string {
  return trimBlanks(tokens.map(({ text, space }) => (space ? ` ${text}` : text)).join(''));
}
