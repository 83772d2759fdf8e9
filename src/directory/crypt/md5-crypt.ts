import { createHash } from 'node:crypto';
import { permuted } from './alphabet.ts';

const ROUNDS = 1000;
const ORDER = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5], [11]] as const;

const md5 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** crypt(3)'s `$1$`, as FreeBSD brought it. Only to verify imported hashes. */
export function md5Crypt(password: Uint8Array, hash: string): string {
  const salt = hash.split('$')[2] ?? '';
  const saltBytes = Buffer.from(salt);
  const inner = md5(password, saltBytes, password);
  const parts: Uint8Array[] = [password, Buffer.from('$1$'), saltBytes, repeat(inner, password.length)];
  // The quirk everybody had to keep: a zero byte for each set bit of the length, else the first password byte.
  for (let length = password.length; length > 0; length >>>= 1)
    parts.push((length & 1) === 1 ? Buffer.alloc(1) : password.subarray(0, 1));
  let digest = md5(...parts);
  for (let round = 0; round < ROUNDS; round++) {
    digest = md5(
      round % 2 === 1 ? password : digest,
      round % 3 === 0 ? EMPTY : saltBytes,
      round % 7 === 0 ? EMPTY : password,
      round % 2 === 1 ? digest : password,
    );
  }
  return `$1$${salt}$${permuted(digest, ORDER)}`;
}

const EMPTY = Buffer.alloc(0);

function repeat(block: Buffer, size: number): Buffer {
  return Buffer.alloc(size, block);
}
