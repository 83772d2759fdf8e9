/**
 * Multi-line responses (RFC 1939 3): lines that begin with the termination octet get another one in front, and a
 * line with nothing else ends the response. Works on chunks as they come; what needs no change is passed on as it is.
 */

const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const DOT_BYTES: Uint8Array = Buffer.from('.');

/** Byte-stuffs a message, ends its last line where it has no end, and adds the terminating line. */
export async function* multiLine(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let lineStart = true;
  let last = LF;
  for await (const bytes of source) {
    if (bytes.length === 0) continue;
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let from = 0;
    if (lineStart && chunk[0] === DOT) yield DOT_BYTES;
    for (let at = chunk.indexOf('\n.'); at >= 0; at = chunk.indexOf('\n.', at + 1)) {
      yield chunk.subarray(from, at + 1);
      yield DOT_BYTES;
      from = at + 1;
    }
    yield chunk.subarray(from);
    last = chunk[chunk.length - 1] ?? LF;
    lineStart = last === LF;
  }
  yield Buffer.from(lineStart ? '.\r\n' : last === CR ? '\n.\r\n' : '\r\n.\r\n');
}

/** The header, the blank line and `lines` lines of the body (RFC 1939 7, TOP); reads no further than that. */
export async function* top(source: AsyncIterable<Uint8Array>, lines: number): AsyncGenerator<Uint8Array> {
  /** Lines still wanted; null while in the header. */
  let left: number | null = null;
  /** Whether the present line has anything before its end. */
  let empty = true;
  for await (const bytes of source) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    while (at < chunk.length) {
      const lf = chunk.indexOf(LF, at);
      const end = lf < 0 ? chunk.length : lf;
      if (end > at + 1 || (end > at && chunk[at] !== CR)) empty = false;
      if (lf < 0) break;
      at = lf + 1;
      if (left !== null) left--;
      else if (empty) left = lines;
      empty = true;
      if (left === 0) {
        yield chunk.subarray(0, at);
        return;
      }
    }
    yield chunk;
  }
}
