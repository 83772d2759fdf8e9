import { byteString, selectFields } from '../../message/header.ts';
import type { Span } from '../../message/structure.ts';
import type { FetchedMessage, Octets } from '../fetched-message.ts';
import type { FetchAttribute, FetchItem, Literal } from './item.ts';
import { type PartialRange, parsePartial, parseSection, type Section, sectionSpan } from './section.ts';

/** Octets of a message that is in memory are part of the line up to here; a line may have a hundred such items. */
const INLINE = 16 * 1024;

/** BODY (the structure without extensions), BODY[section] and BODY.PEEK[section] (RFC 9051 6.4.5). */

export const body: FetchItem = {
  name: 'BODY',
  parse(p) {
    if (!p.tryTake('[')) return { needs: 'body', print: ({ summary }) => `BODY ${summary.body}` };
    const section = parseSection(p);
    return { ...sectionAttribute(`BODY[${section.label}]`, section, parsePartial(p)), seen: true };
  },
};

export const bodyPeek: FetchItem = {
  name: 'BODY.PEEK',
  parse(p) {
    const section = parseSection(p.take('['));
    return sectionAttribute(`BODY[${section.label}]`, section, parsePartial(p));
  },
};

export const bodyStructure: FetchItem = {
  name: 'BODYSTRUCTURE',
  parse: () => ({ needs: 'bodyStructure', print: ({ summary }) => `BODYSTRUCTURE ${summary.bodyStructure}` }),
};

/** Octets of a section under a name; the names are the only difference between BODY[…] and RFC822.*. */
export function sectionAttribute(
  name: string,
  section: Section,
  partial: PartialRange | null,
): FetchAttribute {
  const head = partial ? `${name}<${partial.start}>` : name;
  const { path, text } = section;
  // The message's own header is in the index, and where it ends its text begins.
  if (path.length === 0 && text.is === 'header')
    return { needs: 'header', print: ({ header }) => inline(head, byteString(header), partial) };
  if (path.length === 0 && text.is === 'fields')
    return {
      needs: 'header',
      fields: text,
      print: (message) => inline(head, message.fields(text), partial),
    };
  if (path.length === 0 && text.is === 'text')
    return {
      needs: 'header',
      reads: true,
      print: (m) => literal(head, m, { start: m.header.length, end: m.message.size }, partial),
    };
  if (path.length === 0)
    return { reads: true, print: (m) => literal(head, m, { start: 0, end: m.message.size }, partial) };
  return { reads: true, print: (m) => part(head, m, section, partial) };
}

async function part(
  head: string,
  message: FetchedMessage,
  section: Section,
  partial: PartialRange | null,
): Promise<string | Literal> {
  const span = sectionSpan(await message.structure(), section);
  if (!span) return `${head} NIL`;
  if (section.text.is !== 'fields') return literal(head, message, span, partial);
  const header = Buffer.concat(await chunksOf(await message.octets(span)));
  return inline(head, byteString(selectFields(header, section.text.names, section.text.mode)), partial);
}

async function chunksOf({ chunks }: Octets): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

function literal(
  head: string,
  message: FetchedMessage,
  span: Span,
  partial: PartialRange | null,
): string | Promise<Literal> {
  const start = Math.min(span.start + (partial?.start ?? 0), span.end);
  const end = partial ? Math.min(start + partial.length, span.end) : span.end;
  const { content } = message;
  if (content && end - start <= INLINE) return inline(head, byteString(content.subarray(start, end)), null);
  return streamed(head, message, { start, end });
}

async function streamed(head: string, message: FetchedMessage, span: Span): Promise<Literal> {
  return { head, ...(await message.octets(span)) };
}

/** A literal that is short enough to be part of the line, from a string of bytes. */
function inline(head: string, bytes: string, partial: PartialRange | null): string {
  const wanted = partial ? bytes.slice(partial.start, partial.start + partial.length) : bytes;
  return `${head} {${wanted.length}}\r\n${wanted}`;
}
