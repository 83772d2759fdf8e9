import { closeSync, readSync } from 'node:fs';
import { openRegular } from './disk.ts';
import { bareLineFeeds } from './line-ends.ts';

/** How many octets a message file has, and how many it goes out with; read piece by piece, whatever its size. */

const CHUNK = 256 * 1024;

/** Throws `NotRegular`. */
export function measure(path: string): { readonly size: number; readonly crlfSize: number } {
  const fd = openRegular(path);
  try {
    const buffer = Buffer.allocUnsafe(CHUNK);
    let size = 0;
    let bare = 0;
    let previous = 0;
    for (;;) {
      const bytes = readSync(fd, buffer);
      if (bytes === 0) return { size, crlfSize: size + bare };
      const chunk = buffer.subarray(0, bytes);
      bare += bareLineFeeds(chunk, previous);
      previous = chunk[bytes - 1] ?? 0;
      size += bytes;
    }
  } finally {
    closeSync(fd);
  }
}
