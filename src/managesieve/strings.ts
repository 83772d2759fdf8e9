/** Strings as we send them (RFC 5804 4): quoted where that can be, else a literal. As octets in a latin1 string. */

/** RFC 5804 4: quoted strings have at most 1024 octets. */
const MAX_QUOTED = 1024;

export function string(text: string): string {
  const octets = Buffer.from(text).toString('latin1');
  if (octets.length > MAX_QUOTED || /[\r\n\0]/.test(octets)) return literal(octets);
  return `"${octets.replace(/["\\]/g, '\\$&')}"`;
}

function literal(octets: string): string {
  return `{${octets.length}}\r\n${octets}`;
}
