import { closeSync, readSync } from 'node:fs';
import { openRegular } from './disk.ts';
import { bareLineFeeds } from './line-ends.ts';

/** How many octets a message file has, and how many it goes out with; read piece by piece, whatever its size. */

const CHUNK = 256 * 1024;

/** For many files one is enough: to make it anew for each of 100,000 takes ten times as long as to read them. */
export function measuringBuffer(): Buffer {
  return Buffer.allocUnsafe(CHUNK);
}

/**
 * Throws `NotRegular`.
 * @param expected what the caller saw: having so many octets it need not ask whether there are more
 */
export function measure(
  path: string,
  buffer: Buffer = measuringBuffer(),
  expected?: number,
): { readonly size: number; readonly crlfSize: number } {
  const fd = openRegular(path);
  try {
    let size = 0;
    let bare = 0;
    let previous = 0;
    while (size !== expected) {
      const bytes = readSync(fd, buffer);
      if (bytes === 0) break;
      const chunk = buffer.subarray(0, bytes);
      bare += bareLineFeeds(chunk, previous);
      previous = chunk[bytes - 1] ?? 0;
      size += bytes;
    }
    return { size, crlfSize: size + bare };
  } finally {
    closeSync(fd);
  }
}
