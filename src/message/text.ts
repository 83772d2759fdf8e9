/**
 * What people read in a message, for search: header text decoded, text parts decoded from transfer encoding and
 * charset, HTML without its tags, names of attachments. In pieces, so that a big message is never in memory as a whole.
 * Never throws, linear.
 */
import { parseAddressList } from './address-list.ts';
import { isAscii, textStream } from './charset.ts';
import { decodeWords } from './encoded-word.ts';
import { type Accents, fold } from './fold.ts';
import { byteString, fields, fieldValues, unfold } from './header.ts';
import { htmlText } from './html-text.ts';
import { MAX_HEADER } from './scan.ts';
import type { Part, Span } from './structure.ts';
import { transferDecoder } from './transfer.ts';

/** Signatures of machines: half of many a header, and random letters in which anything would be found by chance. */
const SIGNATURES = new Set([
  'dkim-signature',
  'domainkey-signature',
  'x-google-dkim-signature',
  'arc-seal',
  'arc-message-signature',
]);

/** Whether TEXT finds something in a field of this name (lower case); HEADER does in all. */
export function isForPeople(name: string): boolean {
  return !SIGNATURES.has(name);
}

/** Reads a span of the message, in pieces of any size. */
export type ReadSpan = (span: Span) => Iterable<Uint8Array>;

/** Pieces of text; those of one part follow each other without a seam, a line end parts them from the next. */
export function* messageText(root: Part, read: ReadSpan): Generator<string> {
  yield* headerText(root, read);
  yield* bodyText(root, read);
}

/** The same without the message's own header: IMAP's SEARCH BODY. Headers of attached messages are body. */
export function* bodyText(part: Part, read: ReadSpan): Generator<string> {
  if (part.message) {
    yield* headerText(part.message, read);
    yield* bodyText(part.message, read);
  } else if (isText(part)) yield* decodedText(part, read);
  for (const child of part.children) {
    yield names(child);
    yield* bodyText(child, read);
  }
}

/** Reports on delivery, reading and abuse are lines of text too (RFC 3464 2, RFC 8098 3, RFC 5965 3). */
function isText({ type, subtype }: Part): boolean {
  return type === 'text' || (type === 'message' && subtype !== 'partial' && subtype !== 'external-body');
}

/** Decoded values of a field (name in lower case), one for each time it stands there: IMAP's SEARCH HEADER. */
export function fieldTexts(header: Uint8Array, name: string): string[] {
  const values = fieldValues(byteString(header), name);
  const texts = values.map(decodeWords);
  return ADDRESS_FIELDS.has(name) ? [...texts, ...values.flatMap(hiddenAddresses)] : texts;
}

/** Those whose search keys are about what ENVELOPE shows (RFC 9051 6.4.4). */
const ADDRESS_FIELDS = new Set(['from', 'to', 'cc', 'bcc']);

/** Addresses that comments, blanks or quotes keep from being read as they are meant. @param value unfolded */
export function hiddenAddresses(value: string): string[] {
  return parseAddressList(value)
    .flatMap((each) => (each.is === 'group' ? each.members : [each]))
    .flatMap(({ local, domain }) => (local !== null && domain !== null ? [`${local}@${domain}`] : []))
    .filter((address) => !value.includes(address))
    .map(decodeWords);
}

/** Whether `wanted` stands in the pieces, also across their seams; compared as fold.ts says. */
export function includesText(pieces: Iterable<string>, wanted: string, accents: Accents = 'matter'): boolean {
  const needle = fold(wanted, accents);
  if (needle === '') return true;
  let tail = '';
  /** A letter whose marks may follow in the next piece: they are put in order together. */
  let held = '';
  for (const piece of pieces) {
    const [whole, rest] = beforeLastLetter(held + piece);
    held = rest;
    const text = tail + fold(whole, accents);
    if (text.includes(needle)) return true;
    tail = needle.length > 1 ? text.slice(1 - needle.length) : '';
  }
  return (tail + fold(held, accents)).includes(needle);
}

/** More marks on one letter are no text. */
const MAX_MARKS = 32;

function beforeLastLetter(text: string): [string, string] {
  const end = /\P{M}\p{M}*$/u.exec(text.slice(-MAX_MARKS))?.[0] ?? '';
  return [text.slice(0, text.length - end.length), end];
}

function* headerText(message: Part, read: ReadSpan): Generator<string> {
  const { start, end } = message.header;
  const header = [...read({ start, end: Math.min(end, start + MAX_HEADER) })].map(byteString).join('');
  for (const { name, value } of fields(header))
    if (isForPeople(name)) yield `${name}: ${decodeWords(unfold(value))}\n`;
}

/** File names and the description, where some writers put encoded words though RFC 2047 5 forbids them. */
function names({ parameters, disposition, description }: Part): string {
  const said = [parameters['name'], disposition?.parameters['filename'], description];
  return said
    .filter((text) => typeof text === 'string')
    .map((text) => `${isAscii(text) ? decodeWords(text) : text}\n`)
    .join('');
}

function* decodedText(part: Part, read: ReadSpan): Generator<string> {
  const bytes = transferDecoder(part.encoding);
  const text = textStream(part.parameters['charset'] ?? '');
  const filter = /^(?:html|xhtml(?:\+xml)?)$/.test(part.subtype) ? htmlText() : undefined;
  const show = (decoded: string) => (filter ? filter.write(decoded) : decoded);
  for (const piece of read(part.body)) yield show(text.write(bytes.write(piece)));
  yield show(text.write(bytes.end()) + text.end());
  yield `${filter?.end() ?? ''}\n`;
}
