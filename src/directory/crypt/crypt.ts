import { timingSafeEqual } from 'node:crypto';
import { bcrypt } from './bcrypt.ts';
import { md5Crypt } from './md5-crypt.ts';
import { shaCrypt } from './sha-crypt.ts';

/** crypt(3) for the forms that parseStoredHash() lets through. Slow: runs in the password worker. */
export function verifyCrypt(password: string, hash: string): boolean {
  const computed = compute(Buffer.from(password), hash);
  const [a, b] = [Buffer.from(digestOf(computed)), Buffer.from(digestOf(hash))];
  return a.length === b.length && timingSafeEqual(a, b);
}

function compute(password: Uint8Array, hash: string): string {
  if (hash.startsWith('$1$')) return md5Crypt(password, hash);
  if (hash.startsWith('$2')) return bcrypt(password, hash);
  return shaCrypt(password, hash);
}

/** What follows the salt. Settings may be written in several ways (`rounds=5000$`, a salt's unused bits). */
function digestOf(hash: string): string {
  return hash.startsWith('$2') ? hash.slice(-31) : hash.slice(hash.lastIndexOf('$') + 1);
}
