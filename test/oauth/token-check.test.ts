import { createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { OAuthUnavailable, TokenRefused } from '../../src/oauth/errors.ts';
import { parseJwt } from '../../src/oauth/jwt.ts';
import type { OAuth } from '../../src/oauth/oauth.ts';
import { type OAuthSettings, oauthOptions } from '../../src/oauth/options.ts';
import { createOAuth } from '../../src/oauth/token-check.ts';
import { ManualClock } from '../clock.ts';
import { recordingLog } from '../tls/log.ts';
import { base64url, Provider, type Signer, signer } from './provider.ts';

const ISSUER = 'https://id.example.org/realms/mail';
const rs = signer('RS256', 'r1');
let provider: Provider;
let clock: ManualClock;
let dir: string;
beforeAll(async () => {
  provider = await Provider.start();
  dir = mkdtempSync(join(tmpdir(), 'facteur-oauth-'));
});
afterAll(async () => {
  await provider.close();
  rmSync(dir, { recursive: true });
});
beforeEach(() => {
  clock = new ManualClock();
});
afterEach(() => void provider.asked.splice(0));

const log = recordingLog();

function oauth(changes: object): OAuth {
  const settings: OAuthSettings = { ...oauthOptions.parse({}), ...changes };
  const made = createOAuth(settings, { clock, log: log.log });
  if (!made) throw new Error('not configured');
  return made;
}

const byKeys = (changes: object = {}): OAuth =>
  oauth({ jwks: provider.url('/jwks'), issuer: ISSUER, audiences: ['mail'], ...changes });

const publish = (...keys: readonly object[]): void => provider.json({ keys });

const seconds = (): number => clock.now().getTime() / 1000;

function claims(changes: object = {}): object {
  return { iss: ISSUER, aud: 'mail', exp: seconds() + 300, email: 'alice@example.org', ...changes };
}

const refused = async (check: OAuth, token: string): Promise<string> => {
  try {
    return JSON.stringify(await check.owner(token));
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
    return `${error.status}: ${error.message}`;
  }
};

test('without a source of truth there is no OAuth', () => {
  expect(createOAuth(oauthOptions.parse({}), { clock, log: log.log })).toBeNull();
});

describe('signed JWTs', () => {
  test.each([rs, signer('PS256', 'p'), signer('ES256', 'e'), signer('ES384', 'e3'), signer('EdDSA', 'd')])(
    'are taken with a key of the issuer',
    async (one: Signer) => {
      publish(one.jwk);
      expect(await byKeys().owner(one.token(claims()))).toEqual({ login: 'alice@example.org' });
    },
  );

  test.each<[string, object, string]>([
    ['expired', { exp: 0 }, 'it has expired'],
    ['without an end', { exp: undefined }, 'it has no exp'],
    ['with a strange end', { exp: 'never' }, 'its exp is no number'],
    ['of another issuer', { iss: 'https://evil.example' }, 'it comes from another issuer'],
    ['without an issuer', { iss: undefined }, 'it has no iss'],
    ['for somebody else', { aud: ['calendar'] }, 'it is for another audience'],
    ['for nobody', { aud: undefined }, 'it has no aud'],
    ['not valid yet', { nbf: 4e9 }, 'it is not valid yet'],
    ['from the future', { iat: 4e9 }, 'it was issued in the future'],
    ['without an account', { email: undefined }, 'it has no email'],
    ['with an account that is no text', { email: ['a@example.org'] }, 'it has no email'],
    ['with an address that nobody checked', { email_verified: false }, 'its email is not verified'],
    [
      'with an object for a verdict',
      { email_verified: { toString: 1, valueOf: 1 } },
      'its email is not verified',
    ],
  ])('%s is refused', async (_what, change, why) => {
    publish(rs.jwk);
    expect(await refused(byKeys(), rs.token(claims(change)))).toBe(`invalid_token: ${why}`);
  });

  test('clocks may differ a little', async () => {
    publish(rs.jwk);
    const check = byKeys();
    expect(await check.owner(rs.token(claims({ exp: seconds() - 20 })))).toBeTruthy();
    expect(await check.owner(rs.token(claims({ nbf: seconds() + 20 })))).toBeTruthy();
    expect(await refused(check, rs.token(claims({ exp: seconds() - 31 })))).toMatch('expired');
  });

  test('all scopes must be there, in any of the ways they are written', async () => {
    publish(rs.jwk);
    const check = byKeys({ scopes: ['imap', 'smtp'] });
    expect(await check.owner(rs.token(claims({ scope: 'openid smtp imap' })))).toBeTruthy();
    expect(await check.owner(rs.token(claims({ scp: ['imap', 'smtp'] })))).toBeTruthy();
    const why = 'insufficient_scope: it lacks the scope smtp';
    expect(await refused(check, rs.token(claims({ scope: 'imap smtpx' })))).toBe(why);
  });

  test('another claim may name the account', async () => {
    publish(rs.jwk);
    const check = byKeys({ accountClaim: 'preferred_username' });
    const token = rs.token(claims({ preferred_username: 'bob', email_verified: false }));
    expect(await check.owner(token)).toEqual({ login: 'bob' });
  });

  test('never without a signature, never HMAC with a public key (RFC 8725 2.1)', async () => {
    publish(rs.jwk);
    const none = `${base64url({ alg: 'none' })}.${base64url(claims())}.`;
    const head = `${base64url({ alg: 'HS256', kid: 'r1' })}.${base64url(claims())}`;
    const hmac = (key: string): string =>
      `${head}.${createHmac('sha256', key).update(head).digest('base64url')}`;
    const why = 'invalid_token: it is signed in a way that is not taken';
    for (const token of [none, hmac(rs.publicPem), hmac(JSON.stringify(rs.jwk))])
      expect(await refused(byKeys(), token)).toBe(why);
    // Nor are keys taken that only HMAC has.
    publish({ kty: 'oct', k: 'c2VjcmV0', kid: 'r1' }, rs.jwk);
    expect(await byKeys().owner(rs.token(claims()))).toBeTruthy();
  });

  test('a key serves its own algorithm only, and none that is short or not for signatures', async () => {
    const es = signer('ES256', 'r1');
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    publish({ ...rs.jwk, alg: 'PS256' }, { ...es.jwk, use: 'enc' }, { ...short, kid: 'r1' });
    const why = 'invalid_token: its key is not one of the issuer';
    expect(await refused(byKeys(), rs.token(claims()))).toBe(why);
    expect(await refused(byKeys(), es.token(claims()))).toBe(why);
  });

  test('a signature of somebody else, or of other claims, is wrong', async () => {
    publish(rs.jwk);
    const check = byKeys();
    const why = 'invalid_token: its signature is wrong';
    expect(await refused(check, signer('RS256', 'r1').token(claims()))).toBe(why);
    const [head = '', , end = ''] = rs.token(claims()).split('.');
    expect(await refused(check, `${head}.${base64url(claims({ email: 'bob@example.org' }))}.${end}`)).toBe(
      why,
    );
  });

  test('other kinds of tokens and critical extensions are refused', async () => {
    publish(rs.jwk);
    expect(await refused(byKeys(), rs.token(claims(), { typ: 'logout+jwt' }))).toMatch('another kind');
    expect(await refused(byKeys(), rs.token(claims(), { crit: ['b64'] }))).toMatch('critical');
    expect(await refused(byKeys(), 'opaque')).toBe('invalid_token: it is no signed JWT');
  });

  test('whatever comes, parsing throws nothing but TokenRefused', () => {
    const part = fc.oneof(
      fc.string(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
        try {
          parseJwt(parts.join('.'));
        } catch (error) {
          expect(error).toBeInstanceOf(TokenRefused);
        }
      }),
    );
  });
});

describe('keys of the issuer', () => {
  test('are fetched once, again for a new one, and not for each made-up name', async () => {
    publish(rs.jwk);
    const check = byKeys();
    await Promise.all([check.owner(rs.token(claims())), check.owner(rs.token(claims({ jti: '2' })))]);
    expect(provider.asked).toHaveLength(1);
    const next = signer('RS256', 'r2');
    publish(rs.jwk, next.jwk);
    await clock.advance(10_000);
    expect(await check.owner(next.token(claims()))).toBeTruthy();
    for (let i = 0; i < 5; i++)
      expect(await refused(check, rs.token(claims(), { kid: `x${i}` }))).toMatch('key');
    expect(provider.asked).toHaveLength(2);
  });

  test('one that was withdrawn is no longer taken after ten minutes', async () => {
    publish(rs.jwk);
    const check = byKeys();
    await check.owner(rs.token(claims()));
    publish(signer('ES256', 'other').jwk);
    await clock.advance(600_000);
    expect(await refused(check, rs.token(claims()))).toMatch('its key is not one of the issuer');
  });

  test('while they cannot be fetched the old ones serve, for a day', async () => {
    publish(rs.jwk);
    const check = byKeys();
    await check.owner(rs.token(claims()));
    provider.answer = () => ({ status: 500 });
    await clock.advance(3_600_000);
    expect(await check.owner(rs.token(claims()))).toBeTruthy();
    await clock.advance(86_400_000);
    await expect(check.owner(rs.token(claims()))).rejects.toThrow(OAuthUnavailable);
  });

  test.each<[string, object]>([
    ['an error', { status: 503 }],
    ['a redirect', { status: 302, headers: { location: '/other' } }],
    ['no JSON', { body: '<html>' }],
    ['no set of keys', { body: '[]' }],
    ['an empty set', { body: '{"keys":[]}' }],
    ['too much', { body: `{"keys":["${'x'.repeat(300_000)}"]}` }],
    ['nothing in time', { body: '{', hangs: true }],
  ])('%s is no verdict on the token', async (_what, answer) => {
    provider.answer = () => answer;
    await expect(byKeys({ timeout: 100 }).owner(rs.token(claims()))).rejects.toThrow(OAuthUnavailable);
    expect(provider.asked).toHaveLength(1);
  });

  test('they may be in a file', async () => {
    const path = join(dir, 'jwks.json');
    const check = byKeys({ jwks: path });
    await expect(check.owner(rs.token(claims()))).rejects.toThrow(OAuthUnavailable);
    writeFileSync(path, JSON.stringify({ keys: [rs.jwk] }));
    await clock.advance(10_000);
    expect(await check.owner(rs.token(claims()))).toBeTruthy();
  });
});

describe('introspection (RFC 7662)', () => {
  const asking = (changes: object = {}): OAuth =>
    oauth({ introspectionUrl: provider.url('/introspect?x=1'), accountClaim: 'username', ...changes });

  test('asks with the client’s credentials, form-encoded (RFC 6749 2.3.1)', async () => {
    const clientSecretFile = join(dir, 'secret');
    writeFileSync(clientSecretFile, 'p:s s\n');
    provider.json({ active: true, username: 'alice@example.org' });
    const check = asking({ clientId: 'mail server', clientSecretFile });
    expect(await check.owner('2YotnFZFEjr1zCsicMWpAA')).toEqual({ login: 'alice@example.org' });
    const [asked] = provider.asked;
    expect(asked).toMatchObject({
      method: 'POST',
      path: '/introspect?x=1',
      authorization: `Basic ${Buffer.from('mail+server:p%3As+s').toString('base64')}`,
    });
    expect(Object.fromEntries(asked?.form ?? [])).toEqual({
      token: '2YotnFZFEjr1zCsicMWpAA',
      token_type_hint: 'access_token',
    });
  });

  test.each<[string, object, object, string]>([
    ['not active', { active: false }, {}, 'it is not active'],
    ['not quite active', { active: 'true' }, {}, 'it is not active'],
    ['expired', { active: true, username: 'a', exp: 1 }, {}, 'it has expired'],
    ['for others', { active: true, username: 'a', aud: 'x' }, { audiences: ['mail'] }, 'another audience'],
    ['for nobody', { active: true, username: 'a' }, { audiences: ['mail'] }, 'it has no aud'],
    ['of others', { active: true, username: 'a', iss: 'x' }, { issuer: ISSUER }, 'another issuer'],
  ])('a token that is %s', async (_what, body, changes, why) => {
    provider.json(body);
    expect(await refused(asking(changes), 'opaque')).toMatch(why);
  });

  test('what was found is remembered for a minute, not beyond the token’s end; asked once at a time', async () => {
    provider.json({ active: true, username: 'a', exp: seconds() + 90 });
    const check = asking();
    await Promise.all([1, 2, 3].map(() => check.owner('t')));
    await clock.advance(59_000);
    await check.owner('t');
    expect(provider.asked).toHaveLength(1);
    await clock.advance(1000);
    await check.owner('t');
    await clock.advance(29_000);
    await check.owner('t');
    expect(provider.asked).toHaveLength(2);
    await clock.advance(1000);
    await check.owner('t');
    expect(provider.asked).toHaveLength(3);
  });

  test('a refusal is remembered for seconds, an error not at all', async () => {
    provider.json({ active: false });
    const check = asking();
    await refused(check, 't');
    await refused(check, 't');
    expect(provider.asked).toHaveLength(1);
    await clock.advance(5000);
    provider.answer = () => ({ status: 401 });
    await expect(check.owner('t')).rejects.toThrow(OAuthUnavailable);
    provider.json({ active: true, username: 'a' });
    expect(await check.owner('t')).toEqual({ login: 'a' });
  });

  test('with keys too, it is asked about what is no signed JWT', async () => {
    provider.json({ active: true, email: 'alice@example.org', aud: 'mail' });
    const path = join(dir, 'both.json');
    writeFileSync(path, JSON.stringify({ keys: [rs.jwk] }));
    const check = byKeys({ jwks: path, introspectionUrl: provider.url('/i') });
    await check.owner(rs.token(claims()));
    expect(provider.asked).toHaveLength(0);
    await check.owner('opaque');
    expect(provider.asked).toHaveLength(1);
  });
});

describe('settings', () => {
  test.each<[object, string]>([
    [{ jwks: 'http://id.example.org/keys', issuer: 'x', scopes: ['m'] }, 'https URL'],
    [{ introspectionUrl: 'https://me:pw@id.example.org/' }, 'https URL'],
    [{ jwks: 'keys.json', scopes: ['m'] }, 'where jwks is'],
    [{ jwks: 'keys.json', issuer: 'x' }, 'which tokens are for mail'],
    [{ clientSecretFile: 'x' }, 'clientSecretFile is'],
    [{ scopes: ['two words'] }, 'one scope'],
  ])('%j is refused', (value, words) => {
    expect(JSON.stringify(oauthOptions.safeParse(value).error?.issues)).toContain(words);
  });
});
