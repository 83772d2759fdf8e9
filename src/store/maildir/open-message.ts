import { closeSync, readSync } from 'node:fs';
import type { Span } from '../../message/structure.ts';
import type { MaildirAccount } from './account.ts';
import { openRegular, readRegular } from './disk.ts';
import type { Folder } from './folder.ts';
import { toCrlf } from './line-ends.ts';
import { withFile } from './read.ts';

/**
 * A message that is read more than once, from one descriptor, whatever happens to its name meanwhile. Small ones are in
 * memory, of others a piece at a time.
 */

/** Up to this size a message is in memory; with bare LFs up to the second one, as offsets must be counted there. */
const SMALL = 1024 * 1024;
const SMALL_LF = 16 * SMALL;
const CHUNK = 256 * 1024;

export class OpenMessage {
  /** With CRLF line ends. */
  readonly size: number;
  readonly #bytes: Uint8Array | undefined;
  readonly #fd: number;
  readonly #lf: boolean;

  /** Throws 'expunged'. */
  constructor(account: MaildirAccount, folder: Folder, uid: number) {
    const opened = withFile(account, folder, uid, (row, path) => {
      const lf = row.lf === 1;
      if (row.size > (lf ? SMALL_LF : SMALL))
        return { size: row.size, lf, fd: openRegular(path), bytes: undefined };
      const file = readRegular(path);
      const bytes = lf ? toCrlf(file, 0) : file;
      return { size: bytes.length, lf, fd: -1, bytes };
    });
    this.size = opened.size;
    this.#bytes = opened.bytes;
    this.#fd = opened.fd;
    this.#lf = opened.lf;
  }

  *read({ start, end }: Span): Generator<Uint8Array> {
    if (this.#bytes) {
      if (start < end) yield this.#bytes.subarray(start, end);
      return;
    }
    let previous = 0;
    /** Octets of the file, and of the message before the next chunk. */
    let from = this.#lf ? 0 : start;
    let at = from;
    while (at < end) {
      const buffer = Buffer.allocUnsafe(this.#lf ? CHUNK : Math.min(CHUNK, end - at));
      const length = readSync(this.#fd, buffer, 0, buffer.length, from);
      if (length === 0) return;
      from += length;
      const raw = buffer.subarray(0, length);
      const chunk = this.#lf ? toCrlf(raw, previous) : raw;
      previous = raw[length - 1] ?? 0;
      const first = Math.max(start - at, 0);
      const last = Math.min(end - at, chunk.length);
      if (first < last) yield chunk.subarray(first, last);
      at += chunk.length;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
  }
}
