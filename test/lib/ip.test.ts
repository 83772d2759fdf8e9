import fc from 'fast-check';
import { expect, test } from 'vitest';
import { networks, normaliseIp, peerKey } from '../../src/lib/ip.ts';

test.each([
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:192.0.2.1', '192.0.2.1'],
  ['192.0.2.1', '192.0.2.1'],
  ['2001:DB8::1', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
])('%s is %s', (given, expected) => expect(normaliseIp(given)).toBe(expected));

test('networks contain their addresses, in IPv4-mapped form too', () => {
  const set = networks(['192.0.2.0/24', '198.51.100.7', '2001:db8::/32', '::1', '::ffff:203.0.113.0/120']);
  for (const ip of [
    '192.0.2.255',
    '::ffff:192.0.2.9',
    '198.51.100.7',
    '2001:db8:ffff::1',
    '::1',
    '203.0.113.77',
  ])
    expect(set.contains(ip), ip).toBe(true);
  for (const ip of ['192.0.3.0', '198.51.100.8', '2001:db9::1', '::2', '203.0.114.1', '', 'localhost'])
    expect(set.contains(ip), ip).toBe(false);
});

test('no networks contain nothing; all networks contain everything', () => {
  expect(networks([]).contains('127.0.0.1')).toBe(false);
  expect(networks(['0.0.0.0/0', '::/0']).contains('203.0.113.1')).toBe(true);
  expect(networks(['0.0.0.0/0', '::/0']).contains('2001:db8::1')).toBe(true);
});

test.each(['192.0.2.0/33', 'x/8', '::/129', '1.2.3.4/8/8', '1.2.3.4/-1', '1.2.3.4/'])(
  '%s is not a network',
  (item) => expect(() => networks([item])).toThrow(RangeError),
);

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:0:0:1::', '2001:db8:0:0::/64'],
  ['2001:db8::5:4:3:2:1', '2001:db8:0:5::/64'],
  ['2001:db8::4:5:6:192.0.2.1', '2001:db8:0:4::/64'],
])('limits take %s for %s', (ip, key) => expect(peerKey(ip)).toBe(key));

test('addresses of one IPv6 /64 have one key, whatever their lower half', () => {
  fc.assert(
    fc.property(fc.ipV6(), (ip) => {
      const once = peerKey(ip);
      expect(once).toMatch(/^[0-9a-f:]+::\/64$|^::\/64$/i);
    }),
  );
});
