import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Tree, threadText } from '../../src/imap/thread-text.ts';
import type { Uid } from '../../src/store/store.ts';
import { type Client, ImapWorld } from './world.ts';

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  // UIDs 2 to 6 are messages 1 to 5.
  const id = await world.fill('INBOX', [
    'Subject: gone\n\n',
    'From: Zoe <zz@example.org>\nTo: m@example.org\nSubject: lunch\nDate: Thu, 3 Jan 2026 10:00:00 +0000\nMessage-ID: <1@x>\n\n1\n',
    'From: "adam" <carl@example.org>\nTo: Lists <a@example.org>\nSubject: Re: lunch\nDate: Thu, 2 Jan 2026 10:00:00 +0000\nMessage-ID: <2@x>\nReferences: <1@x>\n\n22\n',
    'From: bea@example.org\nSubject: [list] Agenda\nDate: Thu, 1 Jan 2026 12:00:00 +0500\nMessage-ID: <3@x>\n\n333\n',
    'From: =?utf-8?q?=C3=84nne?= <dora@example.org>\nSubject: RE: [list] agenda (fwd)\nDate: Thu, 1 Jan 2026 11:00:00 +0000\nMessage-ID: <4@x>\nIn-Reply-To: <nobody-has-it@x>\n\n4444\n',
    'From: bea@example.org\nSubject: Re: lunch\nDate: Thu, 4 Jan 2026 10:00:00 +0000\nMessage-ID: <5@x>\nReferences: <1@x> <2@x>\n\n5\n',
  ]);
  await (await world.account()).expunge(id, [1 as Uid]);
  client = await world.login('INBOX');
});
afterAll(() => world.close());

async function answer(command: string, name: string): Promise<string> {
  const untagged = await client.ok(command);
  return untagged.find((line) => line.startsWith(name)) ?? 'nothing';
}

describe('SORT (RFC 5256 3)', () => {
  test.each([
    ['SORT (DATE) UTF-8 ALL', 'SORT 3 4 2 1 5'],
    ['SORT (REVERSE DATE) UTF-8 ALL', 'SORT 5 1 2 4 3'],
    ['UID SORT (DATE) US-ASCII ALL', 'SORT 4 5 3 2 6'],
    ['SORT (SUBJECT) UTF-8 ALL', 'SORT 3 4 1 2 5'],
    ['SORT (SUBJECT REVERSE DATE) UTF-8 ALL', 'SORT 4 3 5 1 2'],
    ['SORT (FROM) UTF-8 ALL', 'SORT 3 5 2 4 1'],
    ['SORT (REVERSE FROM ARRIVAL) UTF-8 ALL', 'SORT 1 4 2 3 5'],
    ['SORT (DISPLAYFROM) UTF-8 ALL', 'SORT 2 4 3 5 1'],
    ['SORT (TO) UTF-8 1:2', 'SORT 2 1'],
    ['SORT (DISPLAYTO) UTF-8 1:2', 'SORT 2 1'],
    ['SORT (CC SIZE) UTF-8 1,3', 'SORT 3 1'],
    ['sort (reverse size) utf-8 subject lunch', 'SORT 2 5 1'],
    ['SORT (SUBJECT) US-ASCII TEXT "not in mailbox"', 'SORT'],
  ])('%s', async (command, expected) => {
    expect(await answer(command, 'SORT')).toBe(expected);
  });

  test.each([
    ['SORT () UTF-8 ALL', /^BAD/],
    ['SORT (WEIGHT) UTF-8 ALL', /^BAD/],
    ['SORT (REVERSE) UTF-8 ALL', /^BAD/],
    ['SORT (DATE) ALL', /^BAD/],
    [`SORT (${'DATE '.repeat(30)}DATE) UTF-8 ALL`, /^BAD/],
    ['SORT (DATE) X-KLINGON ALL', /^NO \[BADCHARSET/],
  ])('%s is refused', async (command, expected) => {
    expect(await client.tagged(command)).toMatch(expected);
  });
});

describe('THREAD (RFC 5256 3)', () => {
  test.each([
    ['THREAD REFERENCES UTF-8 ALL', 'THREAD (3 4)(1 2 5)'],
    ['UID THREAD REFERENCES UTF-8 ALL', 'THREAD (4 5)(2 3 6)'],
    ['THREAD REFS UTF-8 ALL', 'THREAD (3)(4)(1 2 5)'],
    ['THREAD ORDEREDSUBJECT UTF-8 ALL', 'THREAD (3 4)(2 (1)(5))'],
    ['THREAD REFERENCES UTF-8 2:5', 'THREAD (3 4)(2 5)'],
    ['THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"', 'THREAD'],
  ])('%s', async (command, expected) => {
    expect(await answer(command, 'THREAD')).toBe(expected);
  });

  test.each([
    ['THREAD JWZ UTF-8 ALL', /^BAD/],
    ['THREAD REFERENCES ALL', /^BAD/],
    ['THREAD REFERENCES X-KLINGON ALL', /^NO \[BADCHARSET/],
  ])('%s is refused', async (command, expected) => {
    expect(await client.tagged(command)).toMatch(expected);
  });
});

describe('how threads are written (RFC 5256 4)', () => {
  const tree = (...pairs: [number: number, level: number][]): Tree =>
    pairs.map(([number, level]) => ({ number, level }));

  test.each<[string, Tree[]]>([
    [
      '(2)(3 6 (4 23)(44 7 96))',
      [tree([2, 0]), tree([3, 0], [6, 1], [4, 2], [23, 3], [44, 2], [7, 3], [96, 4])],
    ],
    ['((3)(5))', [tree([0, 0], [3, 1], [5, 1])]],
    [
      '((170)(179))(188 (184)(189))(185 186)',
      [tree([0, 0], [170, 1], [179, 1]), tree([188, 0], [184, 1], [189, 1]), tree([185, 0], [186, 1])],
    ],
  ])('%s', (expected, trees) => {
    expect([...threadText(trees)].join('')).toBe(expected);
  });

  test('what the client does not know is left out, its children move up', () => {
    const shown = (...pairs: [number, number][]): string => [...threadText([tree(...pairs)])].join('');
    expect(shown([0, 0], [0, 1])).toBe('');
    expect(shown([0, 0], [3, 1], [0, 1])).toBe('(3)');
    expect(shown([1, 0], [0, 1], [2, 2], [3, 2])).toBe('(1 (2)(3))');
    expect(shown([0, 0], [0, 1], [2, 2], [3, 2])).toBe('((2)(3))');
  });

  test('every number once, parentheses in pairs, whatever the tree', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 40 }), (wishes) => {
        let level = -1;
        const any: Tree = wishes.map((wish, at) => {
          level = at === 0 ? 0 : Math.max(1, Math.min(wish, level + 1));
          return { number: at + 1, level };
        });
        const [text = ''] = threadText([any]);
        expect((text.match(/\d+/g) ?? []).map(Number)).toEqual(any.map(({ number }) => number));
        let open = 0;
        for (const character of text) {
          if (character === '(') open++;
          if (character === ')') open--;
          expect(open).toBeGreaterThanOrEqual(0);
        }
        expect(open).toBe(0);
        expect(text).not.toMatch(/\(\)|\( | \)|\d\(|\)\d/);
      }),
    );
  });
});
