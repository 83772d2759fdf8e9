import { expect, test } from 'vitest';
import { asciiCasemap, octet, unicodeCasemap } from '../../src/sieve/match/comparators.ts';
import { contains, is, matches } from '../../src/sieve/match/matcher.ts';
import type { Run } from '../../src/sieve/run.ts';

/** Match types against plain definitions of them. */

function runOf(): Run & { values: readonly string[] } {
  const run = {
    values: [] as readonly string[],
    charge() {},
    setMatchValues(values: readonly string[]) {
      run.values = values;
    },
  };
  return run as unknown as Run & { values: readonly string[] };
}

/** RFC 5228 2.7.1, RFC 5229 3.2: each wildcard takes as little as it can. */
function plainly(value: string, pattern: string): string[] | undefined {
  const source = pattern.replace(/\\(.)|\*|\?|[\s\S]/gu, (token: string, quoted?: string) => {
    if (quoted !== undefined) return escaped(quoted);
    if (token === '*') return '([\\s\\S]*?)';
    return token === '?' ? '([\\s\\S])' : escaped(token);
  });
  return new RegExp(`^${source}$`, 'u').exec(value)?.slice();
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
}

test('wildcards: with stars alone, and with question marks', () => {
  let seed = 7;
  const roll = (n: number): number => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * n);
  };
  const text = (letters: string, length: number): string =>
    Array.from({ length: roll(length) }, () => [...letters][roll([...letters].length)]).join('');
  let matched = 0;
  for (let i = 0; i < 20_000; i++) {
    const value = text('aab🦊', 9);
    const pattern = text(i % 2 ? 'aab*🦊' : 'aab*?*', 7);
    for (const comparator of [octet, { ...octet, keepsPlaces: false }]) {
      const run = runOf();
      const expected = plainly(value, pattern);
      expect(matches.matches([value], [pattern], comparator, run), `${value} ${pattern}`).toBe(
        expected !== undefined,
      );
      if (!expected) continue;
      matched++;
      expect(run.values, `${value} ${pattern}`).toEqual(expected);
    }
  }
  expect(matched).toBeGreaterThan(1000);
});

test('what a backslash quotes is meant as it is', () => {
  const found = (value: string, pattern: string): unknown =>
    matches.matches([value], [pattern], asciiCasemap, runOf());
  expect(found('a*b', 'A\\*b')).toBe(true);
  expect(found('axb', 'a\\*b')).toBe(false);
  expect(found('a?b', 'a\\?b')).toBe(true);
  expect(found('a\\', 'a\\')).toBe(true);
});

test('comparators', () => {
  const run = runOf();
  expect(is.matches(['Grüße'], ['GRÜSSE'], asciiCasemap, run)).toBe(false);
  expect(is.matches(['Grüße'], ['GRüßE'], asciiCasemap, run)).toBe(true);
  expect(is.matches(['Grüße'], ['GRÜßE'], unicodeCasemap, run)).toBe(true);
  expect(is.matches(['a'], ['A'], octet, run)).toBe(false);
  expect(contains.matches(['x', 'ein Grüß Gott'], ['nein', 'GRüß'], asciiCasemap, run)).toBe(true);
  expect(contains.matches([], [''], asciiCasemap, run)).toBe(false);
  expect(contains.matches([''], [''], asciiCasemap, run)).toBe(true);
});
