import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ThreadAlgorithm, type ThreadColumns, threads } from '../../src/message/threads.ts';

interface Mail {
  readonly id?: string | undefined;
  readonly refs?: string | undefined;
  readonly subject?: string;
  readonly date?: number;
}

/** Letters for Message-IDs; the answer as nested as THREAD writes it, with positions from 1. */
function shown(algorithm: ThreadAlgorithm, mails: readonly Mail[]): string {
  const { messages, levels } = threads(algorithm, columnsOf(mails));
  const parts: string[] = [];
  messages.forEach((message, at) => {
    parts.push(`${'.'.repeat(levels[at] ?? 0)}${message < 0 ? '?' : message + 1}`);
  });
  return parts.join(' ');
}

function columnsOf(mails: readonly Mail[]): ThreadColumns {
  const numbers = new Map<string, number>();
  const number = (name: string): number => {
    const known = numbers.get(name) ?? numbers.size + 1;
    numbers.set(name, known);
    return known;
  };
  return {
    nodes: mails.map(({ id }, at) => number(id ?? `none ${at}`)),
    dates: Float64Array.from(mails, ({ date }, at) => date ?? at),
    subjects: mails.map(({ subject = '' }) => {
      const base = subject.replace('Re: ', '');
      return base === '' ? 0 : number(`subject ${base}`) * (base === subject ? 1 : -1);
    }),
    references: mails.map(({ refs }) => refs?.split('').map((ref) => number(ref))),
  };
}

describe('REFERENCES (RFC 5256 3)', () => {
  test.each<[string, Mail[], string]>([
    ['a chain', [{ id: 'a' }, { id: 'b', refs: 'a' }, { id: 'c', refs: 'ab' }], '1 .2 ..3'],
    [
      'siblings by date',
      [{ id: 'a' }, { id: 'b', refs: 'a', date: 9 }, { id: 'c', refs: 'a', date: 8 }],
      '1 .3 .2',
    ],
    ['a missing parent of one', [{ id: 'b', refs: 'a' }], '1'],
    [
      'a missing parent of two',
      [
        { id: 'b', refs: 'a' },
        { id: 'c', refs: 'a' },
      ],
      '? .1 .2',
    ],
    ['a missing one in the midst', [{ id: 'a' }, { id: 'c', refs: 'ab' }], '1 .2'],
    [
      'missing ones above each other',
      [
        { id: 'c', refs: 'ab' },
        { id: 'd', refs: 'ab' },
        { id: 'e', refs: 'a' },
      ],
      '? .1 .2 .3',
    ],
    ['a truncated References', [{ id: 'a' }, { id: 'd', refs: 'abc' }, { id: 'c', refs: 'ab' }], '1 .3 ..2'],
    ['own references win', [{ id: 'c', refs: 'ab' }, { id: 'b', refs: 'x' }, { id: 'a' }], '2 .1 3'],
    [
      'a loop',
      [
        { id: 'a', refs: 'b' },
        { id: 'b', refs: 'a' },
      ],
      '2 .1',
    ],
    [
      'itself',
      [
        { id: 'a', refs: 'a' },
        { id: 'b', refs: 'bab' },
      ],
      '2 .1',
    ],
    ['the same Message-ID twice', [{ id: 'a' }, { id: 'a' }, { id: 'b', refs: 'a' }], '1 .3 2'],
    ['no Message-ID', [{}, {}], '1 2'],
    ['a reply by its subject', [{ subject: 'x' }, { subject: 'Re: x' }], '1 .2'],
    [
      'a reply that came first',
      [
        { subject: 'Re: x', date: 1 },
        { subject: 'x', date: 2 },
      ],
      '2 .1',
    ],
    ['two of one subject', [{ subject: 'x' }, { subject: 'x' }], '? .1 .2'],
    ['two replies without what they answer', [{ subject: 'Re: x' }, { subject: 'Re: x' }], '? .1 .2'],
    ['three of one subject', [{ subject: 'x' }, { subject: 'x' }, { subject: 'Re: x' }], '? .1 .2 .3'],
    ['no subject joins nothing', [{ subject: '' }, { subject: '' }], '1 2'],
    [
      'threads whose parents are missing join by subject',
      [
        { id: 'b', refs: 'a', subject: 'x' },
        { id: 'c', refs: 'a', subject: 'y' },
        { id: 'e', refs: 'd', subject: 'x' },
        { id: 'f', refs: 'd', subject: 'z' },
      ],
      '? .1 .2 .3 .4',
    ],
    [
      'a message joins a missing parent',
      [{ id: 'b', refs: 'a', subject: 'x' }, { id: 'c', refs: 'a' }, { subject: 'x' }],
      '? .1 .2 .3',
    ],
    [
      'threads by their first date',
      [
        { id: 'a', date: 5 },
        { id: 'b', date: 1 },
        { id: 'c', refs: 'a', date: 0 },
      ],
      '2 1 .3',
    ],
  ])('%s', (_, mails, expected) => {
    expect(shown('references', mails)).toBe(expected);
  });
});

test('REFS leaves subjects alone and sorts by the latest message', () => {
  const mails = [
    { id: 'a', subject: 'x' },
    { id: 'b', subject: 'x' },
    { id: 'c', refs: 'a' },
  ];
  expect(shown('refs', mails)).toBe('2 1 .3');
});

test('ORDEREDSUBJECT has no grandchildren (RFC 5256 3)', () => {
  const mails = ['x', 'y', 'Re: x', '', 'x', 'Re: y'].map((subject) => ({ subject }));
  expect(shown('orderedsubject', mails)).toBe('1 .3 .5 2 .6 4');
  expect(
    shown('orderedsubject', [
      { subject: 'x', date: 3 },
      { subject: 'y', date: 2 },
      { subject: 'x', date: 1 },
    ]),
  ).toBe('3 .1 2');
});

const mail = fc.record({
  id: fc.option(fc.constantFrom(...'abcdefgh'), { nil: undefined }),
  refs: fc.option(
    fc.array(fc.constantFrom(...'abcdefghij'), { minLength: 1, maxLength: 5 }).map((all) => all.join('')),
    { nil: undefined },
  ),
  subject: fc.constantFrom('', 'x', 'y', 'Re: x', 'Re: y', 'z'),
  date: fc.nat(5),
});

test.each<ThreadAlgorithm>(['references', 'refs', 'orderedsubject'])(
  '%s: every message once, a proper forest, whatever the mail',
  (algorithm) => {
    fc.assert(
      fc.property(fc.array(mail, { maxLength: 25 }), (mails) => {
        const { messages, levels } = threads(algorithm, columnsOf(mails));
        const real = [...messages].filter((message) => message >= 0);
        expect(real.sort((a, b) => a - b)).toEqual(mails.map((_, at) => at));
        let level = -1;
        messages.forEach((message, at) => {
          const next = levels[at] ?? -1;
          expect(next).toBeGreaterThanOrEqual(0);
          expect(next).toBeLessThanOrEqual(level + 1);
          if (message < 0) {
            expect(next).toBe(0);
            // It stands for at least two.
            expect([levels[at + 1], [...levels.subarray(at + 1)].slice(1).find((one) => one <= 1)]).toEqual([
              1, 1,
            ]);
          }
          level = next;
        });
      }),
      { numRuns: 1000 },
    );
  },
);

test('a hundred thousand replies in one chain, either way round, and hostile ones, take no stack and no square of time', () => {
  const count = 100_000;
  const nodes = Int32Array.from({ length: count }, (_, at) => at + 1);
  const dates = new Float64Array(count);
  const subjects = new Int32Array(count);
  const chained = (next: (at: number) => number[] | undefined): Threads =>
    threads('references', {
      nodes,
      dates,
      subjects,
      references: Array.from({ length: count }, (_, at) => next(at)),
    });
  const down = chained((at) => (at === 0 ? undefined : [at]));
  expect(Math.max(...down.levels.subarray(count - 1))).toBe(count - 1);
  const up = chained((at) => (at + 2 > count ? undefined : [at + 2]));
  expect(up.messages.length).toBe(count);
  // Each asks whether the end of a long chain is above its begin.
  const hostile = chained((at) =>
    at < count / 2 ? (at === 0 ? [count] : [at]) : [at - count / 2 + 1, 1, at],
  );
  expect([...hostile.messages].filter((message) => message >= 0).length).toBe(count);
});

type Threads = ReturnType<typeof threads>;
