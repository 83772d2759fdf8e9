import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ancestors, MAX_REFERENCES, messageIds } from '../../src/message/message-ids.ts';

describe('Message IDs (RFC 5256 3)', () => {
  test.each<[string, string[]]>([
    ['<a@b>', ['a@b']],
    ['<a@b> <c@d>\t<e@f>', ['a@b', 'c@d', 'e@f']],
    ['<a@b><c@d>', ['a@b', 'c@d']],
    ['<"01KF8JCEOCBS0045PS"@xxx.yyy.com>', ['01KF8JCEOCBS0045PS@xxx.yyy.com']],
    ['<"a\\"b"@c>', ['a"b@c']],
    ['<a@b> <A@B> <a@b>', ['a@b', 'A@B']],
    ['Your message of <Mon, 1 Jan> <a@b>', ['a@b']],
    ['<<a@b>>', ['a@b']],
    ['<no-at-sign>', ['no-at-sign']],
    ['<> < > <a@b', []],
    ['a@b', []],
  ])('%s', (value, expected) => {
    expect(messageIds(value)).toEqual(expected);
  });

  test('References count, and only without them the first of In-Reply-To', () => {
    expect(ancestors(['<a@b> <c@d>'], ['<e@f>'])).toEqual(['a@b', 'c@d']);
    expect(ancestors(['nothing'], ['<e@f> <g@h>'])).toEqual(['e@f']);
    expect(ancestors([], [])).toEqual([]);
  });

  test('the first and the last ones of very many stay', () => {
    const ids = messageIds(Array.from({ length: 50_000 }, (_, at) => `<${at}@x>`).join(' '));
    expect(ids.length).toBe(MAX_REFERENCES);
    expect([ids[0], ids[1], ids.at(-1)]).toEqual(['0@x', '49901@x', '49999@x']);
  });

  test('never throws, whatever stands there', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('<', '>', '"', '\\', '@', 'a', ' ', ',')), (pieces) => {
        for (const id of messageIds(pieces.join(''))) expect(id).not.toMatch(/[\s<>]/);
      }),
    );
    for (const piece of ['<', '<"', '<a@b>', '<"\\'])
      expect(messageIds(piece.repeat(300_000)).length).toBeLessThanOrEqual(1);
  });
});
