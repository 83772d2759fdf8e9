import { createHash } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { type ClaimRules, type Claims, endOf, loginOf } from './claims.ts';
import { TokenRefused } from './errors.ts';
import { introspection } from './introspection.ts';
import { IssuerKeys, readBounded } from './issuer-keys.ts';
import { hasSigned, parseJwt, type SignedJwt } from './jwt.ts';
import type { OAuth, TokenOwner } from './oauth.ts';
import type { OAuthSettings } from './options.ts';

/** Tokens whose check is remembered; the oldest go first. */
const MAX_REMEMBERED = 10_000;
/** A refusal is remembered for less: its reason may pass. */
const REFUSED_MS = 5000;
const MAX_CA_FILE = 1024 * 1024;

interface Remembered {
  readonly verdict: TokenOwner | TokenRefused;
  readonly until: number;
}

/**
 * Bearer tokens as `auth.oauth` describes them; null where it names nobody who could vouch for one. A token that is a
 * signed JWT is checked with the issuer's keys where they are configured, all others with the introspection endpoint.
 */
export function createOAuth(
  settings: OAuthSettings,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): OAuth | null {
  const { jwks, introspectionUrl, timeout } = settings;
  if (jwks === null && introspectionUrl === null) return null;
  const rules: ClaimRules = settings;
  const ca = async (): Promise<string | null> =>
    settings.ca === null ? null : readBounded(settings.ca, MAX_CA_FILE);
  const common = { timeoutMs: timeout, ca };
  const keys = jwks === null ? null : new IssuerKeys({ ...common, source: jwks, clock, log });
  const introspect =
    introspectionUrl === null ? null : introspection({ ...settings, ...common, url: introspectionUrl });
  const now = (): number => clock.now().getTime();

  async function claimsOf(token: string): Promise<{ readonly login: string; readonly claims: Claims }> {
    const jwt = keys && parseJwt(token);
    if (keys && jwt) {
      await checkSignature(keys, jwt);
      return { login: loginOf(jwt.claims, rules, now(), ['iss', 'exp', 'aud']), claims: jwt.claims };
    }
    if (!introspect) throw new TokenRefused('it is no signed JWT');
    const claims = await introspect(token);
    // All of them are optional here (RFC 7662 2.2), but the audience decides whether it is for us.
    return { login: loginOf(claims, rules, now(), ['aud']), claims };
  }

  const remembered = new Map<string, Remembered>();
  const checking = new Map<string, Promise<TokenOwner>>();

  async function check(token: string, key: string): Promise<TokenOwner> {
    try {
      const { login, claims } = await claimsOf(token);
      // Leeway for clocks is no reason to remember it beyond its end.
      remember(key, { login }, Math.min(now() + settings.cacheTime, endOf(claims)));
      return { login };
    } catch (error) {
      if (error instanceof TokenRefused)
        remember(key, error, now() + Math.min(REFUSED_MS, settings.cacheTime));
      throw error;
    } finally {
      checking.delete(key);
    }
  }

  function remember(key: string, verdict: Remembered['verdict'], until: number): void {
    remembered.delete(key);
    const [oldest] = remembered.keys();
    if (remembered.size >= MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    remembered.set(key, { verdict, until });
  }

  return {
    hints: { scope: settings.scopes.join(' ') || null, discoveryUrl: settings.discoveryUrl },
    async owner(token) {
      // A digest, so that no token lies in memory after its check.
      const key = createHash('sha256').update(token).digest('base64');
      const known = remembered.get(key);
      if (known && known.until > now()) {
        if (known.verdict instanceof TokenRefused) throw known.verdict;
        return known.verdict;
      }
      // A client opens several connections at once with one token: asked once.
      const asked = checking.get(key);
      if (asked !== undefined) return asked;
      const asking = check(token, key);
      checking.set(key, asking);
      return asking;
    },
  };
}

async function checkSignature(keys: IssuerKeys, jwt: SignedJwt): Promise<void> {
  const fitting = await keys.for(jwt);
  if (fitting.length === 0) throw new TokenRefused('its key is not one of the issuer');
  if (!fitting.some((key) => hasSigned(key, jwt))) throw new TokenRefused('its signature is wrong');
}
