import type { Part } from '../../message/structure.ts';
import { ImapNo } from '../errors.ts';
import type { FetchedMessage } from '../fetched-message.ts';
import type { Parser } from '../parser.ts';
import type { FetchAttribute, FetchItem, Literal } from './item.ts';
import { type PartialRange, parsePartial, parsePath, partAt } from './section.ts';

/** Parts with their transfer encoding undone (RFC 3516 4, RFC 9051 6.4.5). */

/** The encodings that can be undone (RFC 2045 6.1). */
const KNOWN: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary', 'base64', 'quoted-printable']);

export const binary: FetchItem = {
  name: 'BINARY',
  capability: 'BINARY',
  parse: (p) => ({ ...octets(p), seen: true }),
};

export const binaryPeek: FetchItem = { name: 'BINARY.PEEK', capability: 'BINARY', parse: octets };

export const binarySize: FetchItem = {
  name: 'BINARY.SIZE',
  capability: 'BINARY',
  parse(p) {
    const path = bracketed(p);
    const head = `BINARY.SIZE[${path.join('.')}]`;
    return {
      reads: true,
      async print(message) {
        const part = await decodable(message, path);
        if (part === 'all') return `${head} ${message.message.size}`;
        return `${head} ${part ? (await measure(message, part, null)).size : 0}`;
      },
    };
  },
};

function octets(p: Parser): FetchAttribute {
  const path = bracketed(p);
  const partial = parsePartial(p);
  const head = `BINARY[${path.join('.')}]${partial ? `<${partial.start}>` : ''}`;
  return { reads: true, print: (message) => print(head, message, path, partial) };
}

function bracketed(p: Parser): readonly number[] {
  p.take('[');
  const path = parsePath(p);
  p.take(']');
  return path;
}

async function print(
  head: string,
  message: FetchedMessage,
  path: readonly number[],
  partial: PartialRange | null,
): Promise<string | Literal> {
  const part = await decodable(message, path);
  if (!part) return `${head} NIL`;
  if (part === 'all') {
    const start = Math.min(partial?.start ?? 0, message.message.size);
    const end = partial ? Math.min(start + partial.length, message.message.size) : message.message.size;
    const nul = await hasNul((await message.octets({ start, end })).chunks);
    return { head, ...(await message.octets({ start, end })), literal8: nul };
  }
  // Decoded twice, for a literal says its size first: once to count, once to send.
  const { size, nul } = await measure(message, part, partial);
  return { head, size, literal8: nul, chunks: cut(message.decoded(part), partial) };
}

async function measure(
  message: FetchedMessage,
  part: Part,
  partial: PartialRange | null,
): Promise<{ readonly size: number; readonly nul: boolean }> {
  let size = 0;
  let nul = false;
  for await (const chunk of cut(message.decoded(part), partial)) {
    size += chunk.length;
    nul ||= chunk.includes(0);
  }
  return { size, nul };
}

/** A file that another program put there may hold NULs, which only a literal8 may (RFC 3516 4.4). */
async function hasNul(chunks: AsyncIterable<Uint8Array>): Promise<boolean> {
  for await (const chunk of chunks) if (chunk.includes(0)) return true;
  return false;
}

async function* cut(
  chunks: AsyncIterable<Uint8Array>,
  partial: PartialRange | null,
): AsyncGenerator<Uint8Array> {
  const start = partial?.start ?? 0;
  const end = partial ? partial.start + partial.length : Number.POSITIVE_INFINITY;
  let at = 0;
  for await (const chunk of chunks) {
    const wanted = chunk.subarray(Math.max(start - at, 0), Math.max(end - at, 0));
    at += chunk.length;
    if (wanted.length > 0) yield wanted;
    if (at >= end) return;
  }
}

/** BINARY[] is the message as it stands (RFC 3516 4.2); of a multipart only its parts can be decoded. */
async function decodable(
  message: FetchedMessage,
  path: readonly number[],
): Promise<Part | 'all' | undefined> {
  if (path.length === 0) return 'all';
  const part = partAt(await message.structure(), path);
  if (part && part.children.length === 0 && !KNOWN.has(part.encoding))
    throw new ImapNo('The encoding of the part is not known', 'UNKNOWN-CTE');
  return part;
}
