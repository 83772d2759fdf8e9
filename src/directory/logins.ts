import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Domain } from '../mail/address.ts';
import { type AddressKey, addressKey, parseLogin } from './address-key.ts';
import type { Account, ScramCredentials } from './directory.ts';
import { Gate } from './gate.ts';
import { MAX_PASSWORD, type Passwords } from './password.ts';
import { saslprep } from './saslprep.ts';
import { deriveScramKeys, deriveScramSha1Keys, inventScramKeys } from './scram-keys.ts';
import type { Credentials, Source } from './source.ts';

/** A mail client opens several connections at once, and again each time it wakes up: not each is worth a hash. */
const REMEMBER_MS = 5 * 60_000;
/** Logins remembered; the oldest go first. */
const MAX_REMEMBERED = 10_000;
/** A login name in the log or in a key is never longer; an address has 320 octets at most. */
const MAX_LOGIN = 640;

export interface LoginsOptions {
  readonly source: Source;
  readonly passwords: Passwords;
  readonly clock: Clock;
  readonly log: Logger;
  readonly scramSecret: Uint8Array;
}

interface Remembered {
  readonly mac: Buffer;
  /** The hash it was checked against: a new password has another. */
  readonly hash: string;
  readonly until: number;
}

/**
 * Who may log in. Unknown accounts, disabled ones and wrong passwords look alike and take the time of one of our
 * hashes. Where the password was right and its hash was weak, the hash is replaced, now that we know the password.
 */
export class Logins {
  readonly #source: Source;
  readonly #passwords: Passwords;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #scramSecret: Uint8Array;
  /** For this process only: what is remembered says nothing about the passwords, even in a memory dump of its own. */
  readonly #macKey = randomBytes(32);
  readonly #remembered = new Map<AddressKey, Remembered>();
  /** The same question asked by several connections at once is answered once. */
  readonly #checking = new Map<string, Promise<boolean>>();
  readonly #upgrading = new Map<AddressKey, Promise<void>>();
  /** Anybody can ask for keys without a password: one at a time, and few may wait. */
  readonly #deriving = new Gate(1, 64);
  defaultDomain: Domain | undefined;

  constructor(options: LoginsOptions) {
    this.#source = options.source;
    this.#passwords = options.passwords;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#scramSecret = options.scramSecret;
  }

  async verifyPassword(login: string, password: string): Promise<Account | undefined> {
    if (password.length > MAX_PASSWORD || password === '') return undefined;
    const key = this.#keyOf(login);
    const account = key && this.#source.account(key);
    const credentials = key && this.#source.credentials(key);
    if (!key || !account?.enabled || !credentials) {
      await this.#passwords.pretend(password);
      return undefined;
    }
    if (this.#isRemembered(key, credentials, password)) return account;
    if (!(await this.#check(key, credentials, password))) return undefined;
    // While the hash was computed somebody may have changed the password, or switched the account off.
    this.#source.refresh();
    const now = this.#source.account(key);
    if (!now?.enabled || this.#source.credentials(key)?.hash !== credentials.hash) return undefined;
    this.#remember(key, credentials, password);
    this.#upgradeLater(key, now, credentials, password);
    return now;
  }

  loginAccount(login: string): Account | undefined {
    const key = this.#keyOf(login);
    const account = key && this.#source.account(key);
    return account?.enabled ? account : undefined;
  }

  async scramCredentials(login: string): Promise<ScramCredentials> {
    const key = this.#keyOf(login);
    const account = key && this.#source.account(key);
    const keys = key && this.#source.credentials(key)?.scram;
    const invented = inventScramKeys(this.#scramSecret, key ?? login.slice(0, MAX_LOGIN));
    return account?.enabled && keys ? { account, ...keys } : { account: undefined, ...invented };
  }

  /** Derived anew each time, off the event loop; as long for a login that has none as for one that has. */
  async scramSha1Credentials(login: string): Promise<ScramCredentials> {
    const known = await this.sharedSecret(login);
    const name = this.#keyOf(login) ?? login.slice(0, MAX_LOGIN);
    const keys = await this.#deriving.run(() => deriveScramSha1Keys(this.#scramSecret, name, known?.secret));
    return { account: known?.account, ...keys };
  }

  async sharedSecret(
    login: string,
  ): Promise<{ readonly account: Account; readonly secret: string } | undefined> {
    const key = this.#keyOf(login);
    const account = key && this.#source.account(key);
    const secret = key && this.#source.sharedSecret(key);
    return account?.enabled && secret !== undefined ? { account, secret } : undefined;
  }

  async close(): Promise<void> {
    await Promise.all(this.#upgrading.values());
  }

  /** A login name is an address as it stands, or what SASLprep makes of it (RFC 4013), the first that exists. */
  #keyOf(login: string): AddressKey | undefined {
    this.#source.refresh();
    const keys = [login, saslprep(login) ?? login].flatMap((name) => {
      const address = parseLogin(name, this.defaultDomain);
      return address ? [addressKey(address)] : [];
    });
    return keys.find((key) => this.#source.account(key)) ?? keys[0];
  }

  #check(key: AddressKey, { hash }: Credentials, password: string): Promise<boolean> {
    const question = `${hash}\0${this.#mac(key, password).toString('base64')}`;
    const asked = this.#checking.get(question);
    if (asked !== undefined) return asked;
    const check = this.#passwords.verify(hash, password).finally(() => this.#checking.delete(question));
    this.#checking.set(question, check);
    return check;
  }

  #mac(key: AddressKey, password: string): Buffer {
    return createHmac('sha256', this.#macKey).update(`${key}\0${password}`).digest();
  }

  #isRemembered(key: AddressKey, { hash }: Credentials, password: string): boolean {
    const entry = this.#remembered.get(key);
    if (!entry || entry.hash !== hash || entry.until <= this.#clock.now().getTime()) return false;
    return timingSafeEqual(entry.mac, this.#mac(key, password));
  }

  #remember(key: AddressKey, { hash }: Credentials, password: string): void {
    // Deleted first, so that the map is in the order of logins.
    this.#remembered.delete(key);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest);
    const until = this.#clock.now().getTime() + REMEMBER_MS;
    this.#remembered.set(key, { mac: this.#mac(key, password), hash, until });
  }

  /** The client does not wait for it: it has logged in. */
  #upgradeLater(key: AddressKey, account: Account, from: Credentials, password: string): void {
    if (account.source === 'file' || this.#upgrading.has(key)) return;
    const weak = this.#passwords.isWeak(from.hash);
    if (!weak && from.scram) return;
    const upgrade = this.#upgrade(key, from, password, weak)
      .then(
        () => this.#log.info({ account: account.id }, 'password hashed anew'),
        (error: unknown) => this.#log.warn({ account: account.id, err: error }, 'password not hashed anew'),
      )
      .finally(() => this.#upgrading.delete(key));
    this.#upgrading.set(key, upgrade);
  }

  async #upgrade(key: AddressKey, from: Credentials, password: string, weak: boolean): Promise<void> {
    const hash = weak ? await this.#passwords.hash(password) : from.hash;
    const scram = from.scram ?? (await deriveScramKeys(password));
    this.#source.upgrade(key, from, { hash, scram });
    const entry = this.#remembered.get(key);
    if (entry?.hash === from.hash) this.#remembered.set(key, { ...entry, hash });
  }
}
