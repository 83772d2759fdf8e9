import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fetchItems } from '../../src/imap/fetch/index.ts';
import { type Client, ImapWorld } from './world.ts';

const SIMPLE = 'From: a@example.org\nSubject: simple\nTo: b@example.org\n\nline one\nline two\n';
const NESTED = [
  'Subject: nested',
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary=x',
  '',
  'preamble',
  '--x',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'gr=C3=BC=C3=9Fe',
  '--x',
  'Content-Type: message/rfc822',
  '',
  'Subject: inner',
  'Content-Type: multipart/alternative; boundary=y',
  '',
  '--y',
  '',
  'plain',
  '--y',
  'Content-Type: text/html',
  '',
  '<b>html</b>',
  '--y--',
  '',
  '--x',
  'Content-Type: message/rfc822',
  '',
  'Subject: lone',
  '',
  'lone body',
  '--x',
  'Content-Type: application/octet-stream',
  'Content-Transfer-Encoding: base64',
  '',
  'AAECAw==',
  '--x',
  'Content-Type: text/plain',
  'Content-Transfer-Encoding: x-unheard-of',
  '',
  'huh',
  '--x--',
  '',
].join('\n');

let world: ImapWorld;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', [SIMPLE, NESTED, 'Subject: third\n\n\n']);
  await world.fill('Big', [`Subject: big\n\n${'0123456789\n'.repeat(60_000)}`]);
  client = await world.login();
  await client.ok('EXAMINE INBOX');
});
afterAll(() => world.close());

/** What a FETCH of one item of one message gives, without the frame. */
async function item(number: number, what: string): Promise<string> {
  const [response = ''] = await client.ok(`FETCH ${number} ${what}`);
  return response.replace(/^\d+ FETCH \(/, '').replace(/\)$/, '');
}

const literal = (text: string): string => {
  const bytes = Buffer.from(text.replace(/\r?\n/g, '\r\n'));
  return `{${bytes.length}}\r\n${bytes.toString('latin1')}`;
};

describe('items (RFC 9051 6.4.5)', () => {
  test.each([
    ['FLAGS', 'FLAGS (\\Recent)'],
    ['UID', 'UID 1'],
    ['RFC822.SIZE', 'RFC822.SIZE 79'],
    ['INTERNALDATE', 'INTERNALDATE " 1-Mar-2024 10:00:00 +0000"'],
    ['BODY', 'BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 20 2)'],
    ['(UID FLAGS)', 'UID 1 FLAGS (\\Recent)'],
    ['FAST', 'FLAGS (\\Recent) INTERNALDATE " 1-Mar-2024 10:00:00 +0000" RFC822.SIZE 79'],
    ['EMAILID', 'EMAILID (E2)'],
    ['THREADID', 'THREADID (TE2)'],
    ['SAVEDATE', 'SAVEDATE " 1-Jan-1970 00:00:00 +0000"'],
    [
      'BODY[HEADER]',
      `BODY[HEADER] ${literal('From: a@example.org\nSubject: simple\nTo: b@example.org\n\n')}`,
    ],
    ['BODY[TEXT]', `BODY[TEXT] ${literal('line one\nline two\n')}`],
    ['BODY[]', `BODY[] ${literal(SIMPLE)}`],
    ['body.peek[]<5.3>', 'BODY[]<5> {3}\r\n a@'],
    ['BODY[]<77.100>', 'BODY[]<77> {2}\r\n\r\n'],
    ['BODY[]<1000.1>', 'BODY[]<1000> {0}\r\n'],
    ['BODY[TEXT]<0.4>', 'BODY[TEXT]<0> {4}\r\nline'],
    ['BODY[HEADER]<0.4>', 'BODY[HEADER]<0> {4}\r\nFrom'],
    ['BODY[1]', `BODY[1] ${literal('line one\nline two\n')}`],
    [
      'BODY[1.MIME]',
      `BODY[1.MIME] ${literal('From: a@example.org\nSubject: simple\nTo: b@example.org\n\n')}`,
    ],
    ['BODY[2]', 'BODY[2] NIL'],
    ['BODY[1.1]', 'BODY[1.1] NIL'],
    ['BODY[1.HEADER]', 'BODY[1.HEADER] NIL'],
    [
      'BODY.PEEK[HEADER.FIELDS (SUBJECT to X-None)]',
      `BODY[HEADER.FIELDS (SUBJECT to X-None)] ${literal('Subject: simple\nTo: b@example.org\n\n')}`,
    ],
    ['BODY[HEADER.FIELDS.NOT ("From" subject)]<0.3>', 'BODY[HEADER.FIELDS.NOT (From subject)]<0> {3}\r\nTo:'],
    [
      'RFC822.HEADER',
      `RFC822.HEADER ${literal('From: a@example.org\nSubject: simple\nTo: b@example.org\n\n')}`,
    ],
    ['RFC822.TEXT', `RFC822.TEXT ${literal('line one\nline two\n')}`],
    ['RFC822', `RFC822 ${literal(SIMPLE)}`],
    ['BINARY[]', `BINARY[] ${literal(SIMPLE)}`],
    ['BINARY.SIZE[1]', 'BINARY.SIZE[1] 20'],
  ])('%s', async (what, answer) => {
    expect(await item(1, what)).toBe(answer);
  });

  test('ENVELOPE and BODYSTRUCTURE', async () => {
    expect(await item(1, 'ENVELOPE')).toMatch(/^ENVELOPE \(NIL "simple" \(\(NIL NIL "a" "example\.org"\)\)/);
    expect(await item(2, 'BODYSTRUCTURE')).toMatch(/^BODYSTRUCTURE \(\("text" "plain" .*"mixed" /s);
    expect(await item(1, 'ALL')).toMatch(/^FLAGS .* INTERNALDATE .* RFC822\.SIZE .* ENVELOPE /);
    expect(await item(1, 'FULL')).toMatch(/ ENVELOPE .* BODY \("text"/);
  });
});

describe('parts inside parts (RFC 9051 6.4.5.1)', () => {
  test.each([
    ['1', literal('gr=C3=BC=C3=9Fe')],
    [
      '1.MIME',
      literal('Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n'),
    ],
    ['2.HEADER', literal('Subject: inner\nContent-Type: multipart/alternative; boundary=y\n\n')],
    ['2.TEXT', literal('--y\n\nplain\n--y\nContent-Type: text/html\n\n<b>html</b>\n--y--\n')],
    ['2.MIME', literal('Content-Type: message/rfc822\n\n')],
    ['2.1', literal('plain')],
    ['2.1.MIME', literal('\n')],
    ['2.2', literal('<b>html</b>')],
    ['2.2.MIME', literal('Content-Type: text/html\n\n')],
    ['2.3', 'NIL'],
    ['2.HEADER.FIELDS (SUBJECT)', literal('Subject: inner\n\n')],
    ['3.HEADER', literal('Subject: lone\n\n')],
    ['3.1', literal('lone body')],
    ['3.2', 'NIL'],
    ['3.1.1', 'NIL'],
    ['4', literal('AAECAw==')],
    ['6', 'NIL'],
    ['1.HEADER', 'NIL'],
  ])('BODY[%s]', async (section, answer) => {
    expect(await item(2, `BODY.PEEK[${section}]`)).toBe(`BODY[${section}] ${answer}`);
  });

  test('decoded (RFC 3516 4.3)', async () => {
    expect(await item(2, 'BINARY.PEEK[1]')).toBe(`BINARY[1] ${literal('grüße')}`);
    expect(await item(2, 'BINARY.PEEK[1]<2.4>')).toBe('BINARY[1]<2> {4}\r\n\xc3\xbc\xc3\x9f');
    expect(await item(2, 'BINARY.PEEK[4]')).toBe('BINARY[4] ~{4}\r\n\0\x01\x02\x03');
    expect(await item(2, 'BINARY.SIZE[4]')).toBe('BINARY.SIZE[4] 4');
    expect(await item(2, 'BINARY.PEEK[2.2]')).toBe(`BINARY[2.2] ${literal('<b>html</b>')}`);
    expect(await item(2, 'BINARY.PEEK[9]')).toBe('BINARY[9] NIL');
    expect(await client.tagged('FETCH 2 BINARY.PEEK[5]')).toMatch(/^NO \[UNKNOWN-CTE\]/);
  });
});

describe('what is no item is BAD', () => {
  test.each([
    'FETCH 1 FOO',
    'FETCH 1 ()',
    'FETCH 1 (FLAGS UID',
    'FETCH 1 (ALL)',
    'FETCH 1 ALL UID',
    'FETCH 1 BODY[',
    'FETCH 1 BODY[]<0.0>',
    'FETCH 1 BODY[MIME]',
    'FETCH 1 BODY[HEADER.FIELDS ()]',
    'FETCH 1 BODY[0]',
    'FETCH 1 BODY.PEEK',
    'FETCH 1 BODYSTRUCTURE[1]',
    'FETCH 1 BINARY[1.HEADER]',
    'FETCH 4 FLAGS',
    'FETCH 0 FLAGS',
    'FETCH FLAGS',
    'FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)',
    `FETCH 1 (${'UID '.repeat(101).trim()})`,
  ])('%s', async (command) => {
    expect(await client.tagged(command)).toMatch(/^BAD .*\(byte \d+\)$/);
  });
});

describe('UID FETCH (RFC 9051 6.4.9)', () => {
  test('tells the UID, asked for or not, and ignores what is not there', async () => {
    expect(await client.ok('UID FETCH 2:99 (RFC822.SIZE)')).toEqual([
      expect.stringMatching(/^2 FETCH \(UID 2 RFC822\.SIZE \d+\)$/),
      '3 FETCH (UID 3 RFC822.SIZE 20)',
    ]);
    expect(await client.ok('UID FETCH 50 FLAGS')).toEqual([]);
    expect(await client.ok('UID FETCH 50:* UID')).toEqual(['3 FETCH (UID 3)']);
  });
});

test('what is not peeked at becomes \\Seen, and that is told with it', async () => {
  const reader = await world.login('INBOX');
  expect(await reader.ok('FETCH 3 BODY[TEXT]')).toEqual([
    '3 FETCH (BODY[TEXT] {2}\r\n\r\n FLAGS (\\Seen \\Recent))',
  ]);
  expect(await reader.ok('FETCH 3 BODY[TEXT]')).toEqual(['3 FETCH (BODY[TEXT] {2}\r\n\r\n)']);
  expect(await reader.ok('FETCH 1 (FLAGS RFC822.SIZE BODY[1]<0.1>)')).toEqual([
    '1 FETCH (FLAGS (\\Seen \\Recent) RFC822.SIZE 79 BODY[1]<0> {1}\r\nl)',
  ]);
  // Those who look on with EXAMINE hear of it, and change nothing themselves.
  expect(await client.ok('FETCH 2 BODY[1]<0.1>')).toEqual([
    '2 FETCH (BODY[1]<0> {1}\r\ng)',
    '1 FETCH (FLAGS (\\Seen \\Recent))',
    '3 FETCH (FLAGS (\\Seen \\Recent))',
  ]);
});

test('a big message is streamed, whole and in parts', async () => {
  const reader = await world.login('Big');
  const size = 'Subject: big\r\n\r\n'.length + 60_000 * 12;
  const [whole = ''] = await reader.ok('FETCH 1 (BODY.PEEK[] UID)');
  expect(whole.startsWith(`1 FETCH (BODY[] {${size}}\r\nSubject: big`)).toBe(true);
  expect(whole.endsWith('0123456789\r\n UID 1)')).toBe(true);
  expect(whole.length).toBe(`1 FETCH (BODY[] {${size}}\r\n UID 1)`.length + size);
  expect(await reader.ok('FETCH 1 (BODY.PEEK[]<600000.12> BINARY.PEEK[1]<12.10> BINARY.SIZE[1])')).toEqual([
    expect.stringMatching(
      /^1 FETCH \(BODY\[\]<600000> \{12\}\r\n.{12} BINARY\[1\]<12> \{10\}\r\n0123456789 BINARY\.SIZE\[1\] 720000\)$/s,
    ),
  ]);
});

test('a message that is gone: FETCH by number says so, UID FETCH says nothing (RFC 2180 4.1)', async () => {
  const id = await world.fill('Gone', ['A: 1\n\n', 'A: 2\n\n', 'A: 3\n\n']);
  const reader = await world.login('Gone');
  await (await world.account()).expunge(id, [2 as never]);
  expect(await reader.ask('FETCH 1:3 (UID BODY.PEEK[])')).toEqual({
    untagged: ['1 FETCH (UID 1 BODY[] {8}\r\nA: 1\r\n\r\n)', '3 FETCH (UID 3 BODY[] {8}\r\nA: 3\r\n\r\n)'],
    tagged: 'OK [EXPUNGEISSUED] Some of the messages are gone',
  });
  expect((await reader.ask('STORE 2 +FLAGS (\\Seen)')).tagged).toMatch(/^OK \[EXPUNGEISSUED\]/);
  expect(await reader.ask('UID FETCH 1:3 (UID)')).toEqual({
    untagged: ['1 FETCH (UID 1)', '3 FETCH (UID 3)', '2 EXPUNGE'],
    tagged: 'OK UID FETCH completed',
  });
});

test('every item is in the index once', () => {
  const names = fetchItems.map((each) => each.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toEqual(names.map((name) => name.toUpperCase()));
});
