/**
 * A message for clients that know ASCII headers only: the surrogate of RFC 6857, in which all that is lost is that one
 * can answer to addresses which such a client could not have written. Fields that are ASCII stay as they are, to the
 * octet. 8-bit text that is no UTF-8 is read as search reads it (charset.ts). Linear, never throws.
 */
import { isAscii as isAsciiBytes } from 'node:buffer';
import { domainToASCII } from 'node:url';
import type { Piece } from '../lib/pieces.ts';
import { pieceSize } from '../lib/pieces.ts';
import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import { type Group, type Mailbox, parseAddressList } from './address-list.ts';
import { decodeLenient, isAscii } from './charset.ts';
import { decodeWords, encodeWords } from './encoded-word.ts';
import { byteString, type Field, fields, unfold } from './header.ts';
import { parseStructured } from './parameters.ts';
import type { Part, Span } from './structure.ts';

/** RFC 6857 3.2.1. */
const ADDRESSES = new Set([
  'from',
  'sender',
  'to',
  'cc',
  'bcc',
  'reply-to',
  'resent-from',
  'resent-sender',
  'resent-to',
  'resent-cc',
  'resent-bcc',
  'resent-reply-to',
  'return-path',
  'disposition-notification-to',
]);
/** RFC 6857 3.2.2: only their comments can be anything but ASCII. */
const COMMENTED = new Set([
  'date',
  'resent-date',
  'mime-version',
  'content-id',
  'content-transfer-encoding',
  'content-language',
  'accept-language',
  'auto-submitted',
]);
/** RFC 6857 3.2.3, 3.1.10. */
const ENCAPSULATED = new Set([
  'message-id',
  'resent-message-id',
  'in-reply-to',
  'references',
  'original-recipient',
  'final-recipient',
]);
const STRUCTURED = new Set(['content-type', 'content-disposition']);

/** All headers of a message that have to be written anew, octets; who has more has something else in mind. */
const MAX_HEADERS = 48 * 1024;
/** Addresses of one field, words of a trace, that are taken apart; with more the field is text. */
const MAX_EACH = 100;
/** An address field that is longer is text. */
const MAX_LIST = 16 * 1024;
/** Whoever has written for so long (ms) lets others have their turn. */
const TURN = 5;
/** Of a parameter's value in one piece (RFC 2231 3), so that no line is too long. */
const MAX_PIECE = 600;

/**
 * The message with its own header and those of its parts in ASCII; the same one where they are. Undefined when its
 * headers are too long to be rewritten.
 */
export async function downgraded(raw: RawMessage, root: Part): Promise<RawMessage | undefined> {
  const pieces: Piece[] = [];
  let at = 0;
  let octets = 0;
  for (const span of headersOf(root)) {
    const header = await bytesOf(raw, span);
    if (isAsciiBytes(header)) continue;
    octets += header.length;
    if (octets > MAX_HEADERS) return undefined;
    pieces.push(...slice(raw.pieces, { start: at, end: span.start }), await downgradedHeader(header));
    at = span.end;
  }
  if (pieces.length === 0) return raw;
  return rawMessage([...pieces, ...slice(raw.pieces, { start: at, end: raw.size })]);
}

/** A header block, of a message or of a part of it, in ASCII. */
export async function downgradedHeader(bytes: Uint8Array): Promise<Uint8Array> {
  const header = byteString(bytes);
  let out = '';
  let at = 0;
  let since = performance.now();
  for (const field of fields(header)) {
    if (performance.now() - since > TURN) {
      await new Promise((resolve) => setImmediate(resolve));
      since = performance.now();
    }
    const text = header.slice(field.start, field.end);
    out += isAscii(text) ? text : downgradedField(field, text);
    at = field.end;
  }
  return Buffer.from(out + masked(header.slice(at)), 'latin1');
}

function downgradedField(field: Field, text: string): string {
  const { name } = field;
  // Junk that is no field.
  if (name === '') return masked(text);
  const written = text.slice(0, name.length);
  const value = unfold(field.value);
  const made = (newName: string, newValue: string): string => `${newName}: ${newValue}\r\n`;
  if (ADDRESSES.has(name)) {
    const tooMany = value.length > MAX_LIST || value.split(/[,;]/, MAX_EACH + 1).length > MAX_EACH;
    const list = tooMany ? [] : parseAddressList(value);
    const addresses = list.map((each) => (each.is === 'group' ? group(each) : mailbox(each)));
    return made(written, addresses.length > 0 ? addresses.join(',\r\n ') : unstructured(value));
  }
  if (ENCAPSULATED.has(name) && !isAscii(withoutComments(value)))
    return made(`Downgraded-${written}`, encodeWords(decodeLenient(value)));
  if (COMMENTED.has(name) || ENCAPSULATED.has(name)) return made(written, commented(value));
  if (name === 'received') return made(written, received(value));
  if (STRUCTURED.has(name)) return made(written, structured(value));
  return made(written, unstructured(value));
}

/** RFC 6857 3.1.1. */
function unstructured(value: string): string {
  return encodeWords(decodeWords(value));
}

/** RFC 6857 3.1.5, 3.1.6, 3.1.8. */
function mailbox(each: Mailbox): string {
  const name = each.name === null ? '' : phrase(each.name);
  const local = each.local ?? '';
  const domain = asciiHost(each.domain ?? '');
  if (!isAscii(local) || domain === undefined || (local === '' && domain === '')) {
    const address = addressText(each);
    return [name, address === '' ? '' : encodeWords(address), ':;'].filter((part) => part !== '').join(' ');
  }
  const address = domain === '' ? localPart(local) : `${localPart(local)}@${domain}`;
  return name === '' ? address : `${name} <${address}>`;
}

/** RFC 6857 3.1.7. */
function group({ name, members }: Group): string {
  const all = members.map(mailbox);
  if (!all.some((each) => each.endsWith(':;'))) return `${phrase(name)}: ${all.join(', ')};`;
  const list = members.map((each) => {
    const shown = each.name === null ? '' : decodeWords(each.name);
    return shown === '' ? addressText(each) : `${shown} <${addressText(each)}>`;
  });
  return `${phrase(name)} ${encodeWords(list.join(', '))} :;`;
}

function addressText({ local, domain }: Mailbox): string {
  return decodeLenient([local, domain].filter((part) => part !== null).join('@'));
}

/** A display name: encoded words that are there already stay what they are. */
function phrase(name: string): string {
  if (!isAscii(name)) return encodeWords(decodeWords(name));
  return name.includes('=?') || /^[\w!#$%&'*+/=?^`{|}~ -]+$/.test(name) ? name : quoted(name);
}

function localPart(local: string): string {
  return /^[\w!#$%&'*+/=?^`{|}~.-]+$/.test(local) ? local : quoted(local);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** RFC 6857 3.1.6; undefined where there is no such form. */
function asciiHost(domain: string): string | undefined {
  if (isAscii(domain)) return domain;
  return domainToASCII(decodeLenient(domain)) || undefined;
}

const COMMENT = /\([^()]*\)/g;

function withoutComments(value: string): string {
  return value.replace(COMMENT, '');
}

/** RFC 6857 3.1.3. */
function commented(value: string): string {
  return masked(
    value.replace(COMMENT, (comment) =>
      isAscii(comment) ? comment : `(${unstructured(comment.slice(1, -1))})`,
    ),
  );
}

/** RFC 6857 3.2.4: clauses that tell addresses and ids go, host names and comments change. */
function received(value: string): string {
  const words = commentsAside(value).flatMap((part) =>
    part.startsWith('(') ? [commented(part)] : part.split(/[ \t]+/),
  );
  if (words.length > MAX_EACH) return masked(value);
  const kept: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const next = words[at + 1] ?? '';
    if (/^(?:for|id)$/i.test(word) && !isAscii(next)) {
      // The semicolon before the date stays.
      if (next.endsWith(';') && kept.length > 0) kept.push(`${kept.pop()};`);
      at++;
    } else if (word !== '') kept.push(asciiHost(word) ?? masked(word));
  }
  return kept.join(' ');
}

function commentsAside(value: string): string[] {
  return value.split(/(\([^()]*\))/);
}

/** RFC 6857 3.1.4: parameters as RFC 2231 has them. */
function structured(text: string): string {
  const { value, parameters } = parseStructured(text);
  if (value === '' || !isAscii(value)) return unstructured(text);
  return [value, ...Object.entries(parameters).flatMap(([name, content]) => parameter(name, content))].join(
    ';\r\n ',
  );
}

function parameter(name: string, content: string): string[] {
  if (!isAscii(name)) return [];
  if (isAscii(content) && content.length <= MAX_PIECE) return [`${name}=${quoted(content)}`];
  const encoded = encodeURIComponent(content.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  if (encoded.length <= MAX_PIECE) return [`${name}*=utf-8''${encoded}`];
  // No piece ends within an octet.
  const pieces = encoded.match(/(?:%..|[^%]){1,200}/g) ?? [];
  return pieces.map((piece, at) => `${name}*${at}*=${at === 0 ? "utf-8''" : ''}${piece}`);
}

/** Octets that can be nothing here. */
function masked(text: string): string {
  return text.replace(/[\x80-\xff]/g, '?');
}

/** Of the message, of its parts, and of messages in it, in their order. */
function* headersOf(part: Part): Generator<Span> {
  yield part.header;
  if (part.message) yield* headersOf(part.message);
  for (const child of part.children) yield* headersOf(child);
}

async function bytesOf(raw: RawMessage, span: Span): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  if (span.end > span.start) for await (const chunk of raw.read(span)) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** These octets of the whole. */
function slice(pieces: readonly Piece[], { start, end }: Span): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const piece of pieces) {
    const size = pieceSize(piece);
    const from = Math.max(start - at, 0);
    const to = Math.min(end - at, size);
    if (from < to) {
      if (piece instanceof Uint8Array) found.push(piece.subarray(from, to));
      else found.push({ path: piece.path, start: piece.start + from, end: piece.start + to });
    }
    at += size;
  }
  return found;
}
