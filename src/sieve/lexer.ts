/** The words of a script (RFC 5228 8.1). Linear in its input; complains through `onError` and goes on. */

export type Token =
  | { readonly is: 'word'; readonly text: string; readonly at: number }
  | { readonly is: 'tag'; readonly text: string; readonly at: number }
  | { readonly is: 'number'; readonly value: number; readonly at: number }
  | { readonly is: 'string'; readonly text: string; readonly at: number }
  | { readonly is: ';' | ',' | '(' | ')' | '{' | '}' | '[' | ']' | 'end'; readonly at: number };

/** RFC 5228 2.4.1: quantifiers are powers of two. */
const QUANTIFIERS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

const SPACE = /[ \t\r\n]+/y;
const HASH_COMMENT = /#[^\n]*/y;
const WORD = /[A-Za-z_][A-Za-z0-9_]*/y;
const NUMBER = /(\d+)([A-Za-z0-9_]*)/y;
/** RFC 5228 8.1, multi-line: blanks and a comment may stand behind the colon. */
const TEXT_START = /:[ \t]*(?:#[^\n]*)?\r?\n/y;
const PUNCTUATION = new Set([';', ',', '(', ')', '{', '}', '[', ']']);

export class Lexer {
  readonly #source: string;
  readonly #onError: (at: number, message: string) => void;
  #at = 0;

  constructor(source: string, onError: (at: number, message: string) => void) {
    this.#source = source;
    this.#onError = onError;
  }

  next(): Token {
    for (;;) {
      this.#skip();
      const at = this.#at;
      const char = this.#source[at];
      if (char === undefined) return { is: 'end', at };
      if (PUNCTUATION.has(char)) {
        this.#at++;
        return { is: char as ';', at };
      }
      if (char === '"') return { is: 'string', text: this.#quoted(), at };
      if (char === ':') {
        this.#at++;
        const text = this.#take(WORD);
        if (text !== '') return { is: 'tag', text: text.toLowerCase(), at };
        this.#onError(at, 'a colon without the name of a tag behind it');
        continue;
      }
      const word = this.#take(WORD);
      if (word !== '') {
        if (word.toLowerCase() === 'text' && this.#source[this.#at] === ':' && this.#take(TEXT_START) !== '')
          return { is: 'string', text: this.#multiLine(at), at };
        return { is: 'word', text: word.toLowerCase(), at };
      }
      const number = this.#number(at);
      if (number !== undefined) return number;
      const code = this.#source.codePointAt(at) ?? 0;
      this.#at += code > 0xffff ? 2 : 1;
      const shown = code < 0x20 || code === 0x7f ? `control character ${code}` : String.fromCodePoint(code);
      this.#onError(at, `unexpected ${shown}`);
      // Whatever else is unexpected here is one mistake.
      while (
        this.#at < this.#source.length &&
        /[^\sA-Za-z0-9_"#:;,(){}[\]/]/.test(this.#source[this.#at] ?? '')
      )
        this.#at++;
    }
  }

  #skip(): void {
    for (;;) {
      const before = this.#at;
      this.#take(SPACE);
      this.#take(HASH_COMMENT);
      if (this.#source.startsWith('/*', this.#at)) {
        const end = this.#source.indexOf('*/', this.#at + 2);
        if (end < 0) {
          this.#onError(this.#at, 'the comment has no end');
          this.#at = this.#source.length;
        } else this.#at = end + 2;
      }
      if (this.#at === before) return;
    }
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #number(at: number): Token | undefined {
    NUMBER.lastIndex = at;
    const found = NUMBER.exec(this.#source);
    if (!found) return undefined;
    this.#at += found[0].length;
    const factor = QUANTIFIERS[(found[2] ?? '').toLowerCase()];
    if (factor === undefined) {
      this.#onError(at, `${found[0]} is no number: behind the digits only K, M or G may stand`);
      return { is: 'number', value: 0, at };
    }
    const value = Number(found[1]) * factor;
    if (value <= Number.MAX_SAFE_INTEGER) return { is: 'number', value, at };
    this.#onError(at, `the number ${found[0]} is too big`);
    return { is: 'number', value: 0, at };
  }

  #quoted(): string {
    const start = this.#at++;
    let text = '';
    for (;;) {
      const char = this.#source[this.#at++];
      if (char === undefined) {
        this.#at = this.#source.length;
        this.#onError(start, 'the string has no closing quotation mark');
        return text;
      }
      if (char === '"') break;
      // RFC 5228 2.4.2: before any other character the backslash means nothing.
      text += char === '\\' ? (this.#source[this.#at++] ?? '') : char;
    }
    if (text.includes('\0')) this.#onError(start, 'a string must not contain NUL');
    return text.replace(/\r?\n/g, '\r\n');
  }

  #multiLine(start: number): string {
    const lines: string[] = [];
    while (this.#at < this.#source.length) {
      const lf = this.#source.indexOf('\n', this.#at);
      const end = lf < 0 ? this.#source.length : lf;
      const line = this.#source.slice(this.#at, end).replace(/\r$/, '');
      this.#at = Math.min(end + 1, this.#source.length);
      if (line === '.') {
        const text = lines.map((one) => `${one}\r\n`).join('');
        if (text.includes('\0')) this.#onError(start, 'a string must not contain NUL');
        return text;
      }
      // RFC 5228 2.4.2: dot-stuffed.
      lines.push(line.startsWith('..') ? line.slice(1) : line);
    }
    this.#onError(start, 'the text has no end: a line with only a dot is missing');
    return lines.join('\r\n');
  }
}
