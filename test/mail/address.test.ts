import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  asciiDomain,
  formatAddress,
  formatPath,
  needsSmtpUtf8,
  parseAddress,
  parseDomain,
} from '../../src/mail/address.ts';

describe('domains', () => {
  test.each([
    ['EXAMPLE.org', 'example.org'],
    ['museum', 'museum'],
    ['xn--bcher-kva.example', 'bücher.example'],
    ['BÜCHER.example', 'bücher.example'],
    ['bu\u0308cher.example', 'bücher.example'],
    ['_dmarc.example.org', '_dmarc.example.org'],
    ['XN--BCHER-KVA.example', 'bücher.example'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
  ])('%s is %s', (text, expected) => {
    expect(parseDomain(text)).toBe(expected);
  });

  test.each([
    '',
    '.',
    'a..b',
    '.example.org',
    'example.org.',
    '-a.example',
    'a-.example',
    'a b.example',
    'a\r\n.example',
    '192.0.2.1',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(130)}example`,
    'exa\u0000mple.org',
    'a/b.example',
  ])('%j is no domain', (text) => {
    expect(parseDomain(text)).toBeUndefined();
  });

  test('the A-label form is for DNS (RFC 5891)', () => {
    const domain = parseDomain('bücher.example');
    expect(domain && asciiDomain(domain)).toBe('xn--bcher-kva.example');
  });

  test('an address literal has no other form (RFC 5321 4.1.3)', () => {
    const address = parseAddress('a@[IPv6:2001:db8::1]');
    expect(address && asciiDomain(address.domain)).toBe('[ipv6:2001:db8::1]');
  });
});

describe('addresses', () => {
  test.each([
    ['alice@example.org', 'alice', 'example.org'],
    ['Alice+tag@EXAMPLE.org', 'Alice+tag', 'example.org'],
    ['"a@b"@EXAMPLE.org', 'a@b', 'example.org'],
    ['"félix le [chat]"@eu.org', 'félix le [chat]', 'eu.org'],
    [String.raw`"quo\"ted\\ "@example.org`, 'quo"ted\\ ', 'example.org'],
    ['用户@例子.example', '用户', '例子.example'],
    ['noc@museum', 'noc', 'museum'],
    ['a@[192.0.2.1]', 'a', '[192.0.2.1]'],
    ['a@[IPv6:2001:db8::1]', 'a', '[ipv6:2001:db8::1]'],
    ['user%remote.example@example.org', 'user%remote.example', 'example.org'],
    ['host!user@example.org', 'host!user', 'example.org'],
  ])('%s (RFC 5321 4.1.2)', (text, local, domain) => {
    expect(parseAddress(text)).toEqual({ local, domain });
  });

  test.each([
    '',
    '@example.org',
    'alice',
    'alice@',
    'a b@example.org',
    '.a@example.org',
    'a.@example.org',
    'a..b@example.org',
    '"open@example.org',
    '"a"b"@example.org',
    '"a\r\nb"@example.org',
    'a<b@example.org',
    'a@b@example.org',
    `${'a'.repeat(65)}@example.org`,
    'a@[300.1.1.1.1]',
    'a@[]',
  ])('%j is no address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test('what is printed is parsed back to the same', () => {
    const locals = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(locals, (local) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters have no place in an address.
        fc.pre(!/[\u0000-\u001f\u007f]/.test(local) && Buffer.byteLength(local) <= 64);
        const domain = parseDomain('example.org');
        if (!domain) throw new Error('unreachable');
        expect(parseAddress(formatAddress({ local, domain }))).toEqual({ local, domain });
      }),
    );
  });

  test('any text is an address or not, never an exception', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseAddress(text)));
  });

  test('the null reverse-path is <> (RFC 5321 4.5.5)', () => {
    expect(formatPath(null)).toBe('<>');
  });

  test('only the local part asks for SMTPUTF8', () => {
    const ascii = parseAddress('a@bücher.example');
    const utf8 = parseAddress('é@example.org');
    expect(ascii && needsSmtpUtf8(ascii)).toBe(false);
    expect(utf8 && needsSmtpUtf8(utf8)).toBe(true);
  });
});
