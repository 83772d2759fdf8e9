/** Octets in pieces of any size, so that a big message is never in memory as a whole. */
export type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** A message in its two parts; the header is a string of bytes ("latin1"), without the blank line. */
export interface Parted {
  readonly header: string;
  /** With the blank line. */
  readonly body: Bytes;
}

/** One after the other. */
export async function* joined(...parts: readonly Bytes[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield* part;
}

/** A message that is in memory. */
export function parted(message: Uint8Array): Parted {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const end = bytes.indexOf('\r\n\r\n');
  const at = end < 0 ? bytes.length : end + 2;
  return { header: bytes.toString('latin1', 0, at), body: [bytes.subarray(at)] };
}
