import type { Part, Span } from '../../message/structure.ts';
import type { Parser } from '../parser.ts';
import { astring } from '../response.ts';

/** What stands between the brackets of BODY[…] (RFC 9051 6.4.5.1). */

/** Deeper than any part can be (message/scan.ts). */
const MAX_DEPTH = 200;

export interface Section {
  /** Part numbers; empty is the message itself. */
  readonly path: readonly number[];
  readonly text: SectionText;
  /** As it is printed back. */
  readonly label: string;
}

export type SectionText =
  /** The part's body; of the message itself, all of it. */
  | { readonly is: 'all' }
  | { readonly is: 'header' | 'text' | 'mime' }
  | { readonly is: 'fields'; readonly mode: 'only' | 'not'; readonly names: readonly string[] };

/** `<start.length>`, what is wanted of the octets. */
export interface PartialRange {
  readonly start: number;
  readonly length: number;
}

/** After the `[`, up to and with the `]`. */
export function parseSection(p: Parser): Section {
  const path = parsePath(p);
  let text: SectionText = { is: 'all' };
  if (!p.next(']') && (path.length === 0 || p.tryTake('.'))) text = parseText(p, path.length > 0);
  p.take(']');
  const label = [...path.map(String), ...words(text)].join('.');
  return { path, text, label };
}

/** Part numbers of BODY[1.2] and BINARY[1.2]. */
export function parsePath(p: Parser): number[] {
  const path: number[] = [];
  while (p.peek >= 0x30 && p.peek <= 0x39) {
    if (path.length === MAX_DEPTH) p.fail('There are no parts so deep');
    path.push(p.nzNumber());
    // A dot before a letter belongs to what follows the numbers.
    if (!p.next('.') || !p.digitAfterNext) break;
    p.take('.');
  }
  return path;
}

export function parsePartial(p: Parser): PartialRange | null {
  if (!p.tryTake('<')) return null;
  const start = p.number64();
  const length = p.take('.').nzNumber();
  p.take('>');
  return { start, length };
}

function parseText(p: Parser, inPart: boolean): SectionText {
  if (p.tryTake('HEADER.FIELDS.NOT')) return { is: 'fields', mode: 'not', names: fieldNames(p) };
  if (p.tryTake('HEADER.FIELDS')) return { is: 'fields', mode: 'only', names: fieldNames(p) };
  if (p.tryTake('HEADER')) return { is: 'header' };
  if (p.tryTake('TEXT')) return { is: 'text' };
  if (inPart && p.tryTake('MIME')) return { is: 'mime' };
  return p.fail('No such section');
}

function fieldNames(p: Parser): string[] {
  return p.sp().list((item) => item.astring().toString('latin1'));
}

function words(text: SectionText): string[] {
  if (text.is === 'all') return [];
  if (text.is !== 'fields') return [text.is.toUpperCase()];
  const names = text.names.map((name) => astring(name)).join(' ');
  return [`HEADER.FIELDS${text.mode === 'not' ? '.NOT' : ''} (${names})`];
}

/**
 * The part a path leads to. `BODY[1]` of a message that is no multipart is its body; below a message/rfc822 count the
 * parts of the message in it (RFC 9051 6.4.5.1). Undefined when there is none.
 */
export function partAt(root: Part, path: readonly number[]): Part | undefined {
  let part: Part | undefined = root;
  for (const [depth, number] of path.entries()) {
    const holder: Part = depth > 0 && part.message ? part.message : part;
    if (holder.children.length > 0) part = holder.children[number - 1];
    // A message that is no multipart has its body as part 1.
    else part = number === 1 && (depth === 0 || holder !== part) ? holder : undefined;
    if (!part) return undefined;
  }
  return part;
}

/** Where the octets of a section are; for `fields`, the header they are in. Undefined where there is no such thing. */
export function sectionSpan(root: Part, section: Section): Span | undefined {
  const { path, text } = section;
  if (path.length === 0) {
    if (text.is === 'all') return { start: root.header.start, end: root.body.end };
    return text.is === 'text' ? root.body : root.header;
  }
  const part = partAt(root, path);
  if (!part) return undefined;
  switch (text.is) {
    case 'all':
      return part.body;
    case 'mime':
      return part.header;
    case 'header':
    case 'fields':
      return part.message?.header;
    case 'text':
      return part.message?.body;
  }
}
