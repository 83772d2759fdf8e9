/**
 * bcrypt (Provos and Mazières, 1999): Blowfish with an expensive key schedule. Only to verify imported hashes.
 * The 4 KiB of tables are the hexadecimal digits of pi after the point, so they are computed when this file loads,
 * which only the password worker does.
 */

const ALPHABET = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const SUBKEYS = 18;
const BOX = 256;
/** bcrypt reads no more of a password than this, its final zero included. */
const MAX_PASSWORD = 72;

interface Blowfish {
  readonly p: Int32Array;
  readonly s: Int32Array;
}

/** Computes the hash of `password` under the setting of `hash` (`$2a$`, `$2b$` or `$2y$`, all computed alike). */
export function bcrypt(password: Uint8Array, hash: string): string {
  const [, version = '', cost = '', rest = ''] = hash.split('$');
  const saltText = rest.slice(0, 22);
  const salt = decode(saltText, 16);
  // `$2$` hashes, of before 1999's release, had no final zero.
  const end = version === '2' ? [] : [0];
  const key = new Uint8Array([...password.subarray(0, MAX_PASSWORD), ...end]).subarray(0, MAX_PASSWORD);

  const state: Blowfish = { p: PI.p.slice(), s: PI.s.slice() };
  const keyWords = cycle(key);
  const saltWords = cycle(salt);
  expand(state, keyWords, saltWords);
  const zero = new Int32Array(SUBKEYS);
  for (let i = 2 ** Number(cost); i > 0; i--) {
    expand(state, keyWords, zero);
    expand(state, saltWords, zero);
  }

  const text = Buffer.from('OrpheanBeholderScryDoubt');
  const pair = new Int32Array(2);
  const out = Buffer.alloc(24);
  for (let at = 0; at < 24; at += 8) {
    pair[0] = text.readInt32BE(at);
    pair[1] = text.readInt32BE(at + 4);
    for (let i = 0; i < 64; i++) encipher(state, pair);
    out.writeInt32BE(pair[0] ?? 0, at);
    out.writeInt32BE(pair[1] ?? 0, at + 4);
  }
  // Of 24 bytes 23 are written: everybody copied the first implementation.
  return `$${version}$${cost}$${encode(salt).slice(0, 22)}${encode(out.subarray(0, 23))}`;
}

/** The key as 18 words, repeated as often as needed. Salts are 4 words: 18 of them in a row serve as well. */
function cycle(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(SUBKEYS);
  let at = 0;
  for (let i = 0; i < SUBKEYS; i++) {
    let word = 0;
    for (let n = 0; n < 4; n++) {
      word = (word << 8) | (bytes[at] ?? 0);
      at = at + 1 === bytes.length ? 0 : at + 1;
    }
    words[i] = word;
  }
  return words;
}

/** ExpandKey: the key goes into the subkeys, the salt into every block of the running encryption. */
function expand(state: Blowfish, key: Int32Array, salt: Int32Array): void {
  const { p, s } = state;
  for (let i = 0; i < SUBKEYS; i++) p[i] = (p[i] ?? 0) ^ (key[i] ?? 0);
  const pair = new Int32Array(2);
  let word = 0;
  const fill = (table: Int32Array): void => {
    for (let i = 0; i < table.length; i += 2) {
      pair[0] = (pair[0] ?? 0) ^ (salt[word] ?? 0);
      pair[1] = (pair[1] ?? 0) ^ (salt[word + 1] ?? 0);
      word = (word + 2) & 3;
      encipher(state, pair);
      table[i] = pair[0] ?? 0;
      table[i + 1] = pair[1] ?? 0;
    }
  };
  fill(p);
  fill(s);
}

function encipher({ p, s }: Blowfish, pair: Int32Array): void {
  let left = (pair[0] ?? 0) ^ (p[0] ?? 0);
  let right = pair[1] ?? 0;
  for (let i = 1; i <= 16; i += 2) {
    right ^= feistel(s, left) ^ (p[i] ?? 0);
    left ^= feistel(s, right) ^ (p[i + 1] ?? 0);
  }
  pair[0] = right ^ (p[17] ?? 0);
  pair[1] = left;
}

function feistel(s: Int32Array, x: number): number {
  const a = ((s[x >>> 24] ?? 0) + (s[BOX | ((x >>> 16) & 0xff)] ?? 0)) | 0;
  return ((a ^ (s[(2 * BOX) | ((x >>> 8) & 0xff)] ?? 0)) + (s[(3 * BOX) | (x & 0xff)] ?? 0)) | 0;
}

/** The first 33,344 bits of pi's fraction, by Machin: pi = 16 atan(1/5) - 4 atan(1/239). */
function computeTables(): Blowfish {
  const words = SUBKEYS + 4 * BOX;
  const guard = 64n;
  const bits = BigInt(words * 32);
  const one = 1n << (bits + guard);
  const atanOfInverse = (x: bigint): bigint => {
    let power = one / x;
    let sum = power;
    for (let n = 3n, sign = -1n; power > 0n; n += 2n, sign = -sign) {
      power /= x * x;
      sum += (sign * power) / n;
    }
    return sum;
  };
  const pi = 16n * atanOfInverse(5n) - 4n * atanOfInverse(239n);
  const hex = ((pi - 3n * one) >> guard).toString(16).padStart(words * 8, '0');
  const all = Int32Array.from(
    { length: words },
    (_, i) => Number.parseInt(hex.slice(i * 8, i * 8 + 8), 16) | 0,
  );
  return { p: all.slice(0, SUBKEYS), s: all.slice(SUBKEYS) };
}

/** bcrypt's base64: its own alphabet, high bits first, no padding. */
function encode(bytes: Uint8Array): string {
  const standard = Buffer.from(bytes).toString('base64').replaceAll('=', '');
  return translate(standard, STANDARD, ALPHABET);
}

function decode(text: string, size: number): Buffer {
  return Buffer.from(translate(text, ALPHABET, STANDARD), 'base64').subarray(0, size);
}

const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

function translate(text: string, from: string, to: string): string {
  return [...text].map((char) => to[from.indexOf(char)] ?? '').join('');
}

const PI = computeTables();
