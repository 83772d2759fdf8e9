import { beforeAll, describe, expect, test } from 'vitest';
import { compile } from '../../src/sieve/compile.ts';
import { SieveError } from '../../src/sieve/errors.ts';
import { execute } from '../../src/sieve/execute.ts';
import { EXTENSIONS } from '../../src/sieve/extensions/index.ts';
import type { SieveHost } from '../../src/sieve/host.ts';
import { LIMITS } from '../../src/sieve/limits.ts';
import { MessageVersion } from '../../src/sieve/message.ts';

/** Scripts and messages that are made to take time or memory: each ends soon, with a result or its own error. */

const HOST = {
  now: new Date('2026-11-23T12:00:00Z'),
  account: 'alice@example.org',
  delimiters: '+',
  zoneMinutesAt: () => 0,
  dateText: () => 'Mon, 23 Nov 2026 12:00:00 +0000',
  boundary: () => 'boundary',
  isProtected: () => false,
  environment: () => undefined,
  isDuplicate: async () => false,
  included: async () => undefined,
  debug() {},
} as unknown as SieveHost;

async function run(source: string, message: string): Promise<string> {
  const bytes = Buffer.from(message, 'latin1');
  const result = await execute([compile(source, EXTENSIONS, LIMITS)], {
    message: MessageVersion.original(bytes, bytes.length, async () => bytes),
    envelope: { from: 'a@example.com', to: 'alice@example.org' },
    host: HOST,
    limits: LIMITS,
  });
  return result.error?.message ?? result.actions.map(({ type }) => type).join(' ');
}

function compiles(source: string): string {
  try {
    compile(source, EXTENSIONS, LIMITS);
    return 'good';
  } catch (error) {
    if (error instanceof SieveError) return 'bad';
    throw error;
  }
}

/** A reference to a variable. */
const A = '$'.concat('{a}');

describe('scripts of a megabyte', () => {
  const MB = 1024 * 1024 - 100;
  const fill = (unit: string, before = '', after = ''): string =>
    before + unit.repeat(Math.floor((MB - before.length - after.length) / unit.length)) + after;
  test.each([
    ['nothing but keep', fill('keep;'), 'good'],
    ['nothing but comments', fill('/**/#\n'), 'good'],
    ['a comment without end', fill('x', '/*'), 'bad'],
    ['a string', fill('x', 'if header "a" "', '" {keep;}'), 'good'],
    ['a string without end', fill('\\"', 'if header "a" "'), 'bad'],
    ['a list', fill('"x",', 'if header "a" [', '"x"] {keep;}'), 'good'],
    ['a multi-line string', fill('..x\r\n', 'if header "a" text:\r\n', '.\r\n {keep;}'), 'good'],
    ['brackets', fill('['), 'bad'],
    ['braces', fill('if true{', '', ''), 'bad'],
    ['parentheses', fill('not ', 'if ', ' true {keep;}'), 'bad'],
    ['tests side by side', fill('true,', 'if anyof(', 'true) {keep;}'), 'good'],
    ['branches', fill('elsif false {stop;}', 'if true {keep;}'), 'good'],
    ['tags', fill(':a ', 'keep '), 'bad'],
    ['words nobody knows', fill('foo;'), 'bad'],
    ['numbers', fill('9', 'if size :over '), 'bad'],
    ['variables in a string', fill(A, 'require "variables"; set "a" "', '";'), 'good'],
    ['dollars', fill('${', 'require ["variables", "encoded-character"]; set "a" "', '";'), 'good'],
    ['NUL', fill('\0'), 'bad'],
    ['line ends', fill('\r\n'), 'good'],
  ])('%s', (_what, source, outcome) => {
    expect(compiles(source)).toBe(outcome);
  });
});

describe('runs', () => {
  const text = `Subject: ${'a'.repeat(1000)}\r\n\r\n${'aaaaaaaaaaaaaaaa '.repeat(60_000)}b`;
  test.each([
    ['(a*)*c', /keep|too much/],
    ['(a|a)*c', /keep|too much/],
    ['(a?){50}a{50}c', /keep|too much/],
    ['(x+x+)+y', /keep|too much/],
    ['^(([a-z])+.)+[A-Z]([a-z])+$', /keep|too much/],
  ])('a regular expression that others choke on: %s', async (expression, outcome) => {
    const script = `require ["regex", "body"]; if body :regex "${expression}" { discard; }`;
    expect(await run(script, text)).toMatch(outcome);
    const header = `require "regex"; if header :regex "subject" "${expression}" { discard; }`;
    expect(await run(header, text)).toBe(expression.startsWith('^((') ? 'discard' : 'keep');
  });

  test('repetitions that come to millions are refused when the script is put', () => {
    for (const expression of ['((a{100}){100}){100}', '(a{1000}){1000}', 'a'.repeat(2000)])
      expect(compiles(`require "regex"; if header :regex "s" "${expression}" {stop;}`)).toBe('bad');
  });

  test('wildcards', async () => {
    const script = `require "body"; if body :matches "${'*a'.repeat(200)}*c" { discard; }`;
    expect(await run(script, text)).toMatch(/keep|too much/);
    const question = `require "body"; if body :matches "${'*a?'.repeat(200)}*c" { discard; }`;
    expect(await run(question, text)).toMatch(/keep|too much/);
  });

  test('variables that double', async () => {
    const doubling = `set "a" "${A}${A}";`.repeat(100);
    const script = `require "variables"; set "a" "x"; ${doubling} if string :matches "${A}" "*b" { discard; }`;
    expect(await run(script, 'Subject: x\r\n\r\n')).toBe('keep');
  });

  test('a script that does as much as it can', async () => {
    const tests = 'if header :contains ["a", "b"] ["c", "d"] { stop; }\n'.repeat(19_000);
    expect(await run(tests, text)).toMatch(/keep|too much/);
    const bodies = 'if body :contains ["c", "d"] { stop; }\n'.repeat(20_000);
    expect(await run(`require "body";\n${bodies}`, text)).toMatch(/too much/);
  });

  test('one that includes itself through loops over parts, and adds fields', async () => {
    const script =
      'require ["editheader", "foreverypart", "variables"]; foreverypart { foreverypart { foreverypart { addheader "X" "y"; } } }';
    expect(await run(script, manyParts(100))).toMatch(/keep|too much/);
  });
});

function manyParts(count: number): string {
  const part = '--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\n';
  return `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(count)}--b--\r\n`;
}

describe('messages', () => {
  let wide: string;
  let deep: string;
  beforeAll(() => {
    wide = manyParts(10_000);
    const open = (i: number): string => `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`;
    deep = Array.from({ length: 10_000 }, (_, i) => open(i)).join('');
  });

  const scripts = {
    body: 'require "body"; if body :contains "nothing" { discard; }',
    content: 'require "body"; if body :content "text" :matches "*nothing*" { discard; }',
    anychild: 'require "mime"; if header :mime :anychild :contenttype "content-type" "a/b" { discard; }',
    loop: 'require ["mime", "foreverypart"]; foreverypart { if header :mime :type "content-type" "x" { discard; } }',
    'loop in loop':
      'require ["mime", "foreverypart"]; foreverypart { foreverypart { if size :over 1M { discard; } } }',
    extracttext:
      'require ["mime", "foreverypart", "extracttext", "variables"]; foreverypart { extracttext "x"; }',
    replace: 'require ["mime", "foreverypart", "replace"]; foreverypart { replace "gone"; } keep;',
  };
  test.each(Object.entries(scripts))('of 10,000 parts: %s', async (_name, script) => {
    expect(await run(script, wide)).toMatch(/^keep$|too much/);
    expect(await run(script, deep)).toMatch(/^keep$|too much/);
  });

  test('of 10,000 fields, and of one field of a megabyte', async () => {
    const script =
      'require ["editheader", "index", "date", "relational", "comparator-i;ascii-numeric"];\n' +
      'if address :is "to" "nobody@example.com" { discard; }\n' +
      'if header :index 5 :last :contains "x" "q" { discard; }\n' +
      'if header :count "lt" :comparator "i;ascii-numeric" "x" "3" { discard; }\n' +
      'if date :is "date" "year" "1999" { discard; }\n' +
      'deleteheader "x"; addheader "y" "z";';
    const fields = `${'X: y\r\nTo: a@example.com\r\n'.repeat(5000)}\r\n`;
    expect(await run(script, fields)).toMatch(/^keep$|too much/);
    const long = `To: ${'a@example.com, '.repeat(70_000)}b@example.com\r\nDate: ${'('.repeat(500_000)}\r\n\r\n`;
    expect(await run(script, long)).toMatch(/^keep$|too much/);
  });
});
