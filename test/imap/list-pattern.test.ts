import { expect, test } from 'vitest';
import { listPattern } from '../../src/imap/list-pattern.ts';

test.each([
  ['*', 'a/b/c', true],
  ['%', 'a', true],
  ['%', 'a/b', false],
  ['a/%', 'a/b', true],
  ['a/%', 'a/b/c', false],
  ['a/%', 'a', false],
  ['a*', 'a', true],
  ['%/b', 'a/b', true],
  ['*%', 'a/b', true],
  ['%%', 'a/b', false],
  ['%/%', 'a/b', true],
  ['a%c*e', 'abc/d/e', true],
  ['a%c*e', 'a/c/e', false],
  ['inbox', 'INBOX', true],
  ['InB%', 'INBOX', true],
  ['INBOX', 'INBOX', true],
  ['inbox/%', 'INBOX/a', false],
  ['A', 'a', false],
  ['été', 'été', true],
  ['x.y', 'xzy', false],
])('%s %s: %s (RFC 9051 6.3.9)', (pattern, name, matches) => {
  expect(listPattern(pattern)(name)).toBe(matches);
});

test('a pattern of wildcards costs no more than its length times the name', () => {
  const name = 'a'.repeat(250);
  expect(listPattern(`${'*a'.repeat(200)}b`)(name)).toBe(false);
  expect(listPattern(`${'%a'.repeat(200)}*`)(name)).toBe(true);
});
