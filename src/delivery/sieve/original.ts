import type { RawMessage } from '../../mail/raw-message.ts';
import { MessageVersion } from '../../sieve/message.ts';

/** A message as scripts get it: the header is read at once, the rest only for scripts that look at it. */

/** Of a message's header; what lies beyond is body to scripts. */
const MAX_HEADER = 1024 * 1024;

export interface Original {
  readonly message: MessageVersion;
  /** Where the blank line begins. */
  readonly bodyAt: number;
}

export async function originalOf(raw: RawMessage): Promise<Original> {
  const whole = async (): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of raw.read()) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks);
  };
  const { header, bodyAt } = await readHeader(raw);
  return { message: MessageVersion.original(header, raw.size, whole), bodyAt };
}

/** Without the blank line. */
export async function readHeader(
  raw: RawMessage,
): Promise<{ readonly header: Buffer; readonly bodyAt: number }> {
  let header = Buffer.alloc(0);
  for await (const chunk of raw.read({ start: 0, end: MAX_HEADER })) {
    const from = Math.max(0, header.length - 3);
    header = Buffer.concat([header, chunk]);
    const end = header.indexOf('\r\n\r\n', from);
    if (end >= 0) return { header: header.subarray(0, end + 2), bodyAt: end + 2 };
  }
  return { header, bodyAt: header.length };
}
