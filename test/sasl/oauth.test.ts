import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { ImapFlow } from 'imapflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LoginGuard } from '../../src/sasl/login-guard.ts';
import { Provider, signer } from '../oauth/provider.ts';
import { playTranscript } from '../transcript.ts';
import { startWorld, type World } from '../world.ts';
import { hurried } from './hurried.ts';

const USER = 'user@example.com';
/** The token of all examples in RFC 7628. */
const TOKEN = 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==';
const DISCOVERY = 'https://example.com/.well-known/openid-configuration';
const key = signer('ES256', 'k');

let provider: Provider;
let world: World;
let plainWorld: World;
beforeAll(async () => {
  provider = await Provider.start();
  provider.answer = ({ path, form }) => {
    if (path === '/jwks') return { body: JSON.stringify({ keys: [key.jwk] }) };
    if (form.get('token') === 'broken') return { status: 500 };
    if (form.get('token') === 'unscoped') return { body: JSON.stringify({ active: true, email: USER }) };
    const active = form.get('token') === TOKEN;
    return { body: JSON.stringify(active ? { active, email: USER, scope: 'example_scope' } : { active }) };
  };
  const oauth = {
    jwks: provider.url('/jwks'),
    issuer: 'https://example.com',
    introspectionUrl: provider.url('/introspect'),
    scopes: ['example_scope'],
    discoveryUrl: DISCOVERY,
  };
  const accounts = { [USER]: 'secret', 'other@example.com': 'secret' };
  world = await startWorld({ accounts, clock: hurried, settings: { auth: { oauth } } });
  plainWorld = await startWorld({ accounts: {} });
});
afterAll(async () => {
  await world.close();
  await plainWorld.close();
  await provider.close();
});

const connectTls = async (service: string): Promise<Socket> => {
  const socket = tlsConnect({ port: world.port(service), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
};
const imap = (text: string): Promise<void> => playTranscript(text, () => connectTls('imaps'));
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const bearer = (token: string, authzid: string = USER): string =>
  base64(`n,a=${authzid},\x01auth=Bearer ${token}\x01\x01`);
const xoauth2 = (token: string, user: string = USER): string =>
  base64(`user=${user}\x01auth=Bearer ${token}\x01\x01`);
const json = (value: object): string => base64(JSON.stringify(value));
const invalid = json({
  status: 'invalid_token',
  scope: 'example_scope',
  'openid-configuration': DISCOVERY,
});

describe('RFC 7628 4', () => {
  test('4.1: a token is taken', async () => {
    await imap(`
      S: * OK [CAPABILITY *AUTH=OAUTHBEARER AUTH=XOAUTH2*
      C: t1 AUTHENTICATE OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB
      S: t1 OK *
      `);
  });

  test('4.1: over SMTP', async () => {
    // The example begins its command with an IMAP tag; SMTP has none.
    await playTranscript(
      `
      S: 220 *
      C: EHLO sender.example.com
      S: 250-mx.example.org*
      S: 250-AUTH *OAUTHBEARER XOAUTH2*
      C: AUTH OAUTHBEARER bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB
      S: 235 *
      `,
      () => connectTls('submissions'),
    );
  });

  // 4.2 is OAUTH10A, which is not built: nobody uses OAuth 1.0a with mail.

  test('4.3: without a token one is told what is wanted, then refused', async () => {
    const empty = 'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE=';
    await imap(`
      S: * OK *
      C: t1 AUTHENTICATE OAUTHBEARER ${empty}
      S: + eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=
      C: AQ==
      S: t1 NO *
      # The example says NO here; RFC 9051 6.2.2 wants BAD for "*".
      C: t2 AUTHENTICATE OAUTHBEARER ${empty}
      S: + *
      C: *
      S: t2 BAD *
      `);
  });

  test('4.4: a token is refused over SMTP', async () => {
    // The example's header, `n,user=…`, does not follow the RFC's own grammar (3.1): once as it should be, once as it is.
    await playTranscript(
      `
      S: 220 *
      C: EHLO sender.example.com
      S: 250-*
      C: AUTH OAUTHBEARER ${bearer('vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg==')}
      S: 334 ${invalid}
      C: AQ==
      S: 535 5.7.8 *
      C: AUTH OAUTHBEARER bix1c2VyPXNvbWV1c2VyQGV4YW1wbGUuY29tLAFhdXRoPUJlYXJlciB2RjlkZnQ0cW1UYzJOdmIzUmxja0JoZEhSaGRtbHpkR0V1WTI5dENnPT0BAQ==
      S: 334 ${base64('{"status":"invalid_request"').slice(0, 30)}*
      C: AQ==
      S: 501 *
      `,
      () => connectTls('submissions'),
    );
  });
});

describe('both mechanisms', () => {
  test('without an initial response an empty challenge asks for it', async () => {
    await imap(`
      S: * OK *
      C: a AUTHENTICATE XOAUTH2
      S: + 
      C: ${xoauth2(TOKEN)}
      S: a OK *
      `);
  });

  test('signed JWTs, for the account they name and no other', async () => {
    const exp = Date.now() / 1000 + 300;
    const token = key.token({ iss: 'https://example.com', exp, email: USER, scope: 'example_scope' });
    await imap(`
      S: * OK *
      C: a AUTHENTICATE OAUTHBEARER ${bearer(token, 'other@example.com')}
      S: + ${invalid}
      C: AQ==
      S: a NO [AUTHENTICATIONFAILED] *
      C: b AUTHENTICATE XOAUTH2 ${xoauth2(token, 'other@example.com')}
      S: + ${json({ status: '401', schemes: 'bearer', scope: 'example_scope' })}
      C: 
      S: b NO [AUTHENTICATIONFAILED] *
      C: c AUTHENTICATE OAUTHBEARER ${bearer(token, '')}
      S: c OK *
      `);
  });

  test('a token of somebody who has no account here, or not the scope', async () => {
    const exp = Date.now() / 1000 + 300;
    const token = key.token({
      iss: 'https://example.com',
      exp,
      email: 'x@example.com',
      scope: 'example_scope',
    });
    const scope = 'example_scope';
    await imap(`
      S: * OK *
      C: a AUTHENTICATE OAUTHBEARER ${bearer(token, '')}
      S: + ${invalid}
      C: AQ==
      S: a NO *
      C: b AUTHENTICATE OAUTHBEARER ${bearer('unscoped')}
      S: + ${json({ status: 'insufficient_scope', scope, 'openid-configuration': DISCOVERY })}
      C: AQ==
      S: b NO *
      `);
  });

  test('who cannot be asked has said nothing against it', async () => {
    await imap(`
      S: * OK *
      C: a AUTHENTICATE OAUTHBEARER ${bearer('broken')}
      S: a NO [UNAVAILABLE] *
      `);
  });

  test.each([
    'y\x01\x01',
    '\x01',
    'n,,\x01auth=Basic eDp5\x01\x01',
    'n,,\x01auth=Bearer a b\x01\x01',
    'n,,\x01auth=Bearer t\x01auth=Bearer t\x01\x01',
    'n,,\x01auth=Bearer t\x01',
    'n,,\x01host=x\x01\x01',
    'n,,\x01port=0143\x01auth=Bearer t\x01\x01',
    'p=tls-unique,,\x01auth=Bearer t\x01\x01',
    `n,,\x01auth=Bearer ${'t'.repeat(8193)}\x01\x01`,
  ])('%j is malformed', async (text) => {
    await imap(`
      S: * OK *
      C: a AUTHENTICATE OAUTHBEARER ${base64(text)}
      S: + ${base64('{"status":"invalid_request"').slice(0, 30)}*
      C: AQ==
      S: a BAD *
      `);
  });

  test('pairs that nobody knows, and another spelling of Bearer, are fine', async () => {
    const text = `n,,\x01x=1\x01auth=BeArEr  ${TOKEN}\x01qs=\x01\x01`;
    await imap(`
      S: * OK *
      C: a AUTHENTICATE OAUTHBEARER ${base64(text)}
      S: a OK *
      `);
  });

  test('over POP3', async () => {
    await playTranscript(
      `
      S: +OK *
      C: AUTH XOAUTH2 ${xoauth2('nothing')}
      S: + ${json({ status: '401', schemes: 'bearer', scope: 'example_scope' })}
      C: 
      S: -ERR [AUTH] *
      C: AUTH OAUTHBEARER ${bearer(TOKEN)}
      S: +OK *
      `,
      () => connectTls('pop3s'),
    );
  });

  test('not without TLS', async () => {
    await playTranscript(
      `
      S: * OK *
      C: a AUTHENTICATE OAUTHBEARER ${bearer(TOKEN)}
      S: a NO [PRIVACYREQUIRED] *
      `,
      async () => connect(world.port('imap'), '127.0.0.1'),
    );
  });

  test('a real client', async () => {
    const client = new ImapFlow({
      host: '127.0.0.1',
      port: world.port('imaps'),
      secure: true,
      auth: { user: USER, accessToken: TOKEN },
      tls: { rejectUnauthorized: false },
      logger: false,
    });
    await client.connect();
    expect(client.authenticated).toBe(true);
    await client.logout();
  });
});

test('a host that is not the one of TLS is malformed (RFC 7628 3.2)', async () => {
  const socket = tlsConnect({
    port: world.port('imaps'),
    host: '127.0.0.1',
    servername: 'imap.example.com',
    rejectUnauthorized: false,
  });
  await once(socket, 'secureConnect');
  const message = (host: string): string =>
    base64(`n,,\x01host=${host}\x01port=993\x01auth=Bearer ${TOKEN}\x01\x01`);
  await playTranscript(
    `
    S: * OK *
    C: a AUTHENTICATE OAUTHBEARER ${message('imap.example.net')}
    S: + *
    C: AQ==
    S: a BAD *
    C: b AUTHENTICATE OAUTHBEARER ${message('IMAP.example.com')}
    S: b OK *
    `,
    () => socket,
  );
});

test('no token is in the log, and each attempt is', () => {
  const text = JSON.stringify(world.lines);
  expect(text).not.toContain(TOKEN);
  expect(text).not.toContain('eyJ');
  expect(text).toContain('"mechanism":"OAUTHBEARER"');
  expect(text).toContain('it lacks the scope example_scope');
});

test('failures are counted, and a token without a name bans no name', () => {
  const settings = {
    addressFailures: 9,
    accountFailures: 2,
    window: 1e6,
    duration: 1e6,
    maxDuration: 1e6,
    allow: [],
  };
  const log = { child: () => log, debug() {}, info() {}, warn() {}, error() {} };
  const guard = new LoginGuard(settings, hurried, log);
  for (let i = 0; i < 3; i++) guard.failed('192.0.2.1', '');
  expect(guard.admits('192.0.2.2', '')).toBe(true);
  for (let i = 0; i < 6; i++) guard.failed('192.0.2.1', '');
  expect(guard.admits('192.0.2.1', '')).toBe(false);
});

test('not offered where it is not configured', async () => {
  const socket = tlsConnect({ port: plainWorld.port('imaps'), host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const [greeting] = await once(socket, 'data');
  expect(String(greeting)).toMatch(/AUTH=PLAIN/);
  expect(String(greeting)).not.toMatch(/OAUTH|EXTERNAL/);
  socket.destroy();
});
