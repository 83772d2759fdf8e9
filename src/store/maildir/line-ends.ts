/**
 * Messages that other programs wrote with bare LFs go out with CRLF: each LF that has no CR before it gets one. Nothing
 * else changes, and doing it twice changes nothing.
 */

const LF = 0x0a;
const CR = 0x0d;

/** LFs without a CR before them; `previous` is the octet before the chunk. */
export function bareLineFeeds(chunk: Uint8Array, previous: number): number {
  let count = 0;
  for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1))
    if ((at === 0 ? previous : chunk[at - 1]) !== CR) count++;
  return count;
}

export function toCrlf(chunk: Uint8Array, previous: number): Uint8Array {
  const bare = bareLineFeeds(chunk, previous);
  if (bare === 0) return chunk;
  const result = new Uint8Array(chunk.length + bare);
  let to = 0;
  let from = 0;
  for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
    if ((at === 0 ? previous : chunk[at - 1]) === CR) continue;
    result.set(chunk.subarray(from, at), to);
    to += at - from;
    result[to++] = CR;
    result[to++] = LF;
    from = at + 1;
  }
  result.set(chunk.subarray(from), to);
  return result;
}

/** The octets `start` to `end` of what the chunks are with CRLF line ends. */
export async function* crlfStream(
  chunks: AsyncIterable<Uint8Array>,
  range: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array> {
  let at = 0;
  let previous = 0;
  for await (const chunk of chunks) {
    const converted = toCrlf(chunk, previous);
    previous = chunk.at(-1) ?? previous;
    const start = Math.max(range.start - at, 0);
    const end = Math.min(range.end - at, converted.length);
    if (start < end) yield converted.subarray(start, end);
    at += converted.length;
    if (at >= range.end) return;
  }
}
