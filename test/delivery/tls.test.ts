import { beforeAll, describe, expect, test } from 'vitest';
import { Authority, type Certificate } from './certificates.ts';
import type { Script } from './peer.ts';
import { ONE, TWO, world } from './world.ts';

let authority: Authority;
let good: Certificate;
let good2: Certificate;
let expired: Certificate;
let wrongName: Certificate;
let selfSigned: Certificate;

beforeAll(() => {
  authority = new Authority();
  good = authority.issue(['mx.remote.test', 'mx1.remote.test']);
  good2 = authority.issue(['mx2.remote.test']);
  expired = authority.issue(['mx.remote.test'], -1);
  wrongName = authority.issue(['other.test']);
  selfSigned = new Authority('Somebody Else').issue(['mx.remote.test']);
});

const host = (certificate: Certificate, extra: Partial<Script> = {}): Script => ({
  extensions: ['STARTTLS', 'PIPELINING', 'REQUIRETLS'],
  certificate,
  ...extra,
});

describe('TLS when the host offers it', () => {
  test('is used, and told of', async () => {
    const { outcomes, peers } = await world(
      { '127.0.0.2': host(good) },
      ONE,
      {},
      { trust: [authority.cert] },
    );
    const [outcome] = await outcomes();
    expect(outcome).toMatchObject({ is: 'delivered', tls: 'TLSv1.3 TLS_AES_256_GCM_SHA384 verified' });
    expect(peers['127.0.0.2'].sessions[0]?.tls).toBe('yes');
    expect(peers['127.0.0.2'].lines.slice(0, 3)).toEqual([
      'EHLO mx.example.test',
      'STARTTLS',
      'EHLO mx.example.test',
    ]);
  });

  test.each([
    ['has ended', () => expired, 'CERT_HAS_EXPIRED'],
    ['is for another name', () => wrongName, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['is from nobody we know', () => selfSigned, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ] as const)('with a certificate that %s still is better than none', async (_, certificate, reason) => {
    const script = host(certificate());
    const { outcomes } = await world({ '127.0.0.2': script }, ONE, {}, { trust: [authority.cert] });
    expect((await outcomes())[0]).toMatchObject({
      is: 'delivered',
      tls: `TLSv1.3 TLS_AES_256_GCM_SHA384 unverified (${reason})`,
    });
  });

  test.each<[string, Partial<Script>]>([
    ['the handshake fails', { brokenHandshake: true }],
    ['the host closes instead of a handshake', { starttls: { last: '220 go ahead' } }],
    ['there is no end to the handshake', { starttls: ['220 go ahead'], brokenHandshake: true }],
  ])('when %s, goes without on a new connection', async (_, extra) => {
    const { outcomes, peers, log } = await world({ '127.0.0.2': host(good, extra) }, ONE);
    expect((await outcomes())[0]).toMatchObject({ is: 'delivered', tls: 'none' });
    expect(peers['127.0.0.2'].sessions.map(({ lines }) => lines.includes('STARTTLS'))).toEqual([true, false]);
    expect(log.lines.filter((line) => line.startsWith('TLS failed, delivering without'))).toHaveLength(1);
  });

  test('when STARTTLS is refused, goes without on the same connection', async () => {
    const script = host(good, { starttls: '454 4.7.0 not now' });
    const { outcomes, peers } = await world({ '127.0.0.2': script }, ONE);
    expect((await outcomes())[0]).toMatchObject({ is: 'delivered', tls: 'none' });
    expect(peers['127.0.0.2'].sessions).toHaveLength(1);
    // What was announced in plain still holds.
    expect(peers['127.0.0.2'].lines).toContain('DATA');
  });

  test('what comes in plain after the answer to STARTTLS is thrown away (CVE-2011-0411)', async () => {
    const script = host(good, { starttls: ['220 go ahead\r\n250 8BITMIME injected'] });
    const { outcomes } = await world({ '127.0.0.2': script }, ONE, {}, { trust: [authority.cert] });
    expect((await outcomes())[0]).toMatchObject({ is: 'delivered' });
  });

  test('is not used with tls: none', async () => {
    const { outcomes, peers } = await world({ '127.0.0.2': host(good) }, ONE, { tls: 'none' });
    expect((await outcomes())[0]).toMatchObject({ is: 'delivered', tls: 'none' });
    expect(peers['127.0.0.2'].lines).not.toContain('STARTTLS');
  });
});

describe('TLS as a must', () => {
  test('tls: encrypt defers where there is none, and takes any certificate', async () => {
    const { send, peers } = await world({ '127.0.0.2': {} }, ONE, { tls: 'encrypt' });
    expect((await send())[0]).toMatch(
      /^deferred 451 4\.7\.4 mx\.remote\.test\[127\.0\.0\.2\]:\d+ has no working TLS/,
    );
    expect(peers['127.0.0.2'].lines.join()).not.toContain('MAIL');
    const other = await world({ '127.0.0.2': host(expired) }, ONE, { tls: 'encrypt' });
    expect(await other.send()).toEqual(['delivered 250 2.0.0 taken']);
  });

  test('tls: verify asks the next host, and defers when none is verified', async () => {
    const extra = { trust: [authority.cert] };
    const scripts = { '127.0.0.2': host(wrongName), '127.0.0.3': host(good2) };
    const { send, peers } = await world(scripts, TWO, { tls: 'verify' }, extra);
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].messages).toEqual([]);
    const alone = await world({ '127.0.0.2': host(expired) }, ONE, { tls: 'verify' }, extra);
    expect((await alone.send())[0]).toMatch(/^deferred 451 4\.7\.5 .*CERT_HAS_EXPIRED/);
  });

  test('a broken handshake is not gone around', async () => {
    const { send, peers } = await world({ '127.0.0.2': host(good, { brokenHandshake: true }) }, ONE, {
      tls: 'encrypt',
    });
    expect((await send())[0]).toMatch(/^deferred 451 4\.7\.4/);
    expect(peers['127.0.0.2'].sessions).toHaveLength(1);
  });
});

describe('REQUIRETLS (RFC 8689 4.2.1)', () => {
  const post = { message: { requireTls: true } };
  const secure = (): { trust: string[]; dns: { authentic: boolean } } => ({
    trust: [authority.cert],
    dns: { authentic: true },
  });

  test('goes to a host with DNSSEC, a valid certificate and the extension', async () => {
    const { send, peers } = await world({ '127.0.0.2': host(good) }, ONE, {}, secure());
    expect(await send(post)).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].messages[0]?.mail).toBe('MAIL FROM:<bob@example.test> REQUIRETLS');
  });

  test('goes to the next host where the first cannot', async () => {
    const { send, peers } = await world(
      { '127.0.0.2': host(wrongName), '127.0.0.3': host(good2) },
      TWO,
      {},
      secure(),
    );
    expect(await send(post)).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].messages).toEqual([]);
  });

  test.each<[string, () => Script, string]>([
    ['the host does not support it', () => host(good, { extensions: ['STARTTLS'] }), '5.7.30'],
    ['the certificate is not good', () => host(expired), '5.7.10'],
    ['there is no TLS', () => ({}), '5.7.10'],
    ['the handshake fails', () => host(good, { brokenHandshake: true }), '5.7.10'],
  ])('fails when %s', async (_, script, code) => {
    const { send, peers } = await world({ '127.0.0.2': script() }, ONE, {}, secure());
    expect((await send(post))[0]).toContain(`failed 550 ${code} `);
    expect(peers['127.0.0.2'].lines.join()).not.toContain('MAIL');
  });

  test('fails when the MX came without DNSSEC', async () => {
    const { send } = await world({ '127.0.0.2': host(good) }, ONE, {}, { trust: [authority.cert] });
    expect((await send(post))[0]).toMatch(/^failed 550 5\.7\.10 .*without DNSSEC$/);
  });

  test('waits when a host that might do it is down', async () => {
    const { send } = await world({ '127.0.0.2': {} }, TWO, {}, secure());
    expect((await send(post))[0]).toMatch(/^deferred 451 4\.4\.1/);
  });

  test('a bounce goes without rather than not at all (RFC 8689 5)', async () => {
    const { send, peers } = await world({ '127.0.0.2': {} }, ONE);
    expect(await send({ ...post, from: null })).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].messages[0]?.mail).toBe('MAIL FROM:<>');
  });
});

describe('a smarthost', () => {
  const relay = { 'smart.test MX': ['10 mx.remote.test'], ...ONE, 'smart2.test A': ['127.0.0.2'] };
  const login = { relayhostAuth: { user: 'house', password: 'secret' } };
  const certified = (names: string[], extra: Partial<Script> = {}): Script =>
    host(authority.issue(names), { extensions: ['STARTTLS', 'AUTH PLAIN LOGIN'], ...extra });

  test('takes all mail, whatever its domain', async () => {
    const { send, peers } = await world({ '127.0.0.2': {} }, relay, ({ '127.0.0.2': peer }) => ({
      port: 1,
      relayhost: `smart.test:${peer.port}`,
    }));
    expect(await send({ to: ['x@nowhere.test'], nextHop: 'nowhere.test' })).toEqual([
      'delivered 250 2.0.0 taken',
    ]);
    expect(peers['127.0.0.2'].lines).toContain('RCPT TO:<x@nowhere.test>');
  });

  test.each(['127.0.0.2', '[127.0.0.2]', '[smart2.test]', 'smart2.test'])('as %s has no MX', async (name) => {
    const { send, dns } = await world({ '127.0.0.2': {} }, relay, ({ '127.0.0.2': peer }) => ({
      relayhost: `${name}:${peer.port}`,
    }));
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    expect(dns.queries.filter((query) => query.startsWith('MX'))).toEqual(
      name === 'smart2.test' ? ['MX smart2.test'] : [],
    );
  });

  test('gets user and password over TLS', async () => {
    const { send, peers } = await world(
      { '127.0.0.2': certified(['smart2.test']) },
      relay,
      ({ '127.0.0.2': peer }) => ({
        relayhost: `[smart2.test]:${peer.port}`,
        relayhostTls: 'verify',
        ...login,
      }),
      { trust: [authority.cert] },
    );
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    const [session] = peers['127.0.0.2'].sessions;
    expect(session?.lines.slice(3, 4)).toEqual([
      `AUTH PLAIN ${Buffer.from('\0house\0secret').toString('base64')}`,
    ]);
    expect(session?.tls).toBe('yes');
  });

  test('speaks TLS from the first byte with relayhostTls: implicit', async () => {
    const script = certified(['smart2.test'], { implicitTls: true });
    const { send, peers } = await world(
      { '127.0.0.2': script },
      relay,
      ({ '127.0.0.2': peer }) => ({
        relayhost: `[smart2.test]:${peer.port}`,
        relayhostTls: 'implicit',
        ...login,
      }),
      { trust: [authority.cert] },
    );
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].lines).not.toContain('STARTTLS');
  });

  test('without TLS gets no password', async () => {
    const { send, peers } = await world(
      { '127.0.0.2': { extensions: ['AUTH PLAIN'] } },
      relay,
      ({ '127.0.0.2': peer }) => ({ relayhost: `127.0.0.2:${peer.port}`, ...login }),
    );
    expect((await send())[0]).toMatch(/^deferred 451 4\.7\.4 .*a password is not sent without$/);
    expect(peers['127.0.0.2'].lines.join()).not.toContain('AUTH');
  });

  test('without TLS gets it where the settings say so', async () => {
    const { send, peers } = await world(
      { '127.0.0.2': { extensions: ['AUTH PLAIN'] } },
      relay,
      ({ '127.0.0.2': peer }) => ({ relayhost: `127.0.0.2:${peer.port}`, relayhostTls: 'none', ...login }),
    );
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
    expect(peers['127.0.0.2'].lines[1]).toMatch(/^AUTH PLAIN /);
  });

  test('that refuses the password is tried again later; the password is in no log', async () => {
    const { send, log } = await world(
      { '127.0.0.2': { extensions: ['AUTH PLAIN'], auth: '535 5.7.8 wrong' } },
      relay,
      ({ '127.0.0.2': peer }) => ({ relayhost: `127.0.0.2:${peer.port}`, relayhostTls: 'none', ...login }),
    );
    expect((await send())[0]).toMatch(/^deferred 451 4\.7\.8 .*authentication failed: 535 5\.7\.8 wrong$/);
    expect(log.lines.join()).not.toContain('secret');
  });

  test('that does not exist is our mistake: mail waits', async () => {
    const { send } = await world({ '127.0.0.2': {} }, relay, { relayhost: 'gone.test:25' });
    expect(await send()).toEqual([
      'deferred 451 4.3.5 the smarthost cannot be used: there is no domain gone.test',
    ]);
  });

  test('with our own name is no loop', async () => {
    const zone = { 'mx.example.test A': ['127.0.0.2'] };
    const { send } = await world({ '127.0.0.2': {} }, zone, ({ '127.0.0.2': peer }) => ({
      relayhost: `mx.example.test:${peer.port}`,
    }));
    expect(await send()).toEqual(['delivered 250 2.0.0 taken']);
  });
});
