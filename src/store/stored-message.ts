import { closeSync, constants, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type Piece, readPieces } from '../lib/pieces.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import { openRegular } from './maildir/disk.ts';
import { crlfStream, toCrlf } from './maildir/line-ends.ts';
import { StoreError } from './store.ts';

/** Where the bytes of a message are, as the store's thread says. */
export interface Located {
  readonly size: number;
  readonly bytes: Uint8Array | null;
  readonly path: string;
  readonly lf: boolean;
}

/** Names change with flags; more often than this between two looks they do not. */
const ATTEMPTS = 5;
const CHUNK = 64 * 1024;
/** A pipe that somebody put in its place must not keep a thread waiting, nor a link lead elsewhere. */
const READ_REGULAR = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * A message in a Maildir. Its file may be renamed at any time: whoever opens it and does not find it asks where it is
 * now. Once open, renaming and even removing it does no harm.
 */
export class StoredMessage implements RawMessage {
  readonly size: number;
  #located: Located;
  readonly #locate: () => Promise<Located>;

  constructor(located: Located, locate: () => Promise<Located>) {
    this.size = located.size;
    this.#located = located;
    this.#locate = locate;
  }

  /**
   * For a thread that reads by itself, right away. A big message with bare LFs has no bytes on disk that could be
   * pointed at: it is read into memory.
   */
  get pieces(): readonly Piece[] {
    const { bytes, path, size, lf } = this.#located;
    if (bytes) return [bytes];
    return lf ? [wholeConverted(path)] : [{ path, start: 0, end: size }];
  }

  async *read(range?: { readonly start: number; readonly end: number }): AsyncGenerator<Uint8Array> {
    const span = { start: range?.start ?? 0, end: Math.min(range?.end ?? this.size, this.size) };
    if (span.start >= span.end) return;
    for (let attempt = 1; ; attempt++) {
      const { bytes, path, lf } = this.#located;
      if (bytes) {
        yield* readPieces([bytes], span);
        return;
      }
      try {
        const file = await open(path, READ_REGULAR);
        try {
          const from = lf ? 0 : span.start;
          const chunks = chunksOf(file, from, lf ? Number.POSITIVE_INFINITY : span.end);
          yield* lf ? crlfStream(chunks, span) : chunks;
          return;
        } finally {
          await file.close();
        }
      } catch (error) {
        const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!isGone) throw error;
        if (attempt === ATTEMPTS) throw new StoreError('expunged', 'This message is gone', error);
        this.#located = await this.#locate();
      }
    }
  }
}

async function* chunksOf(
  file: Awaited<ReturnType<typeof open>>,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let at = start;
  while (at < end) {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, end - at));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) {
      if (end === Number.POSITIVE_INFINITY) return;
      throw new Error('a message file is shorter than it was');
    }
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

function wholeConverted(path: string): Uint8Array {
  const fd = openRegular(path);
  try {
    const chunks: Uint8Array[] = [];
    let previous = 0;
    for (;;) {
      const buffer = Buffer.allocUnsafe(CHUNK);
      const bytes = readSync(fd, buffer);
      if (bytes === 0) return Buffer.concat(chunks);
      chunks.push(toCrlf(buffer.subarray(0, bytes), previous));
      previous = buffer[bytes - 1] ?? 0;
    }
  } finally {
    closeSync(fd);
  }
}
