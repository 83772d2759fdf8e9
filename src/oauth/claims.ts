import { TokenRefused } from './errors.ts';

/** What a token, or the server that gave it, says of it: the claims that decide whether it opens a mailbox here. */
export type Claims = Readonly<Record<string, unknown>>;

export interface ClaimRules {
  readonly issuer: string | null;
  /** One of them must be the token's; none: not asked. */
  readonly audiences: readonly string[];
  /** All of them must be the token's. */
  readonly scopes: readonly string[];
  /** Which claim is the account's login name. */
  readonly accountClaim: string;
  readonly clockSkew: number;
}

/** An address has 320 octets at most. */
const MAX_LOGIN = 320;

/**
 * The account's login name, when every claim is as it must be at `now`.
 * @param required those that must be there, besides the account's
 * @throws TokenRefused
 */
export function loginOf(
  claims: Claims,
  rules: ClaimRules,
  now: number,
  required: readonly ('iss' | 'exp' | 'aud')[],
): string {
  for (const name of required)
    if (claims[name] === undefined && wanted(name, rules)) throw new TokenRefused(`it has no ${name}`);
  const { iss, exp, nbf, iat } = claims;
  if (iss !== undefined && rules.issuer !== null && iss !== rules.issuer)
    throw new TokenRefused('it comes from another issuer');
  // RFC 7519 4.1.4 to 4.1.6: seconds, with a little leeway for clocks.
  if (exp !== undefined && now >= seconds(exp, 'exp') + rules.clockSkew)
    throw new TokenRefused('it has expired');
  if (nbf !== undefined && now < seconds(nbf, 'nbf') - rules.clockSkew)
    throw new TokenRefused('it is not valid yet');
  if (iat !== undefined && now < seconds(iat, 'iat') - rules.clockSkew)
    throw new TokenRefused('it was issued in the future');
  if (claims['aud'] !== undefined && rules.audiences.length > 0 && !isForUs(claims['aud'], rules.audiences))
    throw new TokenRefused('it is for another audience');
  const granted = scopesOf(claims);
  const missing = rules.scopes.find((scope) => !granted.has(scope));
  if (missing !== undefined) throw new TokenRefused(`it lacks the scope ${missing}`, 'insufficient_scope');
  return accountOf(claims, rules.accountClaim);
}

/** When a token ends by its own words, in milliseconds. */
export function endOf({ exp }: Claims): number {
  return exp === undefined ? Number.POSITIVE_INFINITY : seconds(exp, 'exp');
}

function wanted(name: 'iss' | 'exp' | 'aud', rules: ClaimRules): boolean {
  switch (name) {
    case 'iss':
      return rules.issuer !== null;
    case 'aud':
      return rules.audiences.length > 0;
    case 'exp':
      return true;
  }
}

function seconds(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new TokenRefused(`its ${name} is no number`);
  return value * 1000;
}

function isForUs(aud: unknown, audiences: readonly string[]): boolean {
  const list: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  return list.some((one) => typeof one === 'string' && audiences.includes(one));
}

/** `scope` in one string (RFC 9068 2.2.3, RFC 7662 2.2), or `scp` as Microsoft writes it, which may be a list. */
function scopesOf({ scope, scp }: Claims): ReadonlySet<unknown> {
  return new Set(
    [scope, scp].flatMap((value) =>
      typeof value === 'string' ? value.split(' ') : Array.isArray(value) ? value : [],
    ),
  );
}

function accountOf(claims: Claims, name: string): string {
  const login = claims[name];
  if (typeof login !== 'string' || login === '' || login.length > MAX_LOGIN)
    throw new TokenRefused(`it has no ${name}`);
  // An address that anybody could enter at the provider is nobody's name (OpenID Connect Core 5.1, 5.7).
  const verified = claims['email_verified'];
  if (name === 'email' && verified !== undefined && verified !== true && verified !== 'true')
    throw new TokenRefused('its email is not verified');
  return login;
}
