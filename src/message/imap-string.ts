/** Strings as IMAP prints them (RFC 9051 4.3), for ENVELOPE and BODYSTRUCTURE. In and out: one char an octet. */

/** What may not stand in a quoted string, or only with a backslash that some clients never learned. */
const NEEDS_LITERAL = /[\r\n"\\\x80-\xff]/;

/** `"…"`, or a literal where that is not possible. NUL, which neither can carry (RFC 9051 9: CHAR8), becomes `?`. */
export function imapString(value: string): string {
  const text = value.includes('\0') ? value.replaceAll('\0', '?') : value;
  return NEEDS_LITERAL.test(text) ? `{${text.length}}\r\n${text}` : `"${text}"`;
}

export function nstring(value: string | null | undefined): string {
  return value === null || value === undefined ? 'NIL' : imapString(value);
}

/** Text as a string of its UTF-8 octets. */
export function utf8Octets(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
