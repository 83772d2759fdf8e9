import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ImapBad, ImapNo } from '../../src/imap/errors.ts';
import { LiteralAhead, Parser } from '../../src/imap/parser.ts';

const parser = (text: string, utf8 = false): Parser =>
  new Parser({ bytes: Buffer.from(text, 'latin1') }, { utf8 });

type Read = (p: Parser) => unknown;

const RULES = {
  tag: (p) => p.tag(),
  atom: (p) => p.atom(),
  astring: (p) => p.astring().toString('latin1'),
  string: (p) => p.string().toString('latin1'),
  nstring: (p) => p.nstring()?.toString('latin1') ?? null,
  mailbox: (p) => p.mailbox(),
  listMailbox: (p) => p.listMailbox(),
  number: (p) => p.number(),
  nzNumber: (p) => p.nzNumber(),
  number64: (p) => p.number64(),
  set: (p) => p.sequenceSet().ranges,
  uidSet: (p) => p.uidSet().ranges,
  flag: (p) => p.flag(),
  flagList: (p) => p.flagList(),
  date: (p) => new Date(p.date()).toISOString(),
  dateTime: (p) => new Date(p.dateTime()).toISOString(),
  list: (p) => p.list((item) => item.atom()),
} satisfies Record<string, Read>;

type Rule = keyof typeof RULES;

function readAll(rule: Rule, text: string, utf8 = false): unknown {
  const p = parser(text, utf8);
  const value = RULES[rule](p);
  p.end();
  return value;
}

const range = (first: number | '*', last: number | '*' = first) => ({ first, last });

describe('what the formal syntax allows (RFC 9051 9)', () => {
  test.each<[Rule, string, unknown]>([
    ['tag', 'a]1', 'a]1'],
    ['atom', 'INBOX.a[b', 'INBOX.a[b'],
    ['astring', 'a]b', 'a]b'],
    ['astring', '"a \\"b\\\\"', 'a "b\\'],
    ['astring', '""', ''],
    ['astring', '{3}\r\na"\r', 'a"\r'],
    ['astring', '{3+}\r\nabc', 'abc'],
    ['string', '~{2+}\r\n\0\n', '\0\n'],
    ['nstring', 'nil', null],
    ['nstring', '"NIL"', 'NIL'],
    ['mailbox', 'inBox', 'INBOX'],
    ['mailbox', '"iNbOx/sub"', 'INBOX/sub'],
    ['mailbox', 'inboxes', 'inboxes'],
    ['mailbox', '&AMk-t&AOk-', 'Été'],
    ['mailbox', '"a &- b"', 'a & b'],
    ['mailbox', '"\xc3\x89t\xc3\xa9"', 'Été'],
    ['listMailbox', '%/*', '%/*'],
    ['listMailbox', '"&AMk-%"', 'É%'],
    ['number', '4294967295', 4294967295],
    ['number64', '9223372036854775807', Number.MAX_SAFE_INTEGER],
    ['set', '1', [range(1)]],
    ['set', '2,4:7,9,12:*', [range(2), range(4, 7), range(9), range(12, '*')]],
    ['set', '*:4,5:7', [range('*', 4), range(5, 7)]],
    ['set', '$', '$'],
    ['flag', '\\SEEN', '\\Seen'],
    ['flag', '$Forwarded', '$Forwarded'],
    ['flagList', '()', []],
    ['flagList', '(\\deleted kw)', ['\\Deleted', 'kw']],
    ['date', '1-Feb-1994', '1994-02-01T00:00:00.000Z'],
    ['date', '"29-feb-2024"', '2024-02-29T00:00:00.000Z'],
    ['date', '01-Jan-0099', '0099-01-01T00:00:00.000Z'],
    ['dateTime', '"17-Jul-1996 02:44:25 -0700"', '1996-07-17T09:44:25.000Z'],
    ['dateTime', '" 1-Mar-2024 10:00:00 +0130"', '2024-03-01T08:30:00.000Z'],
    ['list', '(a b c)', ['a', 'b', 'c']],
  ])('%s %j', (rule, text, value) => {
    expect(readAll(rule, text)).toEqual(value);
  });
});

describe('what it does not is BAD, at the offending byte', () => {
  test.each<[Rule, string, number]>([
    ['tag', 'a+', 1],
    ['tag', '', 0],
    ['atom', '(', 0],
    ['atom', 'a"', 1],
    ['atom', 'a]', 1],
    ['astring', 'caf\xe9', 3],
    ['astring', '"abc', 0],
    ['astring', '"a\\bc"', 3],
    ['astring', '"a\0"', 2],
    ['astring', '{3}\r\nab', 0],
    ['astring', '{3}ab', 3],
    ['astring', '{x}', 0],
    ['string', 'abc', 0],
    ['mailbox', '"\xe9"', 3],
    ['listMailbox', '(', 0],
    ['number', '4294967296', 0],
    ['number', '-1', 0],
    ['nzNumber', '0', 0],
    ['number64', '99999999999999999999', 0],
    ['set', '0', 0],
    ['set', '1:', 2],
    ['set', '1,', 2],
    ['set', '1,,2', 2],
    ['set', '1:2:3', 3],
    ['set', '4294967296', 0],
    ['uidSet', '1:*', 0],
    ['uidSet', '$', 0],
    ['flag', '\\Recent', 0],
    ['flag', '\\Nonsense', 0],
    ['flagList', '(\\Seen', 6],
    ['date', '31-Feb-2024', 0],
    ['date', '1-Foo-2024', 0],
    ['date', '"1-Feb-2024', 11],
    ['dateTime', '"17-Jul-1996 25:44:25 -0700"', 0],
    ['dateTime', '"1-Jul-1996 02:44:25 -0700"', 0],
    ['list', '()', 1],
    ['list', '(a  b)', 3],
  ])('%s %j at %i', (rule, text, at) => {
    let error: unknown;
    try {
      readAll(rule, text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(ImapBad);
    expect((error as ImapBad).at).toBe(at);
  });
});

test('quoted strings are UTF-8 once that is enabled, and must be (RFC 6855 3)', () => {
  expect(readAll('mailbox', '"\xc3\x89"', true)).toBe('É');
  expect(readAll('mailbox', '&AMk-', true)).toBe('&AMk-');
  expect(() => readAll('astring', '"\xe9"', true)).toThrow(ImapBad);
});

test('names that no mailbox has are NO [CANNOT] (RFC 3501 5.1.3, RFC 5198 2)', () => {
  for (const name of ['&', '&AGE-', '&Jjo!', '"a&b-c"', '"\x7f"', `"${'x'.repeat(1025)}"`])
    expect(() => readAll('mailbox', name), name).toThrow(
      expect.objectContaining({ name: 'ImapNo', code: 'CANNOT' }),
    );
});

test('a literal that is announced but not read yet is told apart', () => {
  expect(() => readAll('mailbox', '{5}')).toThrow(LiteralAhead);
  expect(() => readAll('mailbox', '{5+}')).toThrow(LiteralAhead);
});

test('nothing is thrown but ImapBad and ImapNo, whatever the bytes', () => {
  const rules = fc.constantFrom(...(Object.keys(RULES) as Rule[]));
  const grammar = fc.array(
    fc.oneof(
      fc.constantFrom(
        '(',
        ')',
        '"',
        '\\',
        '{',
        '}',
        '{3}\r\n',
        '~',
        ' ',
        '*',
        ':',
        ',',
        '%',
        '&',
        '-',
        '1',
        'a',
      ),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
  );
  fc.assert(
    fc.property(rules, grammar, fc.boolean(), (rule, parts, utf8) => {
      try {
        readAll(rule, parts.join(''), utf8);
      } catch (error) {
        if (!(error instanceof ImapBad || error instanceof ImapNo)) throw error;
        if (error instanceof ImapBad) expect(error.at).toBeLessThanOrEqual(parts.join('').length);
      }
    }),
    { numRuns: 2000 },
  );
});
