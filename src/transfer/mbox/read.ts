import { toCrlf } from '../../store/maildir/line-ends.ts';
import { type ByteFile, bytesBetween, WINDOW } from '../file.ts';
import { type Extent, emptyLine } from './extents.ts';
import { hasLength, type MboxFormat, quotedLines } from './format.ts';
import { quoteFrom } from './quoting.ts';
import { type MboxStatus, takeStatus } from './status.ts';

/** One message of an mbox, as it was before it came into the mbox: CRLF line ends, no quoting, no fields of the mbox. */
export interface MboxMessage {
  readonly status: MboxStatus;
  readonly header: Buffer;
  /** May be read once. */
  readonly chunks: Iterable<Uint8Array>;
}

/** A header that is longer stays as it is. */
const MAX_HEADER = WINDOW / 2;

export function readMboxMessage(
  file: ByteFile,
  extent: Extent,
  format: MboxFormat,
  mode: 'strip' | 'keep',
): MboxMessage {
  const { start, end } = extent;
  const top = file.bytes(start, Math.min(end, start + MAX_HEADER));
  const blank = emptyLine(top);
  const whole = end - start <= top.length;
  const headerEnd = blank ? blank.start : whole ? top.length : 0;
  const { status, header } = takeStatus(top.subarray(0, headerEnd), {
    fields: mode,
    length: hasLength(format) && extent.measured !== null,
  });
  return { status, header, chunks: contents(file, { ...extent, start: start + headerEnd }, format, header) };
}

function* contents(
  file: ByteFile,
  { start, end }: Extent,
  format: MboxFormat,
  header: Buffer,
): Generator<Uint8Array> {
  const raw = function* (): Generator<Uint8Array> {
    if (header.length > 0) yield header;
    yield* bytesBetween(file, start, end);
  };
  const lines = quotedLines(format);
  let previous = 0;
  for (const chunk of lines === null ? raw() : quoteFrom(raw(), { mode: 'unquote', lines })) {
    yield toCrlf(chunk, previous);
    previous = chunk.at(-1) ?? previous;
  }
}
