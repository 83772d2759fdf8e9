import { isAscii } from 'node:buffer';
import type { RawMessage } from '../mail/raw-message.ts';
import type { ImapSession } from './command.ts';
import { ImapNo } from './errors.ts';

/**
 * Messages with raw UTF-8 in their header (RFC 6532) come in by APPEND from clients that have said that they know such
 * messages: RFC 6855 4 and RFC 9755 want a NO for all others.
 */

/** A header that is longer is looked at so far: it is nobody's. */
const MAX_HEADER = 1024 * 1024;

/** @throws ImapNo when the header has 8-bit octets and the client has not enabled UTF8=ACCEPT. */
export async function refuseUtf8Header(session: ImapSession, message: RawMessage): Promise<void> {
  // To whom UTF8=ACCEPT is not offered, none of its rules apply (`imap.mask`).
  if (session.enabled.has('UTF8=ACCEPT') || !session.offers('UTF8=ACCEPT')) return;
  if (await hasEightBitHeader(message))
    throw new ImapNo('A header with 8-bit characters needs ENABLE UTF8=ACCEPT', 'CANNOT');
}

/** Whether there is an octet beyond ASCII before the first empty line. */
export async function hasEightBitHeader(message: RawMessage): Promise<boolean> {
  // Most messages are ASCII, or in memory, or both.
  if (message.pieces.every((piece) => piece instanceof Uint8Array && isAscii(piece))) return false;
  /** The end of what came before, in which the empty line may begin. */
  let tail = '';
  for await (const bytes of message.read({ start: 0, end: Math.min(message.size, MAX_HEADER) })) {
    const text = tail + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    const end = tail === '' && /^\r?\n/.test(text) ? 0 : text.search(/\n\r?\n/);
    if (/[\x80-\xff]/.test(end < 0 ? text : text.slice(0, end))) return true;
    if (end >= 0) return false;
    tail = text.slice(-2);
  }
  return false;
}
