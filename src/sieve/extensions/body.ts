import type { Part } from '../../message/structure.ts';
import type { Bound } from '../bound.ts';
import type { Extension } from '../extension.ts';
import { partsOf } from '../fields.ts';
import type { MessageVersion } from '../message.ts';
import { partText } from '../part-text.ts';
import type { Run } from '../run.ts';

/** RFC 5173. Inside foreverypart it is about the part (RFC 5703 has no word on it, Pigeonhole does so). */
export const body: Extension = {
  name: 'body',
  source: 'RFC 5173',
  tests: {
    body: {
      takes: ['match'],
      tags: {
        raw: { group: 'transform' },
        text: { group: 'transform' },
        content: { group: 'transform', value: 'strings' },
      },
      arguments: ['strings'],
      async check(bound, run) {
        const values = await valuesOf(bound, run);
        // RFC 5173 6: these tests set no match values.
        const { matchValues } = run;
        const outcome = await run.match(bound, values, run.texts(bound.args[0]));
        run.matchValues = matchValues;
        return outcome;
      },
    },
  },
};

async function valuesOf(bound: Bound, run: Run): Promise<string[]> {
  const { message } = run;
  if (!(await message.hasBody())) return [];
  if (bound.tags.has('raw')) {
    const bytes = await message.body();
    run.charge(1, bytes.length);
    return [Buffer.from(bytes).toString('utf8')];
  }
  const types = bound.tags.has('content') ? run.texts(bound.tags.get('content')) : undefined;
  const values: string[] = [];
  for (const part of partsOf(await message.structure())) {
    run.charge(1, part.body.end - part.body.start);
    if (types === undefined) {
      if (isReadable(part) && (await hasOneSlash(message, part)))
        values.push(await partText(message, part, 'shown'));
    } else if (types.some((type) => isOfType(part, type)) && (await hasOneSlash(message, part)))
      values.push(...(await contentOf(message, part)));
  }
  return values;
}

/** RFC 5173 5.3; what cannot be decoded says nothing. */
function isReadable({ type, subtype, encoding }: Part): boolean {
  const isText = type === 'text' || (type === 'application' && subtype === 'xhtml+xml');
  return isText && KNOWN.has(encoding);
}

/** `text/plain/stupid` is of no type. */
async function hasOneSlash(message: MessageVersion, part: Part): Promise<boolean> {
  const field = (await message.partFields(part)).find(({ name }) => name === 'content-type');
  return !/^[^;]*\/[^;]*\//.test(field?.value ?? '');
}

const KNOWN = new Set(['7bit', '8bit', 'binary', 'base64', 'quoted-printable']);

/** RFC 5173 5.2. */
function isOfType({ type, subtype }: Part, wanted: string): boolean {
  if (wanted === '') return true;
  const [first, second, more] = wanted.toLowerCase().split('/');
  if (first === '' || second === '' || more !== undefined) return false;
  return first === type && (second === undefined || second === subtype);
}

async function contentOf(message: MessageVersion, part: Part): Promise<string[]> {
  if (part.message) {
    const { start, end } = part.message.header;
    return [(await octets(message, start, end)).replace(/(?<=\n)\r?\n$/, '')];
  }
  const [first] = part.children;
  const last = part.children.at(-1);
  if (!first || !last) return [await partText(message, part, 'source')];
  const prologue = await octets(message, part.body.start, first.header.start);
  const epilogue = await octets(message, last.body.end, part.body.end);
  return [withoutBoundary(prologue, 'last'), withoutBoundary(epilogue, 'first')];
}

async function octets(message: MessageVersion, start: number, end: number): Promise<string> {
  return Buffer.from((await message.whole()).subarray(start, Math.max(start, end))).toString('utf8');
}

/** The delimiter between it and the part is neither's. */
function withoutBoundary(text: string, which: 'first' | 'last'): string {
  const lines = text.split('\n');
  if (which === 'last')
    return lines
      .slice(0, -2)
      .map((line) => `${line}\n`)
      .join('');
  const at = lines.findIndex((line) => line.startsWith('--'));
  return lines.slice(at + 1).join('\n');
}
