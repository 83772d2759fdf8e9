import { afterEach, expect, test } from 'vitest';
import { DnsTemporaryError } from '../../src/dns/resolver.ts';
import { parseServer } from '../../src/dns/servers.ts';
import { StubResolver } from '../../src/dns/stub-resolver.ts';
import { DnsServer, type DnsServerOptions, type Zone } from '../dns-server.ts';

const running: DnsServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()));
});

async function serve(zone: Zone, options?: DnsServerOptions): Promise<DnsServer> {
  const server = await DnsServer.start(zone, options);
  running.push(server);
  return server;
}

function ask(servers: readonly DnsServer[], timeout = 2000, tries = 2): StubResolver {
  const addresses = servers.map(({ host, port }) => ({ address: host, port }));
  return new StubResolver({ servers: addresses, timeout, tries });
}

test('every type, with its TTL', async () => {
  const resolver = ask([
    await serve({
      'example.test MX': { ttl: 300, data: ['10 MX.example.test', '20 mx2.example.test'] },
      'mx.example.test A': ['127.0.0.2', '127.0.0.3'],
      'mx.example.test AAAA': ['2001:db8::1'],
      'example.test TXT': ['v=spf1 -all', 'x'.repeat(300)],
      '2.0.0.127.in-addr.arpa PTR': ['mx.example.test'],
    }),
  ]);
  expect(await resolver.mx('example.test')).toEqual({
    status: 'found',
    records: [
      { preference: 10, exchange: 'mx.example.test' },
      { preference: 20, exchange: 'mx2.example.test' },
    ],
    secure: false,
    ttl: 300,
  });
  expect(await resolver.a('MX.Example.Test.')).toMatchObject({
    records: ['127.0.0.2', '127.0.0.3'],
    ttl: 60,
  });
  expect(await resolver.aaaa('mx.example.test')).toMatchObject({ records: ['2001:db8::1'] });
  expect(await resolver.txt('example.test')).toMatchObject({ records: ['v=spf1 -all', 'x'.repeat(300)] });
  expect(await resolver.ptr('127.0.0.2')).toMatchObject({ records: ['mx.example.test'] });
});

test('no such name and no such record are answers, kept as long as the SOA says (RFC 2308 5)', async () => {
  const resolver = ask([await serve({ 'mx.example.test A': ['127.0.0.2'] }, { negativeTtl: 7 })]);
  expect(await resolver.mx('nowhere.test')).toEqual({ status: 'nxdomain', secure: false, ttl: 7 });
  expect(await resolver.aaaa('mx.example.test')).toEqual({ status: 'nodata', secure: false, ttl: 7 });
  expect(await resolver.mx('example.test')).toEqual({ status: 'nodata', secure: false, ttl: 7 });
});

test('a null MX is a record with an empty exchange (RFC 7505 3)', async () => {
  const resolver = ask([await serve({ 'null.test MX': ['0 .'] })]);
  expect(await resolver.mx('null.test')).toMatchObject({ records: [{ preference: 0, exchange: '' }] });
});

test.each(['SERVFAIL', 'REFUSED', 'FORMERR'] as const)(
  '%s is a temporary error, never "no record"',
  async (failure) => {
    const resolver = ask([await serve({ 'broken.test *': failure })]);
    await expect(resolver.mx('broken.test')).rejects.toBeInstanceOf(DnsTemporaryError);
  },
);

test('silence is a temporary error after the tries', async () => {
  const server = await serve({ 'silent.test *': 'TIMEOUT' });
  const resolver = ask([server], 50, 3);
  await expect(resolver.a('silent.test')).rejects.toBeInstanceOf(DnsTemporaryError);
  expect(server.queries).toEqual(Array(3).fill('A silent.test'));
});

test('a datagram that is no answer is passed over', async () => {
  const resolver = ask([await serve({ 'garbage.test *': 'GARBAGE' })], 50, 1);
  await expect(resolver.a('garbage.test')).rejects.toBeInstanceOf(DnsTemporaryError);
});

test('nobody listening is a temporary error', async () => {
  const server = await DnsServer.start();
  await server.close();
  await expect(ask([server], 500, 1).a('example.test')).rejects.toBeInstanceOf(DnsTemporaryError);
});

test('the next server is asked, and stays the first from then on', async () => {
  const silent = await serve({ 'example.test *': 'TIMEOUT' });
  const broken = await serve({ 'example.test *': 'SERVFAIL' });
  const good = await serve({ 'example.test A': ['127.0.0.2'] });
  const resolver = ask([silent, broken, good], 50, 1);
  expect(await resolver.a('example.test')).toMatchObject({ records: ['127.0.0.2'] });
  expect(await resolver.a('example.test')).toMatchObject({ records: ['127.0.0.2'] });
  expect([silent.queries.length, broken.queries.length, good.queries.length]).toEqual([1, 1, 2]);
});

test('an answer that was cut is asked for over TCP (RFC 7766 5)', async () => {
  const long = Array.from({ length: 30 }, (_, i) => `${i} ${'x'.repeat(100)}`);
  const server = await serve({ 'long.test TXT': long });
  expect(await ask([server]).txt('long.test')).toMatchObject({ records: long });
  expect(server.queries).toEqual(['TXT long.test', 'TXT long.test (tcp)']);
});

test('a server that does not know EDNS is asked without (RFC 6891 7)', async () => {
  const resolver = ask([await serve({ 'example.test A': ['127.0.0.2'] }, { noEdns: true })]);
  expect(await resolver.a('example.test')).toMatchObject({ records: ['127.0.0.2'] });
});

test.each([false, true])(
  'CNAMEs are followed, the lowest TTL counts (left to the asker: %s)',
  async (bareAliases) => {
    const resolver = ask([
      await serve(
        {
          'www.test CNAME': { ttl: 9, data: ['Other.test'] },
          'other.test CNAME': ['mx.test'],
          'mx.test A': { ttl: 30, data: ['127.0.0.2'] },
          'dangling.test CNAME': ['gone.test'],
          'empty.test CNAME': ['mx.test'],
        },
        { bareAliases },
      ),
    ]);
    expect(await resolver.a('www.test')).toMatchObject({ status: 'found', records: ['127.0.0.2'], ttl: 9 });
    expect(await resolver.a('dangling.test')).toMatchObject({ status: 'nxdomain' });
    expect(await resolver.mx('empty.test')).toMatchObject({ status: 'nodata' });
  },
);

test.each([false, true])(
  'CNAMEs in a circle end as a temporary error or no data (left to the asker: %s)',
  async (bareAliases) => {
    const zone: Zone = { 'a.test CNAME': ['b.test'], 'b.test CNAME': ['a.test'] };
    const resolver = ask([await serve(zone, { bareAliases })]);
    const outcome = await resolver.a('a.test').catch((error: unknown) => error);
    if (bareAliases) expect(outcome).toBeInstanceOf(DnsTemporaryError);
    else expect(outcome).toMatchObject({ status: 'nodata' });
  },
);

test('AD is believed from a resolver on this machine', async () => {
  const resolver = ask([await serve({ 'example.test A': ['127.0.0.2'] }, { authentic: true })]);
  expect(await resolver.a('example.test')).toMatchObject({ secure: true });
});

test('a name that cannot be in DNS does not exist, and nobody is asked', async () => {
  const server = await serve({});
  expect(await ask([server]).a('a..test')).toEqual({ status: 'nxdomain', secure: false });
  expect(await ask([server]).ptr('nonsense')).toEqual({ status: 'nxdomain', secure: false });
  expect(server.queries).toEqual([]);
});

test('an abort ends the wait with its reason', async () => {
  const resolver = ask([await serve({ 'silent.test *': 'TIMEOUT' })], 60_000);
  const stop = new AbortController();
  const waiting = resolver.a('silent.test', stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});

test.each([
  ['192.0.2.53', { address: '192.0.2.53', port: 53 }],
  ['127.0.0.1:5353', { address: '127.0.0.1', port: 5353 }],
  ['2001:db8::53', { address: '2001:db8::53', port: 53 }],
  ['[::1]:5353', { address: '::1', port: 5353 }],
  ['[::1]', { address: '::1', port: 53 }],
  ['dns.example.test', undefined],
  ['127.0.0.1:0', undefined],
  ['127.0.0.1:70000', undefined],
])('server %s', (text, server) => {
  expect(parseServer(text)).toEqual(server);
});
