import { type ByteFile, bytesBetween } from '../file.ts';
import { extents, firstMessage } from './extents.ts';
import type { MboxFormat } from './format.ts';

/** How much of a file is looked at. */
const SAMPLE = 4 * 1024 * 1024;
const MAX_MESSAGES = 500;

/**
 * Which mbox this is, by its beginning. Content-Lengths that fit: mboxcl2, unless lines are quoted and none that would
 * have to be is not. Else mboxrd, which reads mboxo too but for `>>From ` lines: whoever knows better says so.
 */
export function detectFormat(file: ByteFile): MboxFormat {
  let messages = 0;
  let measured = 0;
  let quoted = false;
  let bare = false;
  for (const extent of extents(file, 'mboxcl2', firstMessage(file))) {
    messages++;
    if (extent.measured !== null) {
      measured++;
      for (const chunk of bytesBetween(file, extent.measured - 1, Math.min(extent.end, SAMPLE))) {
        const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
        bare ||= bytes.includes('\nFrom ');
        quoted ||= bytes.includes('\n>From ');
      }
    }
    if (messages >= MAX_MESSAGES || extent.end >= SAMPLE) break;
  }
  if (measured * 2 <= messages) return 'mboxrd';
  return quoted && !bare ? 'mboxcl' : 'mboxcl2';
}
