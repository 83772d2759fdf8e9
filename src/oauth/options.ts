import { z } from 'zod';
import { duration } from '../lib/options.ts';

/** `auth.oauth:` of the configuration file. Durations in milliseconds. */
export interface OAuthSettings {
  readonly jwks: string | null;
  readonly issuer: string | null;
  readonly introspectionUrl: string | null;
  readonly clientId: string | null;
  readonly clientSecretFile: string | null;
  readonly audiences: readonly string[];
  readonly scopes: readonly string[];
  readonly accountClaim: string;
  readonly clockSkew: number;
  readonly cacheTime: number;
  readonly discoveryUrl: string | null;
  readonly ca: string | null;
  readonly timeout: number;
}

/** Tokens and keys cross no network in clear; a server on this machine is asked as it is. */
function isSafeUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.username || url?.password) return false;
  if (url?.protocol === 'https:') return true;
  return url?.protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
}

const URL_RULE = 'must be an https URL without user and password (http to this machine alone)';
const url = (): z.ZodString => z.string().refine(isSafeUrl, URL_RULE);
/** RFC 6749 3.3. */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be one scope, without blanks');

export const oauthOptions: z.ZodType<OAuthSettings, object> = z
  .strictObject({
    jwks: z
      .string()
      .min(1)
      .refine((text) => !/^[a-z]+:\/\//i.test(text) || isSafeUrl(text), URL_RULE)
      .nullable()
      .default(null)
      .describe(
        'URL or file with the public keys of the issuer (a JWK set): for tokens that are signed JWTs. Without it and ' +
          'without introspectionUrl OAUTHBEARER and XOAUTH2 are not offered.',
      ),
    issuer: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('Who must have issued a token (its "iss"), exactly as written there. Needed with jwks.'),
    introspectionUrl: url()
      .nullable()
      .default(null)
      .describe(
        'Endpoint that is asked about tokens (RFC 7662): all of them, or with jwks those that are no signed JWTs.',
      ),
    clientId: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('Our own name at the introspection endpoint.'),
    clientSecretFile: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe('File with our secret there, on one line.'),
    audiences: z
      .array(z.string().min(1))
      .max(20)
      .default([])
      .describe(
        'One of these must be in the token’s "aud". With jwks, audiences or scopes must say which tokens are for mail.',
      ),
    scopes: z.array(scope).max(20).default([]).describe('All of these must be in the token’s scope.'),
    accountClaim: z
      .string()
      .min(1)
      .default('email')
      .describe('The claim that names the account: email, preferred_username, username …'),
    clockSkew: duration()
      .prefault('30s')
      .describe('How far the clocks of the issuer and of this machine may differ.'),
    cacheTime: duration()
      .prefault('1m')
      .describe('How long a token that was checked is not checked again: a withdrawn one works for so long.'),
    discoveryUrl: url()
      .nullable()
      .default(null)
      .describe(
        'Told to clients whose token is refused: where the provider describes itself (openid-configuration).',
      ),
    ca: z
      .string()
      .min(1)
      .nullable()
      .default(null)
      .describe(
        'File with the certificates, in PEM form, that these servers are trusted by; by default the usual ones.',
      ),
    timeout: duration().prefault('5s').describe('How long the servers of the provider may take to answer.'),
  })
  .superRefine((value, context) => {
    const issue = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (value.jwks !== null && value.issuer === null) issue('issuer', 'must be given where jwks is');
    if (value.jwks !== null && value.audiences.length === 0 && value.scopes.length === 0)
      issue('audiences', 'audiences or scopes must say which tokens are for mail');
    if (value.clientSecretFile !== null && value.clientId === null)
      issue('clientId', 'must be given where clientSecretFile is');
  });
