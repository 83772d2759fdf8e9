import type { RawMessage } from '../../mail/raw-message.ts';
import { byteString, fieldValues } from '../../message/header.ts';
import type { Flag } from '../../store/store.ts';
import { emptyLine } from './extents.ts';
import { hasLength, type MboxFormat, quotedLines } from './format.ts';
import { formatFromLine } from './from-line.ts';
import { FromLines } from './quoting.ts';
import { statusFields } from './status.ts';

/**
 * A message as it stands in an mbox: `From ` line, fields of the mbox, the message with LF line ends, an empty line. A
 * message with CRs right before its line ends cannot be told from one without them when its lines end in LF: it keeps
 * its CRLFs, and so does its `From ` line. Read twice where the octets must be counted first.
 */

const LF = 0x0a;
const CR = 0x0d;
/** A longer header gets no fields of the message's own checked: its flags still come first. */
const MAX_HEADER = 256 * 1024;
/** Messages up to this size are read once. */
const SMALL = 1024 * 1024;

export interface OutgoingMessage {
  readonly raw: RawMessage;
  readonly flags: readonly Flag[];
  /** Milliseconds since the epoch. */
  readonly internalDate: number;
}

export async function* mboxMessage(
  { raw, flags, internalDate }: OutgoingMessage,
  format: MboxFormat,
): AsyncGenerator<Uint8Array> {
  const again = raw.size <= SMALL ? await inMemory(raw) : (): AsyncIterable<Uint8Array> => raw.read();
  const top = await firstBytes(again());
  const blank = emptyLine(top);
  const headerEnd = blank ? blank.start : raw.size <= top.length ? top.length : 0;
  const bodyStart = blank ? blank.end : headerEnd;
  const header = top.subarray(0, headerEnd);
  const form = await measure(again(), bodyStart, format);
  const eol = form.lineEnd;

  yield Buffer.from(`${formatFromLine(senderOf(header), internalDate)}${eol}`, 'latin1');
  yield statusFields(header, flags, hasLength(format) ? form.body : null, eol);
  let last = LF;
  for await (const chunk of encoded(again(), format, eol)) {
    yield chunk;
    last = chunk.at(-1) ?? last;
  }
  yield Buffer.from(last === LF ? eol : `${eol}${eol}`);
}

/** The envelope's sender, where the message still says it. */
function senderOf(header: Buffer): string {
  const path = fieldValues(byteString(header), 'return-path')[0] ?? '';
  return /^<([^<>\s]*)>$/.exec(path)?.[1] ?? '';
}

/** Octets of the body as it will stand in the file, and with which line ends. */
async function measure(
  chunks: AsyncIterable<Uint8Array>,
  bodyStart: number,
  format: MboxFormat,
): Promise<{ readonly body: number; readonly lineEnd: '\n' | '\r\n' }> {
  const counts = { '\n': 0, '\r\n': 0 };
  const body = (): FromLines | null => {
    const lines = quotedLines(format);
    return lines === null ? null : new FromLines({ mode: 'quote', lines });
  };
  const counter = body();
  let seen = 0;
  let before = 0;
  let previous = 0;
  let needsCr = false;
  const count = (bytes: Uint8Array): void => {
    counts['\r\n'] += bytes.length;
    counts['\n'] += bytes.length;
  };
  for await (const chunk of chunks) {
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      const one = at > 0 ? chunk[at - 1] : previous;
      if (one !== CR) continue;
      const two = at > 1 ? chunk[at - 2] : at === 1 ? previous : before;
      if (two === CR) needsCr = true;
      // The CR that goes away; one in the header is not the body's.
      if (seen + at >= bodyStart) counts['\n']--;
    }
    const part = chunk.subarray(Math.min(Math.max(bodyStart - seen, 0), chunk.length));
    if (part.length > 0) for (const bytes of counter ? counter.next(part) : [part]) count(bytes);
    seen += chunk.length;
    before = chunk.length > 1 ? (chunk.at(-2) ?? 0) : chunk.length === 1 ? previous : before;
    previous = chunk.at(-1) ?? previous;
  }
  for (const bytes of counter?.end() ?? []) count(bytes);
  // At the very end, too: the line end that is added must not take it in.
  const lineEnd = needsCr || previous === CR ? '\r\n' : '\n';
  return { body: counts[lineEnd], lineEnd };
}

async function* encoded(
  chunks: AsyncIterable<Uint8Array>,
  format: MboxFormat,
  lineEnd: '\n' | '\r\n',
): AsyncGenerator<Uint8Array> {
  const lines = quotedLines(format);
  const quoting = lines === null ? null : new FromLines({ mode: 'quote', lines });
  const carriage = new CarriageReturns();
  const form = function* (bytes: Uint8Array): Generator<Uint8Array> {
    if (lineEnd === '\r\n') yield bytes;
    else yield* carriage.next(bytes);
  };
  for await (const chunk of chunks)
    for (const bytes of quoting ? quoting.next(chunk) : [chunk]) yield* form(bytes);
  for (const bytes of quoting?.end() ?? []) yield* form(bytes);
  yield* carriage.end();
}

/** Takes the CRs of CRLFs out. */
export class CarriageReturns {
  #held = false;

  *next(chunk: Uint8Array): Generator<Uint8Array> {
    if (chunk.length === 0) return;
    if (this.#held && chunk[0] !== LF) yield Uint8Array.of(CR);
    this.#held = chunk.at(-1) === CR;
    const end = this.#held ? chunk.length - 1 : chunk.length;
    const result = Buffer.allocUnsafe(end);
    let to = 0;
    let from = 0;
    for (let at = chunk.indexOf(LF); at >= 0 && at < end; at = chunk.indexOf(LF, at + 1)) {
      if (at === 0 || chunk[at - 1] !== CR) continue;
      result.set(chunk.subarray(from, at - 1), to);
      to += at - 1 - from;
      from = at;
    }
    result.set(chunk.subarray(from, end), to);
    to += end - from;
    if (to > 0) yield result.subarray(0, to);
  }

  *end(): Generator<Uint8Array> {
    if (this.#held) yield Uint8Array.of(CR);
    this.#held = false;
  }
}

async function inMemory(raw: RawMessage): Promise<() => AsyncGenerator<Uint8Array>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of raw.read()) chunks.push(chunk);
  const [first] = chunks;
  const bytes = chunks.length === 1 && first ? first : Buffer.concat(chunks);
  return async function* () {
    if (bytes.length > 0) yield bytes;
  };
}

async function firstBytes(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    size += chunk.length;
    if (size >= MAX_HEADER) break;
  }
  return Buffer.concat(parts);
}
