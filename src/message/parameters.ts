/**
 * Structured MIME field values: `value; name=value; …` (RFC 2045 5.1, RFC 2183 2) with RFC 2231 continuations and
 * charsets put together. Lenient where real mail is: missing quotes, missing semicolons, raw 8-bit. Linear, never throws.
 */
import { decodeBytes, decodeLenient } from './charset.ts';
import { trimBlanks } from './header.ts';

/** What stands before the first `;` (comments dropped, lower case) and the parameters, decoded. */
export interface StructuredValue {
  readonly value: string;
  readonly parameters: Record<string, string>;
  /** The boundary parameter as octets: it is compared with lines, not shown. */
  readonly boundary: string | undefined;
}

/** More than any mail has; further ones are ignored. */
const MAX_PARAMETERS = 256;

interface RawParameter {
  readonly name: string;
  readonly value: string;
}

/** @param text an unfolded field value, one char an octet. */
export function parseStructured(text: string): StructuredValue {
  const reader = new Reader(text);
  const value = reader.until(';').toLowerCase();
  const semicolon = value.search(/[ \t]/);
  // `text/html charset=utf-8`: a semicolon is missing.
  if (semicolon > 0 && value.includes('=')) reader.at = reader.start + semicolon;
  const raw = readParameters(reader);
  const parameters = join(raw);
  return {
    value: semicolon > 0 ? value.slice(0, semicolon) : value,
    parameters,
    boundary: raw.find(({ name }) => name === 'boundary')?.value ?? parameters['boundary'],
  };
}

function readParameters(reader: Reader): RawParameter[] {
  const parameters: RawParameter[] = [];
  while (!reader.done && parameters.length < MAX_PARAMETERS) {
    const name = reader.name();
    if (name !== undefined) parameters.push({ name, value: reader.value() });
  }
  return parameters;
}

class Reader {
  readonly #text: string;
  at = 0;
  /** Where the text that `until` gave began. */
  start = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.at >= this.#text.length;
  }

  /** Everything to `end`, without comments and blanks around it; `end` is skipped. */
  until(end: string): string {
    this.#skipBlanks();
    this.start = this.at;
    let taken = '';
    let from = this.at;
    while (!this.done) {
      const char = this.#text.charAt(this.at);
      if (char === end) break;
      if (char === '(') {
        taken += this.#text.slice(from, this.at);
        this.#skipComment();
        from = this.at;
      } else this.at++;
    }
    taken += this.#text.slice(from, this.at++);
    return trimBlanks(taken);
  }

  /** The next name with its `=` skipped; undefined when junk was skipped instead. */
  name(): string | undefined {
    for (;;) {
      this.#skipBlanks();
      if (this.#text.charAt(this.at) === ';') this.at++;
      else if (this.#text.charAt(this.at) === '(') this.#skipComment();
      else break;
    }
    const start = this.at;
    while (!this.done && !'=;"'.includes(this.#text.charAt(this.at))) this.at++;
    const words = this.#text.slice(start, this.at).trim();
    if (this.#text.charAt(this.at++) !== '=') return undefined;
    // After junk, the name is the last word: `text/plain; foo charset=utf-8`.
    const name = words.slice(Math.max(words.lastIndexOf(' '), words.lastIndexOf('\t')) + 1).toLowerCase();
    return name === '' ? undefined : name;
  }

  value(): string {
    this.#skipBlanks();
    if (this.#text.charAt(this.at) === '"') return this.#quoted();
    const start = this.at;
    while (!this.done && this.#text.charAt(this.at) !== ';') {
      const char = this.#text.charAt(this.at);
      if (char === ' ' || char === '\t') {
        const blank = this.at;
        this.#skipBlanks();
        // A comment, or the next parameter after a missing semicolon; else a name with blanks in it, not quoted.
        if (this.#text.charAt(this.at) === '(' || this.#parameterFollows())
          return this.#text.slice(start, blank);
      } else this.at++;
    }
    return trimBlanks(this.#text.slice(start, this.at));
  }

  #quoted(): string {
    const start = this.at + 1;
    let at = start;
    let text = '';
    let from = start;
    for (; at < this.#text.length; at++) {
      const char = this.#text.charAt(at);
      if (char === '"') {
        this.at = at + 1;
        return text + this.#text.slice(from, at);
      }
      if (char === '\\' && at + 1 < this.#text.length) {
        text += this.#text.slice(from, at);
        from = ++at;
      }
    }
    // Never closed: as if it were at the end, for nothing after it can be told apart any more.
    this.at = at;
    return text + this.#text.slice(from);
  }

  #parameterFollows(): boolean {
    PARAMETER_START.lastIndex = this.at;
    return PARAMETER_START.test(this.#text);
  }

  #skipBlanks(): void {
    while (this.#text.charAt(this.at) === ' ' || this.#text.charAt(this.at) === '\t') this.at++;
  }

  #skipComment(): void {
    let depth = 0;
    for (; !this.done; this.at++) {
      const char = this.#text.charAt(this.at);
      if (char === '\\') this.at++;
      else if (char === '(') depth++;
      else if (char === ')' && --depth === 0) {
        this.at++;
        return;
      }
    }
  }
}

const PARAMETER_START = /[a-z0-9_*-]{1,40}=/iy;

/** `name`, `*section`, `*` (RFC 2231 7). */
const EXTENDED_NAME = /^([^*]+)(?:\*(\d{1,3}))?(\*)?$/;

interface Section {
  readonly number: number;
  readonly encoded: boolean;
  readonly value: string;
}

/** Continuations joined, charsets decoded; the extended form of a name wins over the plain one (as RFC 6266 4.3 says). */
function join(parameters: readonly RawParameter[]): Record<string, string> {
  /** In the order of the header; undefined where sections give the value. */
  const values = new Map<string, string | undefined>();
  const extended = new Map<string, Section[]>();
  for (const { name, value } of parameters) {
    const [, base = name, number, star] = EXTENDED_NAME.exec(name) ?? [];
    if (number === undefined && star === undefined) {
      values.set(name, values.get(name) ?? decodeLenient(value));
      continue;
    }
    const section = { number: Number(number ?? 0), encoded: star !== undefined, value };
    const sections = extended.get(base);
    if (sections) sections.push(section);
    else extended.set(base, [section]);
    if (!values.has(base)) values.set(base, undefined);
  }
  const joined: Record<string, string> = {};
  for (const [name, plain] of values) {
    const value = joinSections(extended.get(name) ?? []) ?? plain;
    // The one name that is no property.
    if (value !== undefined && name !== '__proto__') joined[name] = value;
  }
  return joined;
}

/** undefined when section 0 is missing; ends at the first gap. */
function joinSections(sections: Section[]): string | undefined {
  sections.sort((a, b) => a.number - b.number);
  const [first] = sections;
  if (first === undefined || first.number !== 0) return undefined;
  // charset'language'text (RFC 2231 4); only the first section says it.
  const [, charset = '', text = first.value] = /^([^']*)'[^']*'(.*)$/s.exec(first.value) ?? [];
  let bytes = percentDecode(first.encoded ? text : escapePercent(first.value));
  let next = 1;
  for (const section of sections) {
    if (section.number !== next) continue;
    bytes += percentDecode(section.encoded ? section.value : escapePercent(section.value));
    next++;
  }
  if (!first.encoded || charset === '') return decodeLenient(bytes);
  return decodeBytes(Buffer.from(bytes, 'latin1'), charset);
}

function escapePercent(value: string): string {
  return value.replaceAll('%', '%25');
}

function percentDecode(value: string): string {
  return value.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
