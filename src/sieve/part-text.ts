import { textStream } from '../message/charset.ts';
import { htmlText } from '../message/html-text.ts';
import type { Part } from '../message/structure.ts';
import { transferDecoder } from '../message/transfer.ts';
import type { MessageVersion } from './message.ts';

/** MIME parts as text: transfer encoding and charset undone. */

export function isHtml({ type, subtype }: Part): boolean {
  return (type === 'text' || type === 'application') && /^(?:html|xhtml(?:\+xml)?)$/.test(subtype);
}

/** Many tests of a script look at the same part. */
const shownBefore = new WeakMap<MessageVersion, Map<Part, string>>();

/** @param html 'shown': without its tags, as people read it */
export async function partText(
  message: MessageVersion,
  part: Part,
  html: 'source' | 'shown',
): Promise<string> {
  if (html === 'source') return decoded(message, part, html);
  const known = shownBefore.get(message) ?? new Map<Part, string>();
  shownBefore.set(message, known);
  const text = known.get(part) ?? (await decoded(message, part, html));
  known.set(part, text);
  return text;
}

async function decoded(message: MessageVersion, part: Part, html: 'source' | 'shown'): Promise<string> {
  const bytes = await partBytes(message, part);
  if (part.type !== 'text' && !isHtml(part)) return Buffer.from(bytes).toString('utf8');
  const stream = textStream(part.parameters['charset'] ?? '');
  const text = stream.write(bytes) + stream.end();
  if (html === 'source' || !isHtml(part)) return text;
  const filter = htmlText();
  return filter.write(text) + filter.end();
}

export async function partBytes(message: MessageVersion, part: Part): Promise<Uint8Array> {
  const decoder = transferDecoder(part.encoding);
  const decoded = decoder.write(await message.partBody(part));
  const rest = decoder.end();
  return rest.length === 0 ? decoded : Buffer.concat([decoded, rest]);
}
