import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/mail/address.ts';
import {
  addressLiteral,
  deliveredToField,
  formatDate,
  type Hop,
  protocolKeyword,
  receivedField,
  returnPathField,
} from '../../src/mail/trace.ts';

const alice = parseAddress('alice@example.org') ?? null;
const hop: Hop = {
  from: { helo: 'client.example.net', ip: '192.0.2.1' },
  by: 'mx.example.org',
  protocol: { base: 'ESMTP', tls: false, authenticated: false, smtputf8: false },
  tls: null,
  id: 'Q1',
  for: alice,
  at: new Date('2026-11-22T13:00:00Z'),
};

test('Received (RFC 5321 4.4)', () => {
  expect(receivedField(hop)).toBe(
    'Received: from client.example.net ([192.0.2.1])\r\n\tby mx.example.org with ESMTP\r\n' +
      '\tid Q1\r\n\tfor <alice@example.org>; Sun, 22 Nov 2026 13:00:00 +0000\r\n',
  );
});

test('TLS is named in a comment; a hidden client is not named at all', () => {
  const field = receivedField({
    ...hop,
    from: null,
    for: null,
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    protocol: { base: 'ESMTP', tls: true, authenticated: true, smtputf8: false },
  });
  expect(field).toBe(
    'Received: from authenticated-client\r\n\tby mx.example.org with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n' +
      '\tid Q1; Sun, 22 Nov 2026 13:00:00 +0000\r\n',
  );
});

describe('with (RFC 3848, RFC 6531 4.3)', () => {
  test.each([
    ['SMTP', false, false, false, 'SMTP'],
    ['ESMTP', false, false, false, 'ESMTP'],
    ['ESMTP', true, false, false, 'ESMTPS'],
    ['ESMTP', false, true, false, 'ESMTPA'],
    ['ESMTP', true, true, false, 'ESMTPSA'],
    ['LMTP', false, false, false, 'LMTP'],
    ['LMTP', true, true, false, 'LMTPSA'],
    ['ESMTP', false, false, true, 'UTF8SMTP'],
    ['ESMTP', true, true, true, 'UTF8SMTPSA'],
    ['LMTP', true, false, true, 'UTF8LMTPS'],
    ['SMTP', true, false, false, 'ESMTPS'],
  ] as const)('%s tls=%s auth=%s utf8=%s: %s', (base, tls, authenticated, smtputf8, keyword) => {
    expect(protocolKeyword({ base, tls, authenticated, smtputf8 })).toBe(keyword);
  });
});

test.each([
  ['mx.example.net', 'mx.example.net ([192.0.2.1])'],
  ['[192.0.2.9]', '[192.0.2.9] ([192.0.2.1])'],
  ['[IPv6:2001:db8::1]', '[IPv6:2001:db8::1] ([192.0.2.1])'],
  ['m\u00fcller.example', 'm\u00fcller.example ([192.0.2.1])'],
  ['', '[192.0.2.1] ([192.0.2.1])'],
  ['a b', '[192.0.2.1] ([192.0.2.1])'],
  ['x;by', '[192.0.2.1] ([192.0.2.1])'],
  ['x)(y', '[192.0.2.1] ([192.0.2.1])'],
  ['a'.repeat(256), '[192.0.2.1] ([192.0.2.1])'],
])('HELO %j', (helo, from) => {
  expect(receivedField({ ...hop, from: { helo, ip: '192.0.2.1' } })).toMatch(`Received: from ${from}\r\n`);
});

test('no HELO can break out of its clause', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (helo) => {
      const field = receivedField({ ...hop, from: { helo, ip: '2001:db8::1' } });
      const lines = field.split('\r\n');
      expect(lines.length).toBe(5);
      expect(lines[0]).toMatch(/^Received: from [^\s();<>]+ \(\[IPv6:2001:db8::1\]\)$/);
    }),
  );
});

test('the fields of final delivery', () => {
  expect(returnPathField(null)).toBe('Return-Path: <>\r\n');
  expect(returnPathField(parseAddress('"a b"@example.net') ?? null)).toBe(
    'Return-Path: <"a b"@example.net>\r\n',
  );
  expect(deliveredToField('alice@example.org')).toBe('Delivered-To: alice@example.org\r\n');
});

test('dates (RFC 5322 3.3) and literals (RFC 5321 4.1.3)', () => {
  expect(formatDate(new Date('2026-01-02T03:04:05Z'))).toBe('Fri, 02 Jan 2026 03:04:05 +0000');
  expect(addressLiteral('192.0.2.1')).toBe('[192.0.2.1]');
  expect(addressLiteral('2001:db8::1')).toBe('[IPv6:2001:db8::1]');
});
