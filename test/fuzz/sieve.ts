import { compile } from '../../src/sieve/compile.ts';
import { SieveError } from '../../src/sieve/errors.ts';
import { execute } from '../../src/sieve/execute.ts';
import { EXTENSIONS, PROGRAM_EXTENSIONS } from '../../src/sieve/extensions/index.ts';
import type { SieveHost } from '../../src/sieve/host.ts';
import { LIMITS } from '../../src/sieve/limits.ts';
import { MessageVersion } from '../../src/sieve/message.ts';
import type { Target } from './targets.ts';

/** Any text is a script or refused, with places that are in it; any script that compiles runs to an end on any message. */

const ALL = [...EXTENSIONS, ...PROGRAM_EXTENSIONS];
/** Requires everything, so that mutated words mean something. */
const REQUIRE = `require [${ALL.map(({ name }) => JSON.stringify(name)).join(', ')}];\n`;

const HOST: SieveHost = {
  now: new Date('2026-11-23T12:00:00Z'),
  zoneMinutesAt: () => 60,
  account: 'alice@example.org',
  dateText: () => 'Mon, 23 Nov 2026 12:00:00 +0000',
  boundary: () => 'a-boundary',
  isProtected: () => false,
  delimiters: '+',
  environment: () => 'x',
  mailboxExists: async () => true,
  mailboxIdExists: async () => false,
  specialUseExists: async () => true,
  metadata: async () => 'y',
  isDuplicate: async () => false,
  included: async () => undefined,
  inList: async () => null,
  isList: async () => true,
  listed: async () => ['a@example.com'],
  spamtest: { header: 'X-Spam', pattern: '', type: 'score', maxValue: 10, texts: [] },
  virustest: undefined,
  execute: async () => ({ ok: true, output: new Uint8Array(0) }),
  debug() {},
};

const MESSAGES = [
  'From: coyote@desert.example.org\r\nTo: alice@example.org\r\nSubject: [acme] hello\r\nDate: Mon, 23 Nov 2026 09:30:00 -0800\r\n\r\nHello\r\n',
  'Subject: =?utf-8?q?=C3=A9?= x\r\nContent-Type: multipart/mixed; boundary=b\r\nX-Spam: 5\r\n\r\n--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="x.exe"\r\n\r\n<b>missile</b>\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n',
  '\r\n',
  '',
].map((text) => Buffer.from(text, 'latin1'));

export const sieve: Target = {
  name: 'sieve',
  tokens: [
    ' ',
    '"',
    '\\',
    ';',
    '{',
    '}',
    '(',
    ')',
    '[',
    ']',
    ',',
    ':',
    '#',
    '/*',
    '*/',
    'text:\r\n',
    '.\r\n',
    '\r\n',
    '\0',
    '\xc3\xa9',
    '\xff',
    '$',
    '${',
    '${',
    '1}',
    '${hex:',
    '*',
    '?',
    '100K',
    'if ',
    'elsif ',
    'else ',
    'not ',
    'anyof (',
    'true',
    'stop;',
    'keep;',
    'require ',
    'foreverypart {',
    'break;',
    'set ',
    ':is ',
    ':matches ',
    ':contains ',
    ':regex ',
    ':count "gt" ',
    ':comparator "i;ascii-numeric" ',
    ':flags "\\\\Seen" ',
    ':mime ',
    ':index 1 ',
    ':copy ',
    ':create ',
    '"(a|b)*c{2,3}[^d"',
    '"mailto:a@example.com?to=b@example.com&subject=x"',
    'header ',
    'address ',
    'body ',
    'date ',
    'addheader "X" "y";',
    'deleteheader "subject";',
    'replace "x";',
    'enclose "x";',
    'vacation "x";',
    'notify "mailto:a@example.com";',
    'redirect "a@example.com";',
    'fileinto "x";',
  ],
  async run(input, roll) {
    const text = Buffer.from(input, 'latin1').toString('utf8');
    const source = roll(2) === 0 ? text : REQUIRE + text.replace(/require[^;]*;/g, '');
    let script: ReturnType<typeof compile>;
    try {
      script = compile(source, ALL, LIMITS);
    } catch (error) {
      if (!(error instanceof SieveError)) throw error;
      checkPlaces(error, source);
      return;
    }
    const bytes = MESSAGES[roll(MESSAGES.length)] ?? Buffer.alloc(0);
    const result = await execute([script], {
      message: MessageVersion.original(bytes, bytes.length, async () => bytes),
      envelope: { from: 'sender@example.com', to: 'alice+x@example.org' },
      host: HOST,
      limits: LIMITS,
      trace() {},
    });
    for (const action of result.actions)
      if ('message' in action && action.message instanceof MessageVersion) await action.message.whole();
    if (result.actions.length === 0) throw new Error('nothing was decided');
  },
};

function checkPlaces({ complaints }: SieveError, source: string): void {
  const lines = source.split('\n').length;
  if (complaints.length === 0) throw new Error('refused without a reason');
  for (const { line, column, message } of complaints)
    if (line < 1 || line > lines || column < 1 || message === '') throw new Error(`no such place: ${line}`);
}
