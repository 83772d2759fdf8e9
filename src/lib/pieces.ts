import { open } from 'node:fs/promises';

/** Bytes `start` (inclusive) to `end` (exclusive) of a file. Structured-clonable: a worker can read it itself. */
export interface FileRange {
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

/** A run of bytes, in memory or in a file. A message is a list of them, read as often as needed. */
export type Piece = Uint8Array | FileRange;

/** How much of a file is in memory at a time while it is streamed. */
const CHUNK = 64 * 1024;

export function pieceSize(piece: Piece): number {
  return piece instanceof Uint8Array ? piece.length : piece.end - piece.start;
}

/** Streams the pieces in order, optionally only the bytes `start` (inclusive) to `end` (exclusive) of the whole. */
export async function* readPieces(
  pieces: readonly Piece[],
  range?: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array> {
  let at = 0;
  const from = range?.start ?? 0;
  const to = range?.end ?? Number.POSITIVE_INFINITY;
  for (const piece of pieces) {
    const size = pieceSize(piece);
    const start = Math.max(from - at, 0);
    const end = Math.min(to - at, size);
    if (start < end) {
      if (piece instanceof Uint8Array) yield piece.subarray(start, end);
      else yield* readFileRange({ path: piece.path, start: piece.start + start, end: piece.start + end });
    }
    at += size;
    if (at >= to) return;
  }
}

async function* readFileRange(range: FileRange): AsyncGenerator<Uint8Array> {
  const file = await open(range.path, 'r');
  try {
    let at = range.start;
    while (at < range.end) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, range.end - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error(`file ends before its range: ${range.path}`);
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}
