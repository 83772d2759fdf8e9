import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MailHostsOptions, mailHosts } from '../../src/dns/mx.ts';
import { DnsTemporaryError } from '../../src/dns/resolver.ts';
import { StubResolver } from '../../src/dns/stub-resolver.ts';
import { DnsServer } from '../dns-server.ts';

let server: DnsServer;
let resolver: StubResolver;

beforeAll(async () => {
  server = await DnsServer.start({
    'five.test MX': [
      '30 e.five.test',
      '10 a.five.test',
      '20 b.five.test',
      '20 c.five.test',
      '20 d.five.test',
    ],
    ...Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((host, i) => [`${host}.five.test A`, [`127.0.1.${i}`]]),
    ),
    'implicit.test A': ['127.0.0.2'],
    'implicit.test AAAA': ['2001:db8::2'],
    'null.test MX': ['0 .'],
    'nullish.test MX': ['0 .', '10 implicit.test'],
    'cnamed.test CNAME': ['five.test'],
    'dual.test MX': ['10 mx.dual.test'],
    'mx.dual.test A': ['192.0.2.1', '192.0.2.2', '192.0.2.3'],
    'mx.dual.test AAAA': ['2001:db8::1'],
    'partly.test MX': ['10 gone.partly.test', '20 implicit.test'],
    'nohost.test MX': ['10 gone.nohost.test', '20 text.nohost.test'],
    'text.nohost.test TXT': ['no address here'],
    'bare.test TXT': ['nothing but text'],
    'unsure.test MX': ['10 broken.test', '20 gone.test'],
    'unsure2.test MX': ['10 broken.test', '20 implicit.test'],
    'broken.test *': 'SERVFAIL',
    'noaaaa.test A': ['127.0.0.9'],
    'noaaaa.test AAAA': 'SERVFAIL',
    'many.test MX': Array.from({ length: 50 }, (_, i) => `${i} h${i}.many.test`),
    ...Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`h${i}.many.test A`, ['127.0.0.2']])),
    'museum MX': ['10 implicit.test'],
  });
  resolver = new StubResolver({
    servers: [{ address: server.host, port: server.port }],
    timeout: 2000,
    tries: 1,
  });
});
afterAll(() => server.close());

function ask(domain: string, options: Partial<MailHostsOptions> = {}): ReturnType<typeof mailHosts> {
  const self = { names: new Set<string>(), addresses: new Set<string>() };
  return mailHosts(resolver, domain, { self, families: 'both', random: () => 0, ...options });
}

async function names(domain: string, options: Partial<MailHostsOptions> = {}): Promise<string[]> {
  const found = await ask(domain, options);
  return found.is === 'hosts' ? found.hosts.map((host) => host.name) : [found.is];
}

test('hosts by preference (RFC 5321 5.1)', async () => {
  const order = await names('five.test');
  expect([order[0], order[4]]).toEqual(['a.five.test', 'e.five.test']);
  expect(order.slice(1, 4).sort()).toEqual(['b.five.test', 'c.five.test', 'd.five.test']);
});

test('equal preferences are shuffled (RFC 5321 5.1)', async () => {
  const draws = [0, 0.9, 0.5, 0.1, 0];
  const order = await names('five.test', { random: () => draws.shift() ?? 0 });
  // In the order of the zone e draws 0, a 0.9, b 0.5, c 0.1, d 0.
  expect(order).toEqual(['a.five.test', 'd.five.test', 'c.five.test', 'b.five.test', 'e.five.test']);
});

test('a domain without MX is its own mail host (RFC 5321 5.1)', async () => {
  expect(await ask('implicit.test')).toEqual({
    is: 'hosts',
    secure: false,
    hosts: [{ name: 'implicit.test', preference: 0, addresses: ['2001:db8::2', '127.0.0.2'] }],
  });
});

test('a null MX takes no mail (RFC 7505 3), but not beside other records', async () => {
  expect(await names('null.test')).toEqual(['null-mx']);
  expect(await names('nullish.test')).toEqual(['implicit.test']);
});

test('no such domain', async () => {
  expect(await names('nowhere.test')).toEqual(['nxdomain']);
});

test('the name behind a CNAME counts (RFC 5321 5.1)', async () => {
  expect((await names('cnamed.test'))[0]).toBe('a.five.test');
});

test('a top-level domain can have mail', async () => {
  expect(await names('museum')).toEqual(['implicit.test']);
});

describe('addresses', () => {
  test('of both families take turns, IPv6 first', async () => {
    expect(await ask('dual.test')).toMatchObject({
      hosts: [{ addresses: ['2001:db8::1', '192.0.2.1', '192.0.2.2', '192.0.2.3'] }],
    });
  });
  test('of IPv4 only, where we have no IPv6', async () => {
    expect(await ask('dual.test', { families: 'ipv4' })).toMatchObject({
      hosts: [{ addresses: ['192.0.2.1', '192.0.2.2', '192.0.2.3'] }],
    });
  });
  test('hosts without any are left out', async () => {
    expect(await names('partly.test')).toEqual(['implicit.test']);
  });
  test('none at all', async () => {
    expect(await ask('nohost.test')).toEqual({
      is: 'no-address',
      names: ['gone.nohost.test', 'text.nohost.test'],
    });
    expect(await names('bare.test')).toEqual(['no-address']);
  });
  test('that cannot be found for now are no reason to give up', async () => {
    await expect(ask('unsure.test')).rejects.toBeInstanceOf(DnsTemporaryError);
    expect(await names('unsure2.test')).toEqual(['implicit.test']);
    expect(await ask('noaaaa.test')).toMatchObject({ hosts: [{ addresses: ['127.0.0.9'] }] });
  });
});

test('a DNS failure is not "no MX"', async () => {
  await expect(ask('broken.test')).rejects.toBeInstanceOf(DnsTemporaryError);
});

test('a zone with fifty MX gets ten of them looked up', async () => {
  expect((await names('many.test')).length).toBe(10);
});

test.each([
  ['[127.0.0.2]', '127.0.0.2'],
  ['[ipv6:2001:db8::2]', '2001:db8::2'],
])('the address literal %s is its own host (RFC 5321 4.1.3)', async (literal, address) => {
  expect(await ask(literal)).toMatchObject({ hosts: [{ name: literal, addresses: [address] }] });
});

describe('we among the hosts (RFC 5321 5.1)', () => {
  const known = (name: string, address: string): Partial<MailHostsOptions> => ({
    self: { names: new Set([name]), addresses: new Set([address]) },
  });
  test('by name: only better hosts stay', async () => {
    expect(await names('five.test', known('c.five.test', 'x'))).toEqual(['a.five.test']);
  });
  test('by address: only better hosts stay', async () => {
    expect(await names('five.test', known('x', '127.0.1.1'))).toEqual(['a.five.test']);
  });
  test('as the best one: a loop', async () => {
    expect(await ask('five.test', known('a.five.test', 'x'))).toEqual({ is: 'loop', host: 'a.five.test' });
    expect(await ask('implicit.test', known('x', '127.0.0.2'))).toEqual({
      is: 'loop',
      host: 'implicit.test',
    });
    expect(await ask('[127.0.0.2]', known('x', '127.0.0.2'))).toEqual({ is: 'loop', host: '[127.0.0.2]' });
  });
});
