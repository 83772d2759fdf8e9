import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fold } from '../../src/message/fold.ts';
import {
  addWords,
  type Condition,
  type Wanted,
  type WordStyle,
  wantedWords,
} from '../../src/message/words.ts';

function wordsOf(text: string, style: WordStyle = 'text'): string[] {
  const words = new Set<string>();
  addWords(fold(text), style, words);
  return [...words];
}

function fulfils(words: readonly string[], { conditions }: Wanted): boolean {
  const meets = (condition: Condition): boolean =>
    words.some((word) => {
      if (condition.is === 'word') return word === condition.word;
      if (condition.of === 'begin') return word.startsWith(condition.text);
      return condition.of === 'end' ? word.endsWith(condition.text) : word.includes(condition.text);
    });
  return conditions.every(meets);
}

describe('words', () => {
  test.each<[string, WordStyle, string[]]>([
    ['Hello, wörld! x_y', 'text', ['HELLO', 'WO\u0308RLD', 'X', 'Y']],
    ['会议室 ok', 'text', ['会议', '议室', 'OK']],
    ['会', 'text', ['会']],
    ['a漢b', 'text', ['A', '漢', 'B']],
    ['🎉🎊€', 'text', ['🎉', '🎊', '€']],
    ['Ann <ann@example.org>, "Bob"', 'address', ['ANN', 'ANN@EXAMPLE.ORG', 'BOB']],
    ['', 'text', []],
    ['\ud800 x\udc00', 'text', ['X']],
  ])('%s', (text, style, expected) => {
    expect(wordsOf(text, style)).toEqual(expected);
  });

  test('a long run is cut so that what is not longer than half a piece lies in one', () => {
    const run = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.repeat(10);
    const words = wordsOf(run);
    for (let at = 0; at + 32 <= run.length; at++)
      expect(words.some((word) => word.includes(run.slice(at, at + 32)))).toBe(true);
    expect(Math.max(...words.map(({ length }) => length))).toBe(64);
  });
});

describe('what a text must have (as the search of the index asks)', () => {
  const part = fc.constantFrom(
    'a',
    'B',
    'foo',
    'bar',
    '漢',
    '字',
    '会议',
    'が',
    '🎉',
    ' ',
    '.',
    '@',
    '\n',
    'é',
    '\u{20000}',
    'x'.repeat(40),
  );
  const text = fc.array(part, { minLength: 1, maxLength: 12 }).map((parts) => parts.join(''));

  test.each<WordStyle>(['text', 'address'])(
    '%s: nothing that contains the needle is missed; a proof is one',
    (style) => {
      fc.assert(
        fc.property(
          text,
          fc.oneof(
            text,
            fc.tuple(text, fc.nat(9), fc.nat(9)).map(([all, from, size]) => all.slice(from, from + size)),
          ),
          (all, some) => {
            const needle = fold(some);
            fc.pre(needle !== '');
            const wanted = wantedWords(needle, style);
            const isThere = fold(all).includes(needle);
            const isFound = fulfils(wordsOf(all, style), wanted);
            if (isThere) expect(isFound).toBe(true);
            if (wanted.proves === 'yes') expect(isFound).toBe(isThere);
          },
        ),
        { numRuns: 3000 },
      );
    },
  );

  test('parts of a text are found in it', () => {
    fc.assert(
      fc.property(text, fc.nat(20), fc.integer({ min: 1, max: 20 }), (all, from, size) => {
        const folded = fold(all);
        const needle = folded.slice(from, from + size);
        fc.pre(needle !== '');
        expect(fulfils(wordsOf(all), wantedWords(needle, 'text'))).toBe(true);
      }),
      { numRuns: 3000 },
    );
  });
});
