import {
  type Argon2Parameters,
  argon2,
  createHash,
  pbkdf2,
  randomBytes,
  scrypt,
  timingSafeEqual,
} from 'node:crypto';
import { promisify } from 'node:util';
import { ThreadPool } from '../lib/thread-pool.ts';
import { DirectoryError } from './errors.ts';
import { Gate } from './gate.ts';
import { preparedPassword } from './saslprep.ts';
import { deriveScramKeys } from './scram-keys.ts';
import { isWeak, parseStoredHash, type StoredHash } from './stored-hash.ts';

/** What one hash costs. Tests choose less. */
export interface PasswordCost {
  /** KiB. */
  readonly memory: number;
  readonly passes: number;
}

/** The second choice of OWASP for argon2id: 19 MiB, two passes, one lane; some 30 ms of one core. */
export const DEFAULT_COST: PasswordCost = { memory: 19 * 1024, passes: 2 };

/** Longest password in octets; nobody types more, and SASL allows no less than 255 (RFC 4616 2). */
export const MAX_PASSWORD = 1024;

/**
 * Two at a time: node:crypto shares its four threads with every file operation of the main thread, and a burst of
 * logins must not stand between a message and its fdatasync.
 */
const CONCURRENT = 2;
/** At 30 ms each, two at a time, the last of them waits for eight seconds: no client waits longer anyway. */
const MAX_WAITING = 512;
const SALT_BYTES = 16;
const TAG_BYTES = 32;

const argon2Async = promisify(argon2);
const pbkdf2Async = promisify(pbkdf2);

/** Hashes and checks passwords, always off the event loop, never more than a few at once. */
export class Passwords {
  readonly #cost: PasswordCost;
  readonly #gate = new Gate(CONCURRENT, MAX_WAITING);
  readonly #decoy: StoredHash;
  #worker: ThreadPool | undefined;
  #closed = false;

  constructor(cost: PasswordCost = DEFAULT_COST) {
    this.#cost = cost;
    this.#decoy = {
      is: 'argon2',
      variant: 'argon2id',
      ...cost,
      parallelism: 1,
      salt: randomBytes(SALT_BYTES),
      tag: randomBytes(TAG_BYTES),
    };
  }

  /** argon2id as a PHC string. */
  async hash(password: string): Promise<string> {
    const { memory, passes } = this.#cost;
    const salt = randomBytes(SALT_BYTES);
    const tag = await this.#gate.run(() =>
      argon2Async(
        'argon2id',
        parameters(preparedPassword(password), { memory, passes, parallelism: 1, salt }, TAG_BYTES),
      ),
    );
    return `$argon2id$v=19$m=${memory},t=${passes},p=1$${unpadded(salt)}$${unpadded(tag)}`;
  }

  /**
   * Whether `password` fits. An imported hash was made of the password as typed, ours of its prepared form: where the
   * two differ both are tried.
   * @throws DirectoryError `busy`, or `invalid` when the hash cannot be read.
   */
  async verify(hash: string, password: string): Promise<boolean> {
    const stored = parseStoredHash(hash);
    const prepared = preparedPassword(password);
    return (
      (await this.#gate.run(() => this.#fits(stored, prepared))) ||
      (prepared !== password && (await this.#gate.run(() => this.#fits(stored, password))))
    );
  }

  /** Takes the time that verify() takes for a hash of ours, for accounts that do not exist. */
  async pretend(password: string): Promise<void> {
    const prepared = preparedPassword(password);
    await this.#gate.run(() => this.#fits(this.#decoy, prepared));
    if (prepared !== password) await this.#gate.run(() => this.#fits(this.#decoy, password));
  }

  /** Whether a hash should be replaced now that its password is known. */
  isWeak(hash: string): boolean {
    return isWeak(parseStoredHash(hash), this.#cost);
  }

  /** Ends the worker thread, where one was needed. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.close();
  }

  async #fits(stored: StoredHash, password: string): Promise<boolean> {
    switch (stored.is) {
      case 'argon2': {
        const { variant, tag } = stored;
        return timingSafeEqual(await argon2Async(variant, parameters(password, stored, tag.length)), tag);
      }
      case 'scrypt':
        return timingSafeEqual(await scryptTag(password, stored), stored.tag);
      case 'pbkdf2': {
        const { salt, iterations, tag, digest } = stored;
        return timingSafeEqual(await pbkdf2Async(password, salt, iterations, tag.length, digest), tag);
      }
      case 'digest': {
        const computed = createHash(stored.digest).update(password).update(stored.salt).digest();
        return timingSafeEqual(computed, stored.tag);
      }
      case 'scram': {
        const keys = await deriveScramKeys(password, stored.salt, stored.iterations);
        return timingSafeEqual(keys.storedKey, stored.storedKey);
      }
      case 'crypt':
        return this.#pool().call<boolean>('', 'crypt.verify', { password, hash: stored.hash });
      case 'plain':
        throw new DirectoryError('invalid', 'a password in plain text is never kept');
    }
  }

  #pool(): ThreadPool {
    if (this.#closed) throw new DirectoryError('busy', 'the directory is closed');
    if (this.#worker) return this.#worker;
    const pool: ThreadPool = new ThreadPool(WORKER, 1, undefined, () => {
      // Its calls were rejected; the next one starts another thread.
      if (this.#worker === pool) this.#worker = undefined;
    });
    this.#worker = pool;
    return pool;
  }
}

const WORKER = new URL(
  import.meta.url.endsWith('.ts') ? './password-worker.ts' : './password-worker.js',
  import.meta.url,
);

/**
 * Refuses a password that could not be used everywhere.
 * @throws DirectoryError `invalid`.
 */
export function checkPassword(password: string): void {
  if (password === '') throw new DirectoryError('invalid', 'the password is empty');
  if (Buffer.byteLength(password) > MAX_PASSWORD)
    throw new DirectoryError('invalid', `the password is longer than ${MAX_PASSWORD} octets`);
  // NUL ends a field of PLAIN (RFC 4616 2), CR and LF a line of POP3 and IMAP.
  if (/\p{Cc}/u.test(password))
    throw new DirectoryError('invalid', 'the password has a control character, which no client could send');
}

/** Without letters and digits that look like others: 20 of 32 symbols are 100 bits. */
const READABLE = 'abcdefghijkmnpqrstuvwxyz23456789';
const GENERATED_SYMBOLS = 20;

/** A password to be printed once and copied: `k3rd-9xqa-…`. */
export function generatePassword(): string {
  const symbols = [...randomBytes(GENERATED_SYMBOLS)].map((byte) => READABLE[byte & 31] ?? '').join('');
  return symbols.replace(/(.{4})(?=.)/g, '$1-');
}

function parameters(
  password: string,
  of: { memory: number; passes: number; parallelism: number; salt: Uint8Array },
  tagLength: number,
): Argon2Parameters {
  const { memory, passes, parallelism, salt } = of;
  return { message: password, nonce: salt, memory, passes, parallelism, tagLength };
}

function scryptTag(password: string, stored: StoredHash & { is: 'scrypt' }): Promise<Buffer> {
  const { cost, blockSize, parallelism, salt, tag } = stored;
  // OpenSSL counts a little more than 128 * N * r; the ceiling was checked when the hash was read.
  const maxmem = 128 * blockSize * (cost + parallelism + 2) + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(
      password,
      salt,
      tag.length,
      { cost, blockSize, parallelization: parallelism, maxmem },
      (error, key) => {
        if (error) reject(error);
        else resolve(key);
      },
    );
  });
}

function unpadded(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}
