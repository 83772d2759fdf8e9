import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSet, normalise } from '../../src/imap/sequence-set.ts';

test.each([
  [[], ''],
  [[7], '7'],
  [[1, 2, 3, 5], '1:3,5'],
  [[304, 319, 320], '304,319:320'],
  // COPYUID: the order is the message, backwards it stays (RFC 9051 7.1).
  [[5, 4, 3], '5,4,3'],
])('%j is written %s', (numbers, text) => {
  expect(formatSet(numbers)).toBe(text);
});

test('ranges may be written backwards, overlap, and end in * (RFC 9051 9, seq-range)', () => {
  const ranges = [
    { first: 9, last: 7 },
    { first: '*', last: 4 },
    { first: 1, last: 1 },
    { first: 2, last: 3 },
  ] as const;
  expect(normalise(ranges, 5)).toEqual([
    { first: 1, last: 5 },
    { first: 7, last: 9 },
  ]);
});

test('559:* is the last message where there are fewer (RFC 9051 9, sequence-set)', () => {
  expect(normalise([{ first: 559, last: '*' }], 20)).toEqual([{ first: 20, last: 559 }]);
});

test('normalised ranges hold the same numbers, ascending, apart', () => {
  const number = fc.integer({ min: 1, max: 30 });
  fc.assert(
    fc.property(fc.array(fc.tuple(number, number), { minLength: 1 }), (pairs) => {
      const wanted = new Set<number>();
      for (const [a, b] of pairs) for (let n = Math.min(a, b); n <= Math.max(a, b); n++) wanted.add(n);
      const ranges = normalise(
        pairs.map(([first, last]) => ({ first, last })),
        30,
      );
      const held: number[] = [];
      for (const { first, last } of ranges) for (let n = first; n <= last; n++) held.push(n);
      expect(held).toEqual([...wanted].sort((a, b) => a - b));
      ranges.slice(1).forEach((range, i) => {
        expect(range.first).toBeGreaterThan((ranges[i]?.last ?? 0) + 1);
      });
    }),
  );
});
