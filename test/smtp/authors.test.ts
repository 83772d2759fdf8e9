import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddress } from '../../src/mail/address.ts';
import { authors } from '../../src/smtp/authors.ts';

const read = (...values: string[]): string[] | undefined => authors(values)?.map(formatAddress);

test.each([
  [' alice@example.org\r\n', ['alice@example.org']],
  [' Alice <alice@example.org>', ['alice@example.org']],
  [' "x <bob@example.org>" <alice@example.org>', ['alice@example.org']],
  [' "quo\\"ted, name" <alice@example.org>', ['alice@example.org']],
  [' (bob@example.org (nested) \\) ) alice@example.org', ['alice@example.org']],
  [' "a b"@example.org', ['"a b"@example.org']],
  [' <"a>b"@example.org>', ['"a>b"@example.org']],
  [' alice @ example.org', undefined],
  [' <alice@example.org\r\n >', ['alice@example.org']],
  [' <@relay.example,@other.example:alice@example.org>', ['alice@example.org']],
  [' a@example.org,b@example.org', ['a@example.org', 'b@example.org']],
  [' Smith, John <john@example.org>', ['john@example.org']],
  [' Us: a@example.org, B <b@example.org>;', ['a@example.org', 'b@example.org']],
  [' bob@example.org: alice@example.org;', ['bob@example.org', 'alice@example.org']],
  [' alice@example.org, (<bob@example.org>', undefined],
  [' <alice@example.org> "<bob@example.org>', undefined],
  [' <a@example.org> <b@example.org>', ['a@example.org', 'b@example.org']],
  [' <a@example.org>, <b@example.org', ['a@example.org', 'b@example.org']],
  [' bob@example.org <alice@example.org>', ['alice@example.org']],
  [' a@example.org b@example.org', undefined],
  [' <alice>', undefined],
  [' undisclosed:;', []],
  [' "never closed <alice@example.org>', undefined],
  [' f\xc3\xa9lix@example.org', ['f\u00e9lix@example.org']],
  ['', []],
])('%j', (value, expected) => {
  expect(read(value)).toEqual(expected);
});

test('several fields count together', () => {
  expect(read('a@example.org', 'b@example.org')).toEqual(['a@example.org', 'b@example.org']);
});

test('never throws', () => {
  const hostile = fc
    .array(fc.constantFrom('<', '>', '"', '(', ')', '\\', ',', ':', ';', '@', 'a', ' ', '.b', '\xff'))
    .map((parts) => parts.join(''));
  fc.assert(fc.property(hostile, (value) => void authors([value])));
});

test('a megabyte of openers takes one pass', () => {
  for (const opener of ['(', '"', '<', '<a', '"(', ',<'])
    expect(() => authors([opener.repeat(500_000)])).not.toThrow();
});
