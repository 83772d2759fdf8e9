/** Names of scripts (RFC 5804 1.6). */

/** In octets: 128 characters of UTF-8. */
const MAX_NAME = 512;
const FORBIDDEN = /[\p{Cc}\u2028\u2029]/u;

/** Why a text cannot be the name of a script; undefined: it can. */
export function scriptNameProblem(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (Buffer.byteLength(name) > MAX_NAME) return `it is longer than ${MAX_NAME} octets`;
  if (FORBIDDEN.test(name)) return 'control characters and line separators are not possible in it';
  if (!name.isWellFormed()) return 'it is no Unicode';
  if (name.includes('/')) return 'a slash is not possible in it';
  return undefined;
}
