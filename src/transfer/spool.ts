import { createHash, hash } from 'node:crypto';
import {
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Piece, pieceSize } from '../lib/pieces.ts';

/**
 * Messages between source and store, in `import/spool` of the account's directory: small ones in memory, big ones in
 * a file each, which the store takes by hard link. What a killed import left there is removed by the next one.
 */

/** Bigger messages go to a file. */
const SMALL = 256 * 1024;

export interface Spooled {
  readonly pieces: readonly Piece[];
  readonly size: number;
  readonly digest: Buffer;
  /** As much of its beginning as is at hand. */
  readonly beginning: Uint8Array;
}

export class Spool {
  readonly #directory: string;
  readonly #owner: { readonly uid: number; readonly gid: number };
  #serial = 0;

  /** @param directory `import` in the account's directory, which is there */
  constructor(directory: string) {
    this.#directory = join(directory, 'spool');
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#directory)) rmSync(join(this.#directory, name));
    this.#owner = statSync(join(directory, '..'));
    this.own(directory);
    for (const name of readdirSync(directory)) this.own(join(directory, name));
  }

  async take(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Spooled> {
    const parts: Uint8Array[] = [];
    let size = 0;
    const iterator = Symbol.iterator in chunks ? chunks[Symbol.iterator]() : chunks[Symbol.asyncIterator]();
    for (;;) {
      const next = iterator.next();
      const { value, done } = next instanceof Promise ? await next : next;
      if (done) break;
      parts.push(value);
      size += value.length;
      if (size > SMALL) return this.#toFile(parts, iterator);
    }
    const [first] = parts;
    const bytes = parts.length === 1 && first ? first : Buffer.concat(parts);
    return { pieces: [bytes], size, digest: hash('sha256', bytes, 'buffer'), beginning: bytes };
  }

  /** Small messages of a batch in one file, which another process can read; what is in files stays there. */
  together(contents: readonly (readonly Piece[])[]): { pieces: Piece[][]; release: () => void } {
    const path = this.#next();
    const fd = openSync(path, 'wx', 0o600);
    let at = 0;
    try {
      this.own(path);
      const pieces = contents.map((content) =>
        content.map((piece): Piece => {
          if (!(piece instanceof Uint8Array)) return piece;
          writeWhole(fd, piece);
          at += piece.length;
          return { path, start: at - piece.length, end: at };
        }),
      );
      return { pieces, release: () => unlinkSync(path) };
    } finally {
      closeSync(fd);
    }
  }

  /** The store has them. */
  release(pieces: readonly Piece[]): void {
    for (const piece of pieces)
      if (!(piece instanceof Uint8Array) && piece.path.startsWith(`${this.#directory}/`))
        rmSync(piece.path, { force: true });
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** Root works for whom the account belongs to. */
  own(path: string): void {
    if (process.getuid?.() === 0) chownSync(path, this.#owner.uid, this.#owner.gid);
  }

  async #toFile(
    parts: readonly Uint8Array[],
    rest: Iterator<Uint8Array> | AsyncIterator<Uint8Array>,
  ): Promise<Spooled> {
    const path = this.#next();
    const fd = openSync(path, 'wx', 0o600);
    try {
      this.own(path);
      const digest = createHash('sha256');
      let size = 0;
      const write = (bytes: Uint8Array): void => {
        digest.update(bytes);
        writeWhole(fd, bytes);
        size += bytes.length;
      };
      for (const part of parts) write(part);
      for (;;) {
        const next = rest.next();
        const { value, done } = next instanceof Promise ? await next : next;
        if (done) break;
        write(value);
      }
      const pieces = [{ path, start: 0, end: size }];
      return { pieces, size, digest: digest.digest(), beginning: Buffer.concat(parts) };
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
  }

  #next(): string {
    this.#serial++;
    return join(this.#directory, `${this.#serial}`);
  }
}

/** Octets of a message in memory. */
export function inMemory(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + (piece instanceof Uint8Array ? pieceSize(piece) : 0), 0);
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at);
}
