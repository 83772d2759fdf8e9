import { constants, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import type { Claims } from './claims.ts';
import { TokenRefused } from './errors.ts';

/**
 * JSON Web Tokens that are signed (RFC 7519, RFC 7515), with public keys only: there is no `none` here and no HMAC, so
 * no token chooses a way to be checked that its issuer's key is not meant for (RFC 8725 2.1, 3.1).
 */

export interface SignedJwt {
  readonly algorithm: Algorithm;
  readonly keyId: string | undefined;
  readonly claims: Claims;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** How a signature is checked, and which key may have made it. */
interface Algorithm {
  readonly name: string;
  readonly hash: string | null;
  readonly options: {
    readonly padding?: number;
    readonly saltLength?: number;
    readonly dsaEncoding?: 'ieee-p1363';
  };
  fits(jwk: JsonWebKey): boolean;
}

const rsa = (name: string, hash: string, options: Algorithm['options'] = {}): Algorithm => ({
  name,
  hash,
  options,
  fits: ({ kty }) => kty === 'RSA',
});
// R and S side by side, not in DER (RFC 7518 3.4).
const ecdsa = (name: string, hash: string, curve: string): Algorithm => ({
  name,
  hash,
  options: { dsaEncoding: 'ieee-p1363' },
  fits: ({ kty, crv }) => kty === 'EC' && crv === curve,
});
const eddsa = (name: string): Algorithm => ({
  name,
  hash: null,
  options: {},
  fits: ({ kty, crv }) => kty === 'OKP' && crv === 'Ed25519',
});
const pss = (name: string, hash: string, saltLength: number): Algorithm =>
  rsa(name, hash, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });

/** RFC 7518 3.1, RFC 8037 3.1, RFC 9864 2.2. */
const ALGORITHMS: ReadonlyMap<unknown, Algorithm> = new Map(
  [
    rsa('RS256', 'sha256'),
    rsa('RS384', 'sha384'),
    rsa('RS512', 'sha512'),
    pss('PS256', 'sha256', 32),
    pss('PS384', 'sha384', 48),
    pss('PS512', 'sha512', 64),
    ecdsa('ES256', 'sha256', 'P-256'),
    ecdsa('ES384', 'sha384', 'P-384'),
    ecdsa('ES512', 'sha512', 'P-521'),
    eddsa('EdDSA'),
    eddsa('Ed25519'),
  ].map((one) => [one.name, one]),
);

/** What an access token, or a token of identity that some providers give instead, may call itself (RFC 9068 2.1). */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt']);

/** Three parts in base64url: a JWS in its compact form. Anything else is opaque to us. */
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)$/;

/** undefined where it is no signed JWT at all. @throws TokenRefused where it is one that we do not take */
export function parseJwt(token: string): SignedJwt | undefined {
  const [, header = '', payload = '', signature = ''] = COMPACT.exec(token) ?? [];
  const head = header === '' ? undefined : objectIn(header);
  if (!head || !('alg' in head)) return undefined;
  const algorithm = ALGORITHMS.get(head['alg']);
  if (!algorithm) throw new TokenRefused('it is signed in a way that is not taken');
  // Extensions that must be understood, of which we know none (RFC 7515 4.1.11).
  if (head['crit'] !== undefined) throw new TokenRefused('its header has critical extensions');
  const { typ, kid } = head;
  if (typ !== undefined && !(typeof typ === 'string' && TYPES.has(typ.toLowerCase())))
    throw new TokenRefused('it is another kind of token');
  const claims = objectIn(payload);
  if (!claims) throw new TokenRefused('its claims are no JSON object');
  return {
    algorithm,
    keyId: typeof kid === 'string' ? kid : undefined,
    claims,
    signed: Buffer.from(`${header}.${payload}`, 'latin1'),
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** A public key of the issuer, as its set has it. */
export interface IssuerKey {
  readonly jwk: JsonWebKey;
  readonly key: KeyObject;
}

/** Whether this key is meant for this token: of its kind, and for its algorithm alone where it says so (RFC 7517 4). */
export function mayHaveSigned({ jwk }: IssuerKey, { algorithm, keyId }: SignedJwt): boolean {
  if (!algorithm.fits(jwk)) return false;
  if (jwk['alg'] !== undefined && jwk['alg'] !== algorithm.name) return false;
  return keyId === undefined || jwk['kid'] === undefined || jwk['kid'] === keyId;
}

export function hasSigned({ key }: IssuerKey, { algorithm, signed, signature }: SignedJwt): boolean {
  return verify(algorithm.hash, signed, { key, ...algorithm.options }, signature);
}

function objectIn(base64url: string): Record<string, unknown> | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(base64url, 'base64url'));
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    // Not UTF-8, or not JSON: TextDecoder and JSON.parse have no other complaint.
    return undefined;
  }
}
