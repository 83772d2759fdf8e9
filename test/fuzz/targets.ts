import { readFileSync } from 'node:fs';
import type { Command } from '../../src/imap/command.ts';
import { commands } from '../../src/imap/commands/index.ts';
import { ImapBad, ImapNo } from '../../src/imap/errors.ts';
import { parseMessageUrl } from '../../src/imap/imap-url.ts';
import { Parser, type ParserOptions } from '../../src/imap/parser.ts';
import { astring, mailboxName, string } from '../../src/imap/response.ts';
import { Summariser, summarise } from '../../src/message/summary.ts';
import { TokenRefused } from '../../src/oauth/errors.ts';
import { parseJwt } from '../../src/oauth/jwt.ts';
import { fetched } from '../strict-imap.ts';
import { managesieve } from './managesieve.ts';
import type { Dice } from './mutate.ts';
import { sieve } from './sieve.ts';

/** What is fuzzed: `run` throws where an input finds a mistake. A new target is a value here and a file in corpus/. */
export interface Target {
  readonly name: string;
  /** Strings that are put in, beside what the corpus has. */
  readonly tokens: readonly string[];
  run(input: string, roll: Dice): Promise<void> | void;
}

/** One JSON string a line. */
export function corpusOf(name: string): string[] {
  const text = readFileSync(new URL(`corpus/${name}.txt`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => String(JSON.parse(line)));
}

const OPTIONS: readonly ParserOptions[] = [
  {},
  { utf8: true },
  { utf8: true, charsets: 'utf8-only' },
  { numbers: 'uids' },
];

/** Any line is a command or refused: BAD, or NO where the parser knows better. */
const imap: Target = {
  name: 'imap',
  tokens: [
    ' ',
    '(',
    ')',
    '"',
    '\\',
    '{',
    '}',
    '{3}\r\nabc',
    '{0+}\r\n',
    '~{2}\r\n\0\0',
    '*',
    '%',
    '$',
    ':',
    ',',
    '<',
    '>',
    '[',
    ']',
    '.',
    '1:*',
    'NIL',
    'UID ',
    'RETURN (',
    'BODY[',
    'HEADER.FIELDS (',
    'NOT ',
    'OR ',
    'FUZZY ',
    'CHARSET ',
    '&',
    '&-',
    '&AOk-',
    '\xc3\xa9',
    '\xff',
    '\0',
    '\r\n',
    '-',
    '+',
    '=',
    '/',
    '/;UID=',
    ';SECTION=',
    'CATENATE (',
    'UTF8 (',
    'PARTIAL 1:2',
    'MODSEQ ',
    '!',
    '"1-Jan-2026 00:00:00 +0000"',
    '\\Seen',
  ],
  run(input, roll) {
    const byName = new Map<string, Command>(commands.map((command) => [command.name, command]));
    const p = new Parser({ bytes: Buffer.from(input, 'latin1') }, OPTIONS[roll(OPTIONS.length)]);
    try {
      p.tag();
      p.sp();
      let word = p.atom().toUpperCase();
      if (word === 'UID') {
        p.uid = true;
        word = p.sp().atom().toUpperCase();
      }
      byName.get(word)?.prepare(p);
    } catch (error) {
      if (!(error instanceof ImapBad || error instanceof ImapNo)) throw error;
      if (error instanceof ImapBad && error.at !== undefined && (error.at < 0 || error.at > input.length))
        throw new Error(`it blames byte ${error.at} of ${input.length}`, { cause: error });
    }
  },
};

/** What is told of any message can be read again by the grammar, however the message came in pieces. */
const mime: Target = {
  name: 'mime',
  tokens: [
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '--',
    '--b',
    '--b--',
    'Content-Type: ',
    'multipart/mixed; boundary=',
    'message/rfc822',
    'message/global',
    'text/plain; charset=',
    '"',
    ';',
    '=?utf-8?q?=C3=A9?=',
    '=?x?b?',
    '?=',
    '<',
    '>',
    '@',
    '(',
    ')',
    '\\',
    ',',
    ':',
    'From: ',
    'To: ',
    'Date: ',
    'group:;',
    '\0',
    '\xff',
    'filename*0*=',
    '%E9',
    ' ',
    '\t',
    'base64',
    'Content-Transfer-Encoding: ',
    'Content-Disposition: attachment; filename=',
    'Content-Language: en, fr',
  ],
  run(input, roll) {
    const bytes = Buffer.from(input, 'latin1');
    const whole = summarise(bytes);
    for (const item of [
      `ENVELOPE ${whole.envelope}`,
      `BODY ${whole.body}`,
      `BODYSTRUCTURE ${whole.bodyStructure}`,
    ])
      if (!fetched(Buffer.from(`* 1 FETCH (${item})`, 'latin1'))) throw new Error('no FETCH response');
    const summariser = new Summariser();
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + roll(roll(2) === 0 ? 3 : 500);
      summariser.write(bytes.subarray(at, end));
      at = end;
    }
    const inPieces = summariser.end();
    if (inPieces.bodyStructure !== whole.bodyStructure || inPieces.envelope !== whole.envelope)
      throw new Error('in pieces it is another message');
  },
};

/** No longer name is taken from a client. */
const MAX_PATH = 150;

/** What is printed means what it was printed from. */
const names: Target = {
  name: 'names',
  tokens: [
    '/',
    '&',
    '&-',
    '-',
    '"',
    '\\',
    ' ',
    '*',
    '%',
    '\xc3\xa9',
    '\xf0\x9f\x93\xa7',
    'INBOX',
    'nil',
    '{',
    '~',
    ']',
    ',',
  ],
  run(input) {
    const read = (printed: string, options: ParserOptions): Parser =>
      new Parser({ bytes: Buffer.from(printed, 'latin1') }, options);
    if (read(astring(input), {}).astring().toString('latin1') !== input) throw new Error('astring');
    if (read(string(input), {}).string().toString('latin1') !== input) throw new Error('string');
    const path = Buffer.from(input, 'latin1').toString('utf8');
    // The store has no other names (RFC 9051 5.1).
    if (
      path.length > MAX_PATH ||
      !path.isWellFormed() ||
      /\p{Cc}|\ufffd/u.test(path) ||
      path.normalize('NFC') !== path ||
      path === ''
    )
      return;
    const expected = /^inbox(?=$|\/)/i.test(path) ? `INBOX${path.slice(5)}` : path;
    for (const [form, utf8] of [
      ['utf7', false],
      ['utf8', true],
    ] as const) {
      const found = read(mailboxName(path, form), { utf8 }).mailbox();
      if (found !== expected) throw new Error(`${form}: ${JSON.stringify(found)}`);
    }
  },
};

/** Texts of strangers that are taken apart: something, or nothing, and never an exception. */
const texts: Target = {
  name: 'texts',
  tokens: [
    '/',
    ';',
    '=',
    'UID',
    'UIDVALIDITY',
    'SECTION',
    'PARTIAL',
    '%',
    '%00',
    '.',
    ':',
    '//',
    '{',
    '}',
    '"alg":"none"',
    '==',
  ],
  run(input) {
    parseMessageUrl(input);
    token(input);
    const encoded = (part: string): string => Buffer.from(part, 'latin1').toString('base64url');
    token(input.split('.').map(encoded).join('.'));
  },
};

function token(text: string): void {
  try {
    parseJwt(text);
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error;
  }
}

export const targets: readonly Target[] = [imap, mime, names, texts, sieve, managesieve];
