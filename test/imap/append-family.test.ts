import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Uid } from '../../src/store/store.ts';
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
