import { isAscii } from 'node:buffer';
import type { RawMessage } from '../mail/raw-message.ts';
import { downgraded } from '../message/downgrade.ts';
import type { Pop3Session } from './command.ts';
import { Pop3Error } from './errors.ts';
import type { Entry, Maildrop } from './maildrop.ts';
import { multiLine } from './multi-line.ts';

/**
 * Sends `+OK first` and the message. When that fails on the way the connection is cut: a client that saw the
 * terminating line would take what it has for the whole message, and delete the other half.
 */
export async function sendMessage(
  session: Pop3Session,
  first: string,
  message: AsyncIterable<Uint8Array>,
): Promise<void> {
  const { connection } = session;
  await connection.write(`+OK ${session.say(first)}\r\n`);
  try {
    for await (const chunk of multiLine(message)) await connection.write(chunk);
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/**
 * The message as this client may have it. To one that has not said UTF8 its headers go in ASCII (RFC 6856 2.1), as a
 * surrogate; its size is then not the one that LIST tells (RFC 6858 4).
 */
export async function readable(session: Pop3Session, maildrop: Maildrop, entry: Entry): Promise<RawMessage> {
  const raw = await maildrop.raw(entry);
  // Where it is not offered (`pop3.mask`), nothing of it holds.
  if (session.mode === 'utf8' || !session.offers('UTF8')) return raw;
  if (raw.pieces.every((piece) => piece instanceof Uint8Array && isAscii(piece))) return raw;
  const surrogate = await downgraded(raw, await maildrop.structure(entry));
  if (!surrogate) throw new Pop3Error('this message needs UTF8', 'UTF8');
  return surrogate;
}
