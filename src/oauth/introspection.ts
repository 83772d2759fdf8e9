import type { Claims } from './claims.ts';
import { OAuthUnavailable, TokenRefused } from './errors.ts';
import { fetchJson } from './http-json.ts';
import { readBounded } from './issuer-keys.ts';

/** What the authorization server itself says of a token (RFC 7662). */

/** Logins that wait for it at once; more than that are told to come again. */
const MAX_AT_ONCE = 64;
const MAX_SECRET = 4096;

export interface IntrospectionOptions {
  readonly url: string;
  readonly clientId: string | null;
  /** Read each time, so that a new secret needs no reload. */
  readonly clientSecretFile: string | null;
  readonly timeoutMs: number;
  ca(): Promise<string | null>;
}

export function introspection(options: IntrospectionOptions): (token: string) => Promise<Claims> {
  let asking = 0;
  return async (token) => {
    if (asking >= MAX_AT_ONCE) throw new OAuthUnavailable('too many tokens are being asked about');
    asking++;
    try {
      return await ask(options, token);
    } finally {
      asking--;
    }
  };
}

async function ask(options: IntrospectionOptions, token: string): Promise<Claims> {
  const { url, clientId, clientSecretFile, timeoutMs } = options;
  const secret =
    clientSecretFile === null ? '' : (await readBounded(clientSecretFile, MAX_SECRET)).replace(/\r?\n$/, '');
  const answer = await fetchJson({
    url,
    timeoutMs,
    ca: await options.ca(),
    form: { token, token_type_hint: 'access_token' },
    ...(clientId !== null && { client: { id: clientId, secret } }),
  });
  if (typeof answer !== 'object' || answer === null || !('active' in answer))
    throw new OAuthUnavailable(`${url.replace(/[?#].*$/s, '')}: this is no introspection response`);
  // RFC 7662 2.2: that one word decides, whatever else is said.
  if (answer.active !== true) throw new TokenRefused('it is not active');
  return { ...answer };
}
