import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

const LIMIT = 400_000;
let world: ImapWorld;
let store: MemoryAccount;
let client: Client;
beforeAll(async () => {
  world = await ImapWorld.start({ settings: { maxMessageSize: LIMIT } });
  store = await world.account();
});
afterAll(() => world.close());
beforeEach(async () => {
  for (const path of ['Drafts', 'Sent']) {
    const old = await store.mailbox(path);
    if (old) await store.delete(old.id);
    await store.create(path);
  }
  client = await world.login();
});

const literal = (text: string, prefix = ''): string =>
  `${prefix}{${Buffer.byteLength(text, 'latin1')}+}\r\n${text}`;
const MAIL = 'Subject: x\r\n\r\nbody\r\n';

async function contents(path: string): Promise<string[]> {
  const mailbox = await store.mailbox(path);
  if (!mailbox) throw new Error(`no ${path}`);
  const found: string[] = [];
  for (const uid of await store.uids(mailbox.id)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of (await store.raw(mailbox.id, uid as Uid)).read()) chunks.push(chunk);
    found.push(Buffer.concat(chunks).toString('latin1'));
  }
  return found;
}

async function uidValidity(path: string): Promise<number> {
  return (await store.mailbox(path))?.uidValidity ?? 0;
}

describe('MULTIAPPEND (RFC 3502)', () => {
  test('several messages, each with its flags and date; the UIDs of all are told', async () => {
    const answer = await client.tagged(
      `APPEND Drafts (\\Seen) ${literal('A: 1\r\n\r\n')} " 7-Feb-1994 22:43:04 -0800" ${literal('A: 2\r\n\r\n')} ${literal('A: 3\n\n')}`,
    );
    expect(answer).toMatch(new RegExp(`^OK \\[APPENDUID ${await uidValidity('Drafts')} 1:3\\]`));
    expect(await contents('Drafts')).toEqual(['A: 1\r\n\r\n', 'A: 2\r\n\r\n', 'A: 3\r\n\r\n']);
    await client.ok('SELECT Drafts');
    expect(await client.ok('FETCH 1:3 (FLAGS INTERNALDATE)')).toEqual([
      expect.stringMatching(/^1 FETCH \(FLAGS \(\\Seen/),
      expect.stringContaining('" 8-Feb-1994 06:43:04 +0000"'),
      expect.stringMatching(/^3 FETCH/),
    ]);
  });

  test('the mailbox that is selected has them at once', async () => {
    await client.ok('SELECT Drafts');
    const untagged = await client.ok(`APPEND Drafts ${literal(MAIL)} ${literal(MAIL)}`);
    expect(untagged).toContain('2 EXISTS');
  });

  test.each([
    ['first', `${literal('')} ${literal(MAIL)}`],
    ['in the middle', `${literal(MAIL)} ${literal('')} ${literal(MAIL)}`],
    ['last', `${literal(MAIL)} (\\Seen) ${literal('', '~')}`],
    ['of CATENATE', `${literal(MAIL)} CATENATE (TEXT ${literal('')})`],
  ])('an empty message takes all back: %s (section 6.3.11)', async (_, messages) => {
    expect(await client.tagged(`APPEND Drafts ${messages}`)).toMatch(/^NO \[CANNOT\]/);
    expect(await contents('Drafts')).toEqual([]);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
    expect(
      readdirSync(world.directory).includes('spool') ? readdirSync(join(world.directory, 'spool')) : [],
    ).toEqual([]);
  });

  test('what comes before it counts: quota, and the size of all', async () => {
    const small = await ImapWorld.start({ mail: { quotaBytes: 300_000 } });
    const one = await small.login();
    const text = 'x'.repeat(70_000);
    const tag = (n: number): string => ` {${n}}`;
    one.send(`a APPEND INBOX${tag(140_000)}\r\n`);
    expect(await one.response()).toMatch(/^\+/);
    one.send(`${text}${text}${tag(170_000)}\r\n`);
    expect(await one.response()).toMatch(/^a NO \[OVERQUOTA\]/);
    expect(
      await one.tagged(
        `APPEND INBOX ${literal(text)} ${literal(text)} ${literal(text)} ${literal(text)} ${literal(text)}`,
      ),
    ).toMatch(/^NO \[OVERQUOTA\]/);
    expect(await one.ok('STATUS INBOX (MESSAGES)')).toEqual(['STATUS INBOX (MESSAGES 0)']);
    await small.close();
  });

  test('many messages, some in files: nothing of them stays behind', async () => {
    const texts = Array.from(
      { length: 30 },
      (_, i) => `A: ${i}\r\n\r\n${'y'.repeat(i % 3 === 0 ? 150_000 : 60_000)}`,
    );
    const sent = texts.map((text) => ` ${literal(text)}`).join('');
    expect(await client.tagged(`APPEND Drafts${sent}`)).toMatch(/^OK \[APPENDUID \d+ 1:30\]/);
    expect(await contents('Drafts')).toEqual(texts);
    expect(readdirSync(join(world.directory, 'spool'))).toEqual([]);
  });

  test('in IMAP4rev2, pipelined with what follows', async () => {
    await client.ok('ENABLE IMAP4rev2');
    client.send(`a APPEND Drafts ${literal(MAIL)} ${literal(MAIL)}\r\nb SELECT Drafts\r\nc FETCH * UID\r\n`);
    expect((await client.answer('a')).tagged).toMatch(/^OK \[APPENDUID \d+ 1:2\]/);
    await client.answer('b');
    expect((await client.answer('c')).untagged).toEqual(['2 FETCH (UID 2)']);
  });
});

const BINARY =
  'From: user@domain.org\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n' +
  'Content-Transfer-Encoding: binary\r\n\r\n';

describe('BINARY in APPEND (RFC 3516 4.4)', () => {
  test('octets of a part labelled binary come back as they were: NUL, and line ends that are none', async () => {
    await client.ok(`APPEND Drafts ${literal(`${BINARY}a\0b\nc\rd\r\n\xff`, '~')}`);
    const [stored] = await contents('Drafts');
    expect(stored).toContain('Content-Transfer-Encoding: base64\r\n\r\nYQBiCmMNZA0K/w==');
    expect(stored).not.toContain('binary');
    await client.ok('SELECT Drafts');
    expect(await client.ok('FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])')).toEqual([
      '1 FETCH (BINARY.SIZE[1] 10 BINARY[1] ~{10}\r\na\0b\nc\rd\r\n\xff)',
    ]);
  });

  test('only the parts that need it are touched', async () => {
    const mixed =
      'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\n' +
      '--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9\nt\xc3\xa9\r\n' +
      '--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\0\r\n--b--\r\n';
    await client.ok(`APPEND Drafts ${literal(mixed, '~')}`);
    expect(await contents('Drafts')).toEqual([
      mixed
        .replace(
          'boundary=b\r\nContent-Transfer-Encoding: binary',
          'boundary=b\r\nContent-Transfer-Encoding: 8bit',
        )
        .replace('\xa9\nt', '\xa9\r\nt')
        .replace('binary\r\n\r\n\0', 'base64\r\n\r\nAA=='),
    ]);
  });

  test('a big one goes through files', async () => {
    const body = Buffer.alloc(200_000, 'ab\0c\n').toString('latin1');
    await client.ok(`APPEND Drafts ${literal(BINARY + body, '~')}`);
    await client.ok('SELECT Drafts');
    expect(await client.ok('FETCH 1 BINARY.PEEK[1]')).toEqual([`1 FETCH (BINARY[1] ~{200000}\r\n${body})`]);
    expect(readdirSync(join(world.directory, 'spool'))).toEqual([]);
  });

  test('NUL where no encoding can hold it is refused: in a header, in a plain literal', async () => {
    expect(await client.tagged(`APPEND Drafts ${literal('A: \0\r\n\r\nx', '~')}`)).toMatch(
      /^NO \[UNKNOWN-CTE\]/,
    );
    expect(await client.tagged(`APPEND Drafts ${literal(`${BINARY}\0`)}`)).toMatch(/^NO \[UNKNOWN-CTE\]/);
    expect(await contents('Drafts')).toEqual([]);
  });

  test('without NUL and labels, a literal8 is stored as any literal', async () => {
    await client.ok(`APPEND Drafts ${literal('A: b\n\nc\n', '~')}`);
    expect(await contents('Drafts')).toEqual(['A: b\r\n\r\nc\r\n']);
  });

  test('in several messages, in CATENATE and in REPLACE', async () => {
    await client.ok(
      `APPEND Drafts ${literal(MAIL)} ${literal(`${BINARY}\0`, '~')} CATENATE (TEXT ${literal(BINARY)} TEXT ${literal('\0\n', '~')} TEXT ${literal('\0\n', '~')})`,
    );
    await client.ok('SELECT Drafts');
    await client.ok(`UID REPLACE 1 Drafts ${literal(`${BINARY}\0\0`, '~')}`);
    expect((await contents('Drafts')).map((text) => text.split('\r\n\r\n')[1])).toEqual([
      'AA==',
      'AAoACg==',
      'AAA=',
    ]);
  });
});

describe('CATENATE (RFC 4469) with URL-PARTIAL (RFC 5550 5.7.1)', () => {
  const MULTI =
    'From: a@example.org\r\nSubject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n' +
    '--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--\r\n';

  async function result(url: string): Promise<string> {
    await client.ok(`APPEND Sent CATENATE (URL ${url})`);
    return (await contents('Sent')).at(-1) ?? '';
  }

  beforeEach(() => world.fill('Drafts', [MULTI]));

  test.each([
    ['/Drafts/;UID=1', MULTI],
    ['/Drafts/;uid=1/;section=HEADER', MULTI.slice(0, MULTI.indexOf('--b'))],
    ['/Drafts/;UID=1/;SECTION=TEXT', MULTI.slice(MULTI.indexOf('--b'))],
    ['/Drafts/;UID=1/;SECTION=1.MIME', 'Content-Type: text/plain\r\n\r\n'],
    ['/Drafts/;UID=1/;SECTION=2', 'second'],
    ['"/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)"', 'Subject: two\r\n\r\n'],
    ['"/Drafts/;UID=1/;SECTION=HEADER.FIELDS%20(SUBJECT)/;PARTIAL=9.3"', 'two'],
    ['/Drafts/;UID=1/;PARTIAL=6.13', 'a@example.org'],
    ['/Drafts/;UID=1/;SECTION=2/;PARTIAL=3', 'ond'],
    ['/Drafts/;UID=1/;SECTION=2/;PARTIAL=3.100', 'ond'],
    ['"/%44rafts/;UID=1/;SECTION=2"', 'second'],
    ['"/Drafts%2F/;UID=1/;SECTION=2"', 'second'],
    ['{29+}\r\n/Drafts/;UID=1/;SECTION=1.MIME', 'Content-Type: text/plain\r\n\r\n'],
  ])('URL %s', async (url, expected) => {
    const uses = `{${url.indexOf('\r\n') > 0 ? url.length - url.indexOf('\r\n') - 2 : 0}+}`;
    expect(await result(url.replace(/^\{\d+\+\}/, uses))).toBe(expected);
  });

  test('UIDVALIDITY is asked for; INBOX in any case; names in UTF-8', async () => {
    const validity = await uidValidity('Drafts');
    expect(await result(`/Drafts;UIDVALIDITY=${validity}/;UID=1/;SECTION=2`)).toBe('second');
    await world.fill('INBOX', [MAIL]);
    expect(await result('/inbox/;UID=1/;SECTION=1')).toBe('body\r\n');
    await world.fill('Entwürfe', [MAIL]);
    expect(await result('"/Entw%C3%BCrfe/;UID=1/;SECTION=1"')).toBe('body\r\n');
  });

  test('a URL without a mailbox means the selected one (section 3)', async () => {
    expect(await client.tagged('APPEND Sent CATENATE (URL ";UID=1/;SECTION=2")')).toMatch(
      /^NO \[BADURL ;UID=1/,
    );
    await client.ok('EXAMINE Drafts');
    expect(await result('";UID=1/;SECTION=2"')).toBe('second');
  });

  test.each([
    '/Drafts/;UID=9',
    '/Drafts/;UID=0',
    '/Drafts;UIDVALIDITY=12345/;UID=1',
    '/Drafts/;UID=1/;SECTION=3',
    '/Drafts/;UID=1/;SECTION=FOO',
    '/Drafts/;UID=1/;SECTION=1]<',
    '/Drafts/;UID=1/;PARTIAL=1.0',
    '/Drafts/;UID=1/;PARTIAL=x',
    '/Drafts',
    '/nowhere/;UID=1',
    '/%zz/;UID=1',
    '/../bob@example.org/INBOX/;UID=1',
    'imap://alice@example.org/Drafts/;UID=1',
    '//example.org/Drafts/;UID=1',
    '//testimap2@example.org/INBOX/;UID=1',
    'Drafts/;UID=1',
    '/Drafts/;UID=1;URLAUTH=anonymous:INTERNAL:00112233445566778899aabbccddeeff',
    '',
    `/${'x'.repeat(20_000)}/;UID=1`,
  ])('no such message, or none of ours: %s', async (url) => {
    const text = literal('A: b\r\n');
    expect(await client.tagged(`APPEND Sent CATENATE (TEXT ${text} URL "${url}" TEXT ${text})`)).toMatch(
      /^NO \[BADURL [^\]]*\]/,
    );
    expect(await contents('Sent')).toEqual([]);
  });

  test('the first bad URL is named, with octets that a response code may have', async () => {
    const answer = await client.tagged(
      `APPEND Sent CATENATE (URL /Drafts/;UID=1 URL "/a]b\\\\\xff/;UID=7" URL /c/;UID=7)`,
    );
    expect(answer).toMatch(/^NO \[BADURL \/a%5Db%5C%FF\/;UID=7\] /);
  });

  test('texts and URLs, in several messages; \\Seen is not set', async () => {
    await client.ok(
      `APPEND Sent (\\Seen) CATENATE (TEXT ${literal('A: b\n')} TEXT {2+}\r\n\r\n URL /Drafts/;UID=1/;SECTION=2) "17-Jul-1996 02:44:25 -0700" CATENATE (URL /Drafts/;UID=1) ${literal(MAIL)}`,
    );
    expect(await contents('Sent')).toEqual(['A: b\r\n\r\nsecond', MULTI, MAIL]);
    await client.ok('SELECT Drafts');
    expect(await client.ok('FETCH 1 FLAGS')).toEqual([expect.not.stringContaining('Seen')]);
  });

  test('line ends are made at the seams of all octets, not of each piece', async () => {
    await client.ok(
      `APPEND Sent CATENATE (TEXT ${literal('A: b\r')} TEXT ${literal('\n\n')} TEXT ${literal('c\r')} URL /Drafts/;UID=1/;SECTION=2)`,
    );
    expect(await contents('Sent')).toEqual(['A: b\r\n\r\nc\rsecond']);
  });

  test('what is too big is refused: by its texts while they come, by its messages before they are read', async () => {
    await world.fill('Drafts', [`A: b\n\n${'x'.repeat(LIMIT / 2)}\n`]);
    client.send(`a APPEND Sent CATENATE (TEXT {${LIMIT}}\r\n`);
    expect(await client.response()).toMatch(/^\+/);
    client.send(`${'y'.repeat(LIMIT)} TEXT {1}\r\n`);
    expect(await client.response()).toMatch(/^a NO \[TOOBIG\]/);
    const url = 'URL /Drafts/;UID=2';
    expect(await client.tagged(`APPEND Sent CATENATE (${url} ${url} ${url})`)).toMatch(/^NO \[TOOBIG\]/);
    expect(
      await client.tagged(
        `APPEND Sent CATENATE (${Array(1001).fill('URL /Drafts/;UID=1/;SECTION=2').join(' ')})`,
      ),
    ).toMatch(/^NO \[LIMIT\]/);
    await client.ok(`APPEND Sent CATENATE (${url} TEXT ${literal('z')})`);
    expect((await contents('Sent')).map(({ length }) => length)).toEqual([LIMIT / 2 + 11]);
    expect(readdirSync(join(world.directory, 'spool'))).toEqual([]);
  });

  test.each([
    ['APPEND nowhere CATENATE (URL /Drafts/;UID=1)', /^NO \[TRYCREATE\]/],
    ['APPEND nowhere CATENATE (URL /Drafts/;UID=99)', /^NO \[TRYCREATE\]/],
    ['APPEND nowhere CATENATE (TEXT {3}', /^NO \[TRYCREATE\]/],
    ['APPEND Sent CATENATE ()', /^BAD/],
    ['APPEND Sent CATENATE (URL /Drafts/;UID=1', /^BAD/],
    ['APPEND Sent CATENATE (FOO /Drafts/;UID=1)', /^BAD/],
    ['APPEND Sent CATENATE (URL /Drafts/;UID=1) ', /^OK/],
    ['APPEND Sent CATENATE (URL /Drafts/;UID=1/;PARTIAL=100000.1)', /^NO \[CANNOT\]/],
    ['APPEND Sent UTF8 (~{1+}\r\nx)', /^BAD/],
    ['APPEND Sent CATENATE (UTF8 (~{1+}\r\nx))', /^BAD/],
    ['APPEND Sent (\\Seen) {1+}\r\nx(\\Seen) {1+}\r\nx', /^BAD/],
  ])('%s', async (command, answer) => {
    expect(await client.tagged(command)).toMatch(answer);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });
});

describe('REPLACE (RFC 8508)', () => {
  beforeEach(() => world.fill('Drafts', ['A: 1\n\n', 'A: 2\n\n', 'A: 3\n\n']));

  test('flags and date are those of the command; the mailbox may be another one', async () => {
    await client.ok('SELECT Drafts');
    await client.ok('STORE 1:3 +FLAGS (\\Flagged)');
    const validity = await uidValidity('Sent');
    expect(
      await client.ok(`REPLACE 2 Sent (\\Seen) "17-Jul-1996 02:44:25 -0700" ${literal('A: sent\r\n\r\n')}`),
    ).toEqual([`OK [APPENDUID ${validity} 1] Replacement message stored`, '2 EXPUNGE']);
    expect(await contents('Drafts')).toEqual(['A: 1\r\n\r\n', 'A: 3\r\n\r\n']);
    await client.ok('SELECT Sent');
    const [line] = await client.ok('FETCH 1 (FLAGS INTERNALDATE)');
    expect(line).toMatch(/FLAGS \(\\Seen( \\Recent)?\) INTERNALDATE "17-Jul-1996 09:44:25/);
  });

  test.each([
    ['REPLACE 4 Drafts', /^BAD/],
    ['REPLACE 1:2 Drafts', /^BAD/],
    ['REPLACE 1,2 Drafts', /^BAD/],
    ['REPLACE $ Drafts', /^BAD/],
    ['UID REPLACE 9 Drafts', /^NO \[NONEXISTENT\]/],
    ['REPLACE 1 nowhere', /^NO \[TRYCREATE\]/],
    ['REPLACE 1 Drafts (\\Recent)', /^BAD/],
  ])('%s is refused before the message is sent, and after', async (command, answer) => {
    await client.ok('SELECT Drafts');
    expect(await client.tagged(`${command} {100}`)).toMatch(answer);
    expect(await client.tagged(`${command} ${literal(MAIL)}`)).toMatch(answer);
    expect(await client.tagged(`${command} ${literal('')}`)).toMatch(/^(NO|BAD)/);
    expect(await contents('Drafts')).toHaveLength(3);
  });

  test('one message, in the selected state, opened for writing', async () => {
    expect(await client.tagged(`REPLACE 1 Drafts ${literal(MAIL)}`)).toMatch(/^BAD Select/);
    await client.ok('SELECT Drafts');
    expect(await client.tagged(`REPLACE 1 Drafts ${literal(MAIL)} ${literal(MAIL)}`)).toMatch(/^BAD/);
    expect(await client.tagged(`REPLACE 1 Drafts ${literal('')}`)).toMatch(/^NO \[CANNOT\]/);
    await client.ok('EXAMINE Drafts');
    expect(await client.tagged(`REPLACE 1 Drafts {10}`)).toMatch(/^NO \[NOPERM\]/);
    expect(await client.tagged(`REPLACE 1 Drafts CATENATE (URL /Drafts/;UID=2)`)).toMatch(/^NO \[NOPERM\]/);
    expect(await contents('Drafts')).toHaveLength(3);
  });

  test('a message that is gone meanwhile: NO, and nothing is stored; its EXPUNGE is told', async () => {
    const other = await world.login('Drafts');
    await client.ok('SELECT Drafts');
    await other.ok('STORE 2 +FLAGS (\\Deleted)');
    client.send('a REPLACE 2 Drafts {5}\r\n');
    expect(await client.response()).toMatch(/^\+/);
    await other.ok('EXPUNGE');
    client.send('A: b\n\r\n');
    const { untagged, tagged } = await client.answer('a');
    expect(tagged).toMatch(/^NO \[EXPUNGEISSUED\]/);
    expect(untagged).toContain('2 EXPUNGE');
    expect(await contents('Drafts')).toEqual(['A: 1\r\n\r\n', 'A: 3\r\n\r\n']);
  });

  test('other sessions hear of both; QRESYNC says VANISHED and HIGHESTMODSEQ (section 4.5)', async () => {
    const other = await world.login('Drafts');
    await client.ok('ENABLE QRESYNC');
    await client.ok('SELECT Drafts');
    const { untagged, tagged } = await client.ask(`UID REPLACE 3 Drafts ${literal(MAIL)}`);
    expect(untagged).toContain('4 EXISTS');
    expect(untagged.at(-1)).toBe('VANISHED 3');
    const modSeq = (await store.mailbox('Drafts'))?.highestModSeq;
    expect(tagged).toMatch(new RegExp(`^OK \\[HIGHESTMODSEQ ${modSeq}\\]`));
    expect(await other.ok('NOOP')).toEqual(expect.arrayContaining(['3 EXPUNGE', '3 EXISTS']));
  });

  test('the size of what goes counts off (section 3.4)', async () => {
    const small = await ImapWorld.start({ mail: { quotaBytes: 100_000 } });
    const one = await small.login();
    await one.ok(`APPEND INBOX ${literal('x'.repeat(90_000))}`);
    await one.ok('SELECT INBOX');
    one.send('a REPLACE 1 INBOX {100001}\r\n');
    expect(await one.response()).toMatch(/^a NO \[OVERQUOTA\]/);
    one.send('b REPLACE 1 INBOX {99999}\r\n');
    expect(await one.response()).toMatch(/^\+/);
    one.send(`${'y'.repeat(99_999)}\r\n`);
    expect((await one.answer('b')).tagged).toMatch(/^OK/);
    await small.close();
  });

  test('what is pipelined behind it is done after it', async () => {
    await client.ok('SELECT Drafts');
    client.send(
      `a REPLACE 1 Drafts ${literal(MAIL)}\r\nb REPLACE * Drafts ${literal('A: last\r\n\r\n')}\r\nc NOOP\r\n`,
    );
    for (const tag of ['a', 'b', 'c']) expect((await client.answer(tag)).tagged).toMatch(/^OK/);
    expect(await contents('Drafts')).toEqual(['A: 2\r\n\r\n', 'A: 3\r\n\r\n', 'A: last\r\n\r\n']);
  });
});

describe('UTF8 (RFC 6855 4)', () => {
  test('once it is enabled, in APPEND, CATENATE and REPLACE', async () => {
    const mail = 'Subject: \xc3\xa9t\xc3\xa9\r\n\r\nx\r\n';
    await client.ok('ENABLE UTF8=ACCEPT');
    const utf8 = `UTF8 (${literal(mail, '~')})`;
    await client.ok(`APPEND Drafts (\\Seen) ${utf8} ${utf8}`);
    await client.ok(`APPEND Drafts CATENATE (${utf8} TEXT ${literal('more\r\n')} URL /Drafts/;UID=1)`);
    await client.ok('SELECT Drafts');
    await client.ok(`REPLACE 1 Drafts ${utf8}`);
    expect(await contents('Drafts')).toEqual([mail, `${mail}more\r\n${mail}`, mail]);
    expect(await client.tagged('APPEND Drafts UTF8 ({1+}\r\nx)')).toMatch(/^BAD/);
    expect(await client.tagged('APPEND Drafts UTF8 ~{1+}\r\nx')).toMatch(/^BAD/);
    client.send('a APPEND Drafts UTF8 (~{6}\r\n');
    expect(await client.response()).toMatch(/^\+/);
    client.send('A: b\r\n)\r\n');
    expect((await client.answer('a')).tagged).toMatch(/^OK/);
  });
});

test('on disk: messages in files, put together of files, in place of one that is big', async () => {
  const { path, remove } = temporaryDirectory();
  const disk = maildirStore(path);
  const real = await ImapWorld.start({ store: disk });
  const one = await real.login();
  const big = `Subject: big\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n${'0123456789abcdef\r\n'.repeat(40_000)}--b--\r\n`;
  await one.ok(`APPEND INBOX (\\Seen) ${literal(big)} ${literal(MAIL)} ${literal(big)}`);
  await one.ok('SELECT INBOX');
  const part = big.slice(big.indexOf('0123'), -9);
  expect(
    await one.ok(
      `UID REPLACE 1 Drafts CATENATE (TEXT ${literal('A: b\n\n')} URL ;UID=1/;SECTION=1 URL /INBOX/;UID=3)`,
    ),
  ).toEqual([expect.stringMatching(/^OK \[APPENDUID \d+ 1\]/), '1 EXPUNGE']);
  await one.ok(`REPLACE 2 INBOX ${literal(`${BINARY}\0`, '~')}`);
  expect(await one.ok('FETCH 2 (UID BINARY.PEEK[1])')).toEqual(['2 FETCH (UID 4 BINARY[1] ~{1}\r\n\0)']);
  await one.ok('SELECT Drafts');
  const [fetched] = await one.ok('FETCH 1 BODY.PEEK[]');
  expect(fetched === `1 FETCH (BODY[] {${part.length + 8 + big.length}}\r\nA: b\r\n\r\n${part}${big})`).toBe(
    true,
  );
  expect(readdirSync(join(real.directory, 'spool'))).toEqual([]);
  await real.close();
  await disk.close();
  remove();
});
