import { isAscii, isUtf8 } from 'node:buffer';
import { saslprep } from '../directory/saslprep.ts';
import { Pop3SyntaxError } from './errors.ts';

/** Arguments come as latin1, one character an octet. */

/** For commands that have none. Blanks at the end are forgiven. */
export function noArguments(args: string): void {
  if (args.trim() !== '') throw new Pop3SyntaxError('this command has no arguments');
}

/** The words between single blanks, `least` to `most` of them. */
export function words(args: string, least: number, most: number): readonly string[] {
  const list = args
    .trim()
    .split(/ +/)
    .filter((word) => word !== '');
  if (list.length < least) throw new Pop3SyntaxError('an argument is missing');
  if (list.length > most) throw new Pop3SyntaxError('too many arguments');
  return list;
}

/** A name or password: clients send UTF-8 (RFC 6856 2.2), and neither may hold a NUL. */
export function utf8(args: string): string {
  const bytes = Buffer.from(args, 'latin1');
  if (!isUtf8(bytes) || bytes.includes(0)) throw new Pop3SyntaxError('this is not UTF-8');
  const text = bytes.toString('utf8');
  // RFC 6856 2.2: what SASLprep forbids is refused; ASCII was never asked to pass it (RFC 1939).
  if (!isAscii(bytes) && saslprep(text) === undefined)
    throw new Pop3SyntaxError('this name or password cannot be one');
  return text;
}
