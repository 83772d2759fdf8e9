import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { OAuthUnavailable } from './errors.ts';
import { fetchJson } from './http-json.ts';
import { type IssuerKey, mayHaveSigned, type SignedJwt } from './jwt.ts';

/**
 * The issuer's public keys (RFC 7517 5), from a URL or a file, fetched when they are first needed. A token signed by
 * one we have not seen makes us look again, and not often: so a new key works at once, and made-up names of keys are
 * no way to make us ask without end. While they cannot be fetched the old ones serve.
 */

/** They are asked for again after so long: a key that was withdrawn is not taken for longer. */
const FRESH_MS = 10 * 60_000;
/** Not more often than this, whatever tokens come. */
const AGAIN_MS = 10_000;
/** Keys that could not be fetched anew are no longer believed after a day. */
const STALE_MS = 86_400_000;
/** Issuers have two or three; and each that fits may have to be tried. */
const MAX_KEYS = 64;
const MAX_FILE = 256 * 1024;
/** A shorter RSA key is no proof any more (RFC 7518 3.3). */
const MIN_RSA_BITS = 2048;

export interface IssuerKeysOptions {
  /** URL or file. */
  readonly source: string;
  readonly timeoutMs: number;
  ca(): Promise<string | null>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class IssuerKeys {
  readonly #options: IssuerKeysOptions;
  #keys: readonly IssuerKey[] = [];
  /** When they were fetched. */
  #at = Number.NEGATIVE_INFINITY;
  #triedAt = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  constructor(options: IssuerKeysOptions) {
    this.#options = options;
  }

  /**
   * Those that may have signed it.
   * @throws OAuthUnavailable where there are none at all
   */
  async for(jwt: SignedJwt): Promise<readonly IssuerKey[]> {
    const now = this.#now();
    if (now - this.#at >= FRESH_MS) await this.#fetch();
    let found = this.#fitting(jwt);
    if (found.length === 0 && this.#at < now) {
      await this.#fetch();
      found = this.#fitting(jwt);
    }
    if (this.#now() - this.#at >= STALE_MS)
      throw new OAuthUnavailable('the keys of the issuer are not known');
    return found;
  }

  #fitting(jwt: SignedJwt): readonly IssuerKey[] {
    return this.#keys.filter((key) => mayHaveSigned(key, jwt));
  }

  async #fetch(): Promise<void> {
    if (this.#fetching === undefined) {
      if (this.#now() - this.#triedAt < AGAIN_MS) return;
      this.#triedAt = this.#now();
      this.#fetching = this.#read().finally(() => {
        this.#fetching = undefined;
      });
    }
    await this.#fetching;
  }

  async #read(): Promise<void> {
    const { source, log } = this.#options;
    try {
      const keys = keysIn(await this.#document(source));
      if (keys.length === 0) throw new OAuthUnavailable('it has no key that could be used');
      this.#keys = keys;
      this.#at = this.#now();
      log.debug({ jwks: source, keys: keys.length }, 'keys of the OAuth issuer read');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error({ jwks: source, reason }, 'keys of the OAuth issuer not read');
    }
  }

  async #document(source: string): Promise<unknown> {
    const { timeoutMs } = this.#options;
    if (/^https?:/.test(source)) return fetchJson({ url: source, timeoutMs, ca: await this.#options.ca() });
    return JSON.parse(await readBounded(source, MAX_FILE));
  }

  #now(): number {
    return this.#options.clock.now().getTime();
  }
}

/** A configured file, which is never read beyond its bound. */
export async function readBounded(path: string, most: number): Promise<string> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(most + 1), 0, most + 1, 0);
    if (bytesRead > most) throw new OAuthUnavailable(`${path} is too long`);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What of a set can check signatures; other kinds of keys may stand beside them (RFC 7517 5). */
function keysIn(document: unknown): readonly IssuerKey[] {
  const list: unknown = (document as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(list)) throw new OAuthUnavailable('this is no set of keys');
  return (list as readonly unknown[]).slice(0, MAX_KEYS).flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { kty, n, e, crv, x, y, kid, alg, use, key_ops } = entry as Record<string, unknown>;
    if (use !== undefined && use !== 'sig') return [];
    if (Array.isArray(key_ops) && !key_ops.includes('verify')) return [];
    // Public parts only: `oct`, the kind that HMAC takes, has none.
    const jwk = { kty, n, e, crv, x, y } as JsonWebKey;
    try {
      const key = createPublicKey({ key: jwk, format: 'jwk' });
      if ((key.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS) < MIN_RSA_BITS) return [];
      return [{ jwk: { ...jwk, kid, alg } as JsonWebKey, key }];
    } catch {
      // A kind or a curve that is not known here.
      return [];
    }
  });
}
