import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** How much of a file is read at a time, and how far one look may reach. */
export const WINDOW: number = 1024 * 1024;
/** Less than this left in the window, and it moves on. */
const LOW = 64 * 1024;

/**
 * A file that is read from front to back, with looks ahead and back. One window of it is in memory; views of earlier
 * windows stay as they were. Reading is synchronous: it happens in the process of the command line, not the daemon's.
 */
export class ByteFile {
  readonly path: string;
  readonly #fd: number;
  #size: number;
  #start = 0;
  #window: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, 'r');
    this.#size = fstatSync(this.#fd).size;
  }

  /** As it was at the last look. */
  get size(): number {
    return this.#size;
  }

  /** Looks again how long the file is: mail may have come meanwhile. */
  measure(): { readonly size: number; readonly modified: number } {
    const { size, mtimeMs } = fstatSync(this.#fd);
    this.#size = size;
    return { size, modified: mtimeMs };
  }

  /** From `at` on: at least LOW bytes where the file has them, at most WINDOW. */
  from(at: number): Buffer {
    const offset = at - this.#start;
    const left = this.#window.length - offset;
    if (offset < 0 || left < Math.min(LOW, this.#size - at)) {
      this.#window = this.#read(at, Math.min(at + WINDOW, this.#size));
      this.#start = at;
      return this.#window;
    }
    return this.#window.subarray(offset);
  }

  /** The bytes `start` to `end`, at most WINDOW of them, and fewer where the file ends. */
  bytes(start: number, end: number): Buffer {
    const offset = start - this.#start;
    if (offset >= 0 && offset + (end - start) <= this.#window.length)
      return this.#window.subarray(offset, offset + (end - start));
    return this.#read(start, Math.min(end, start + WINDOW, this.#size));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(start: number, end: number): Buffer {
    const buffer = Buffer.allocUnsafe(Math.max(end - start, 0));
    let filled = 0;
    while (filled < buffer.length) {
      const bytes = readSync(this.#fd, buffer, filled, buffer.length - filled, start + filled);
      if (bytes === 0) break;
      filled += bytes;
    }
    return buffer.subarray(0, filled);
  }
}

/** Pieces of a file, for messages too long for one window. */
export function* bytesBetween(file: ByteFile, start: number, end: number): Generator<Buffer> {
  for (let at = start; at < end; ) {
    const bytes = file.bytes(at, Math.min(end, at + WINDOW));
    if (bytes.length === 0) return;
    yield bytes;
    at += bytes.length;
  }
}
