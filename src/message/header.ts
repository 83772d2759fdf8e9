/**
 * Header fields (RFC 5322 2.2) from bytes. Never throws, one pass, whatever the bytes are.
 *
 * Header text is handled as a string of bytes ("latin1"): every char is one octet, so that raw 8-bit headers
 * survive and offsets in the string are offsets in the message. Decoding is charset.ts and encoded-word.ts.
 */

import { FieldSelector } from './field-selector.ts';

/** One field. A line that is no field (an mbox `From ` line, junk without a colon) has the empty name. */
export interface Field {
  /** Lower case. */
  readonly name: string;
  /** After the colon, folded as it stands, with the last line end. */
  readonly value: string;
  /** Of the whole field in the header: first octet of the name, and past the last line end. */
  readonly start: number;
  readonly end: number;
}

const SPACE = 0x20;
const TAB = 0x09;
const COLON = 0x3a;

/** The bytes as a string with one char an octet. */
export function byteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The fields in order, up to the blank line or the end. */
export function* fields(header: string): Generator<Field> {
  let at = 0;
  while (at < header.length && !isBlankLine(header, at)) {
    const end = endOfField(header, at);
    yield fieldAt(header, at, end);
    at = end;
  }
}

/** Values of all fields of this name (lower case), unfolded, in order. */
export function fieldValues(header: string, name: string): string[] {
  const values: string[] = [];
  for (const field of fields(header)) if (field.name === name) values.push(unfold(field.value));
  return values;
}

/** Takes out the line ends of a folded value, and blanks around it (RFC 5322 2.2.3). */
export function unfold(value: string): string {
  const text = value.includes('\n') ? value.replace(/\r?\n/g, '') : value;
  return trimBlanks(text);
}

/** `trim()` would take the octet A0 for a blank, with which many a letter of UTF-8 ends. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** SPACE, and TAB to CR. */
function isBlank(code: number): boolean {
  return code === SPACE || (code >= TAB && code <= 0x0d);
}

/**
 * The bytes of BODY[HEADER.FIELDS (...)] and BODY[HEADER.FIELDS.NOT (...)] (RFC 9051 6.4.5.1): the fields as they
 * stand, in their order, then a blank line. Names are compared without case.
 */
export function selectFields(header: Uint8Array, names: Iterable<string>, mode: 'only' | 'not'): Buffer {
  const selected = Buffer.allocUnsafe(FieldSelector.room(header.length));
  return selected.subarray(0, new FieldSelector({ mode, names: [...names] }).select(header, selected, 0));
}

function isBlankLine(header: string, at: number): boolean {
  const first = header.charCodeAt(at);
  return first === 0x0a || (first === 0x0d && header.charCodeAt(at + 1) === 0x0a);
}

/** Past the last line of the field: a line that begins with a blank continues it. */
function endOfField(header: string, start: number): number {
  let at = start;
  for (;;) {
    const lineEnd = header.indexOf('\n', at);
    if (lineEnd < 0) return header.length;
    at = lineEnd + 1;
    const next = header.charCodeAt(at);
    if (next !== SPACE && next !== TAB) return at;
  }
}

function fieldAt(header: string, start: number, end: number): Field {
  const nameEnd = endOfName(header, start);
  let colon = nameEnd;
  while (header.charCodeAt(colon) === SPACE || header.charCodeAt(colon) === TAB) colon++;
  if (nameEnd === start || header.charCodeAt(colon) !== COLON) {
    return { name: '', value: header.slice(start, end), start, end };
  }
  const name = header.slice(start, nameEnd).toLowerCase();
  return { name, value: header.slice(colon + 1, end), start, end };
}

/** RFC 5322 2.2: printable ASCII but the colon. Blanks before the colon are obsolete syntax (4.5) and dropped. */
function endOfName(header: string, start: number): number {
  for (let at = start; ; at++) {
    const code = header.charCodeAt(at);
    if (!(code > SPACE && code < 0x7f) || code === COLON) return at;
  }
}
