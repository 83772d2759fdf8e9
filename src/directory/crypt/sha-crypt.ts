import { createHash } from 'node:crypto';
import { permuted } from './alphabet.ts';

/** "Unix crypt using SHA-256 and SHA-512", version 0.6: the default and the limits of `rounds=`. */
const DEFAULT_ROUNDS = 5000;
const MIN_ROUNDS = 1000;
const MAX_ROUNDS = 999_999_999;

const SHA256_ORDER = [...[...Array(10).keys()].map((i) => rotated(i, [0, 10, 20], [0, 2, 1])), [31, 30]];
const SHA512_ORDER = [...[...Array(21).keys()].map((i) => rotated(i, [0, 21, 42], [0, 1, 2])), [63]];

/** Row `i` of the permutation: the three columns advance by one, and start a column later (or earlier) each row. */
function rotated(i: number, columns: readonly number[], starts: readonly number[]): readonly number[] {
  const start = starts[i % 3] ?? 0;
  return [0, 1, 2].map((at) => (columns[(start + at) % 3] ?? 0) + i);
}

/** crypt(3)'s `$5$` and `$6$`. Only to verify imported hashes. */
export function shaCrypt(password: Uint8Array, hash: string): string {
  const algorithm = hash.startsWith('$6$') ? 'sha512' : 'sha256';
  const match = /^\$[56]\$(?:rounds=(\d+)\$)?([^$]*)/.exec(hash);
  const salt = (match?.[2] ?? '').slice(0, 16);
  const asked = match?.[1];
  const rounds = Math.min(Math.max(Number(asked ?? DEFAULT_ROUNDS), MIN_ROUNDS), MAX_ROUNDS);
  const digest = compute(algorithm, password, Buffer.from(salt), rounds);
  const order = algorithm === 'sha512' ? SHA512_ORDER : SHA256_ORDER;
  const prefix = `${hash.slice(0, 3)}${asked === undefined ? '' : `rounds=${rounds}$`}`;
  return `${prefix}${salt}$${permuted(digest, order)}`;
}

function compute(algorithm: string, password: Uint8Array, salt: Uint8Array, rounds: number): Buffer {
  const sha = (...parts: readonly Uint8Array[]): Buffer => {
    const state = createHash(algorithm);
    for (const part of parts) state.update(part);
    return state.digest();
  };
  const alternate = sha(password, salt, password);
  const parts: Uint8Array[] = [password, salt, Buffer.alloc(password.length, alternate)];
  for (let length = password.length; length > 0; length >>>= 1)
    parts.push((length & 1) === 1 ? alternate : password);
  let digest = sha(...parts);
  const p = Buffer.alloc(password.length, sha(...Array<Uint8Array>(password.length).fill(password)));
  const s = Buffer.alloc(salt.length, sha(...Array<Uint8Array>(16 + (digest[0] ?? 0)).fill(salt)));
  const none = Buffer.alloc(0);
  for (let round = 0; round < rounds; round++) {
    const odd = round % 2 === 1;
    digest = sha(odd ? p : digest, round % 3 === 0 ? none : s, round % 7 === 0 ? none : p, odd ? digest : p);
  }
  return digest;
}
