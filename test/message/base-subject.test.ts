import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { baseSubject } from '../../src/message/base-subject.ts';

describe('base subject (RFC 5256 2.1)', () => {
  test.each<[string, string, 'original' | 'reply']>([
    ['lunch', 'lunch', 'original'],
    ['Re: lunch', 'lunch', 'reply'],
    ['RE:  re : FW: Fwd: lunch', 'lunch', 'reply'],
    ['Re[2]: lunch', 'lunch', 'reply'],
    ['Re [2] : lunch', 'lunch', 'reply'],
    ['[list] lunch', 'lunch', 'original'],
    ['[list][other] lunch', 'lunch', 'original'],
    ['[list] Re: [list] lunch', 'lunch', 'reply'],
    ['[only]', '[only]', 'original'],
    ['[a] [only]', '[only]', 'original'],
    ['Re: [only]', '[only]', 'reply'],
    ['lunch (fwd)', 'lunch', 'reply'],
    ['lunch (fwd) (FWD)  ', 'lunch', 'reply'],
    ['[Fwd: lunch]', 'lunch', 'reply'],
    ['[fwd: Re: [x] lunch (fwd)]', 'lunch', 'reply'],
    ['  two \t\r\n words ', 'two words', 'original'],
    ['Re:', '', 'reply'],
    ['', '', 'original'],
    ['(fwd)', '', 'reply'],
    ['Regarding lunch', 'Regarding lunch', 'original'],
    ['Re lunch', 'Re lunch', 'original'],
    ['[un]closed [x', 'closed [x', 'original'],
    ['Forward: lunch', 'Forward: lunch', 'original'],
  ])('%j', (subject, text, kind) => {
    expect(baseSubject(subject)).toEqual({ text, kind });
  });

  test('of a base subject it is the same again', () => {
    const piece = fc.constantFrom(
      're:',
      'Fwd: ',
      '[x]',
      '[fwd: ',
      ']',
      '(fwd)',
      ' ',
      'lunch',
      '[',
      're[',
      ':',
      '\t',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const { text } = baseSubject(pieces.join(''));
        expect(baseSubject(text)).toEqual({ text, kind: 'original' });
      }),
    );
  });

  test('anything of any size takes its length of time', () => {
    for (const piece of ['[a]', 're:', '(fwd)', '[fwd:', '[', 're[a]', ' '])
      expect(baseSubject(piece.repeat(200_000)).text.length).toBeLessThanOrEqual(2000);
  });
});
