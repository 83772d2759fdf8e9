import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Group, type Mailbox, parseAddressList } from '../../src/message/address-list.ts';

/** `name|route|local|domain`, `-` for null; groups as `name: members;`. */
function show(item: Mailbox | Group): string {
  if (item.is === 'group') return `${item.name}: ${item.members.map(show).join(', ')};`;
  return [item.name, item.route, item.local, item.domain].map((part) => part ?? '-').join('|');
}
const parse = (value: string): string[] => parseAddressList(value).map(show);

describe('RFC 5322 appendix A', () => {
  test.each<[string, string, string[]]>([
    ['A.1.1', 'John Doe <jdoe@machine.example>', ['John Doe|-|jdoe|machine.example']],
    ['A.1.2', '"Joe Q. Public" <john.q.public@example.com>', ['Joe Q. Public|-|john.q.public|example.com']],
    [
      'A.1.2, To',
      'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>',
      ['Mary Smith|-|mary|x.test', '-|-|jdoe|example.org', 'Who?|-|one|y.test'],
    ],
    [
      'A.1.2, Cc',
      '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
      ['-|-|boss|nil.test', 'Giant; "Big" Box|-|sysservices|example.net'],
    ],
    [
      'A.1.3',
      'A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;',
      ['A Group: Ed Jones|-|c|a.test, -|-|joe|where.test, John|-|jdoe|one.test;'],
    ],
    ['A.1.3, empty', 'Undisclosed recipients:;', ['Undisclosed recipients: ;']],
    [
      'A.5, comments and blanks',
      'Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>',
      ['Pete|-|pete|silly.test'],
    ],
    [
      'A.5, group with comments',
      "A Group(Some people)\r\n :Chris Jones <c@(Chris's host.)public.example>,\r\n  joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end of the group)",
      ['A Group: Chris Jones|-|c|public.example, -|-|joe|example.org, John|-|jdoe|one.test;'],
    ],
    ['A.6.1', 'Joe Q. Public <john.q.public@example.com>', ['Joe Q. Public|-|john.q.public|example.com']],
    [
      'A.6.1, route and empty elements',
      'Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example',
      ['Mary Smith|@node.test|mary|example.net', '-|-|jdoe|test.example'],
    ],
  ])('%s', (_, value, expected) => {
    expect(parse(value)).toEqual(expected);
  });
});

describe('as mail has it', () => {
  test.each<[string, string[]]>([
    ['', []],
    [' , ;', []],
    ['(nobody)', []],
    ['foo', ['-|-|foo|-']],
    ['foo bar', ['foo bar|-|-|-']],
    ['<>', ['-|-|-|-']],
    ['z@w (Name)', ['Name|-|z|w']],
    ['"quoted local"@x', ['-|-|quoted local|x']],
    ['a@[192.0.2.1]', ['-|-|a|[192.0.2.1]']],
    ['<@a,@b:c@d>', ['-|@a,@b|c|d']],
    ['foo <bar', ['foo|-|bar|-']],
    ['foo <bar, baz@x', ['foo|-|bar|-', '-|-|baz|x']],
    ['<a@b> Name', ['Name|-|a|b']],
    ['a@b <a@b>', ['a@b|-|a|b']],
    ['Name a@b', ['Name|-|a|b']],
    ['a@b@c', ['-|-|a@b|c']],
    ['x..y@z, .x@y', ['-|-|x..y|z', '-|-|.x|y']],
    ['"never closed <a@b>', ['"never closed|-|a|b']],
    ['g: a@b', ['g: -|-|a|b;']],
    ['a@b: c@d;', ['-|-|a|b', '-|-|c|d']],
    ['"John Doe"', ['John Doe|-|-|-']],
    ['=?utf-8?q?a,_b?= <c@d>', ['=?utf-8?q?a,_b?=|-|c|d']],
    ['\xe9 <a@b>', ['\xe9|-|a|b']],
    ["O'Neill-Smith <o@n.example>", ["O'Neill-Smith|-|o|n.example"]],
  ])('%s', (value, expected) => {
    expect(parse(value)).toEqual(expected);
  });
});

test('the short way gives what the long way gives', () => {
  const word = fc.stringMatching(/^[\w'-]{1,8}$/);
  fc.assert(
    fc.property(fc.array(word, { maxLength: 3 }), word, word, fc.boolean(), (name, local, domain, quoted) => {
      const text = name.join(' ');
      const shown = text === '' ? '' : `${quoted ? `"${text}"` : text} `;
      const value = `${shown}<${local}@${domain}.example>`;
      expect(parseAddressList(value)).toEqual(parseAddressList(`${value},`));
      expect(parse(value)).toEqual([`${text || '-'}|-|${local}|${domain}.example`]);
    }),
  );
});

test('any text gives a list, and never more than its commas and semicolons allow', () => {
  const piece = fc.oneof(
    fc.constantFrom('<', '>', '@', '.', ',', ';', ':', '"', '\\', '(', ')', '[', ']', ' ', '=?a?q?b?='),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.array(piece).map((pieces) => pieces.join('')),
      (value) => {
        const items = parseAddressList(value);
        const count = items.reduce(
          (sum, item) => sum + 1 + (item.is === 'group' ? item.members.length : 0),
          0,
        );
        expect(count).toBeLessThanOrEqual(value.split(/[,;:]/).length + 1);
      },
    ),
    { numRuns: 1000 },
  );
});

test.each(['<a@b>,', '(', '"\\', '"', '<', '@a', 'a ', '[', '=?a?q?', 'a:', ':', ';', '.', '(a)', '\\'])(
  'long runs of %s',
  (text) => {
    expect(parseAddressList(text.repeat(300_000 / text.length))).toBeInstanceOf(Array);
  },
);
