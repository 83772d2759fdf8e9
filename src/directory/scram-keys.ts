import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { preparedPassword } from './saslprep.ts';

/** What a server keeps for SCRAM-SHA-256 (RFC 5802 3): enough to check a proof, not enough to make one. */
export interface ScramKeys {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/**
 * RFC 7677 4 asks for at least 4096 and, for a tenth of a second on a hand-held of its time, names some 15,000. The
 * client pays it at every login, a phone with five connections five times; some clients refuse more than 100,000.
 */
export const SCRAM_ITERATIONS = 15_000;
const SALT_BYTES = 16;

const derive = promisify(pbkdf2);

/** Salts and stretches a password (RFC 5802 3: SaltedPassword, ClientKey, StoredKey, ServerKey). */
export async function deriveScramKeys(
  password: string,
  salt: Uint8Array = randomBytes(SALT_BYTES),
  iterations: number = SCRAM_ITERATIONS,
): Promise<ScramKeys> {
  const salted = await derive(preparedPassword(password), salt, iterations, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  return {
    salt,
    iterations,
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: hmac(salted, 'Server Key'),
  };
}

/**
 * Keys for a login that has none: they look like anybody's and are always the same for one name, so that asking twice
 * tells nothing (RFC 5802 9). No password fits them.
 * @param secret the server's own, kept with the directory.
 */
export function inventScramKeys(secret: Uint8Array, login: string): ScramKeys {
  const part = (label: string): Buffer => hmac(secret, `${label}\0${login}`);
  return {
    salt: part('salt').subarray(0, SALT_BYTES),
    iterations: SCRAM_ITERATIONS,
    storedKey: part('stored key'),
    serverKey: part('server key'),
  };
}

/** RFC 5802 5.1 asks for at least 4096; SHA-1 is for clients that are old and slow. */
const SHA1_ITERATIONS = 4096;

/**
 * SCRAM-SHA-1's keys of a password that is kept, with a salt that is always the same for one name; without a password
 * those of one that nobody has, which costs the same.
 * @param secret the server's own, kept with the directory.
 */
export async function deriveScramSha1Keys(
  secret: Uint8Array,
  login: string,
  password: string | undefined,
): Promise<ScramKeys> {
  const salt = hmac(secret, `sha1 salt\0${login}`).subarray(0, SALT_BYTES);
  const text = password ?? hmac(secret, `sha1 password\0${login}`).toString('hex');
  const salted = await derive(preparedPassword(text), salt, SHA1_ITERATIONS, 20, 'sha1');
  const sha1 = (label: string): Buffer => createHmac('sha1', salted).update(label).digest();
  return {
    salt,
    iterations: SHA1_ITERATIONS,
    storedKey: createHash('sha1').update(sha1('Client Key')).digest(),
    serverKey: sha1('Server Key'),
  };
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
