import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasEightBitHeader } from '../../src/imap/utf8-header.ts';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/** UTF8=ACCEPT (RFC 6855, RFC 9755), which print no dialogue. */

/** As the wire has it, one char an octet. */
const wire = (text: string): string => Buffer.from(text).toString('latin1');

const EAI = 'From: Jürgen <jürgen@exämple.org>\r\nSubject: Grüße\r\n\r\nHallo\r\n';
const LATIN1 = 'Subject: Gr\xfc\xdfe\r\n\r\nHallo\r\n';

let world: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start();
  await world.fill('INBOX', ['Subject: one\n\nbody\n', EAI]);
  await world.fill('Entwürfe', []);
});
afterAll(() => world.close());

async function accepting(): Promise<Client> {
  const client = await world.login();
  expect(await client.ok('ENABLE UTF8=ACCEPT')).toEqual(['ENABLED UTF8=ACCEPT']);
  return client;
}

describe('ENABLE', () => {
  test('is announced, and not valid when a mailbox is open (RFC 6855 3)', async () => {
    const client = await world.login();
    const [capabilities = ''] = await client.ok('CAPABILITY');
    expect(capabilities.split(' ')).toContain('UTF8=ACCEPT');
    expect(capabilities).not.toContain('UTF8=ONLY');
    await client.ok('SELECT INBOX');
    expect(await client.tagged('ENABLE UTF8=ACCEPT')).toMatch(/^BAD/);
    expect(await client.ok('LIST "" Entw*')).toEqual(['LIST (\\HasNoChildren) "/" Entw&APw-rfe']);
    await client.ok('UNSELECT');
    await client.ok('ENABLE UTF8=ACCEPT');
    expect(await client.ok('LIST "" Entw*')).toEqual([wire('LIST (\\HasNoChildren) "/" "Entwürfe"')]);
  });

  test('UTF8=ONLY is nothing that a client enables (RFC 6855 6)', async () => {
    const client = await world.login();
    expect(await client.ok('ENABLE UTF8=ONLY')).toEqual(['ENABLED']);
  });

  test('ends with the login (RFC 8437 3)', async () => {
    const client = await accepting();
    await client.ok('UNAUTHENTICATE');
    await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
    expect(await client.ok('LIST "" Entw*')).toEqual(['LIST (\\HasNoChildren) "/" Entw&APw-rfe']);
  });
});

describe('names and strings', () => {
  test('mailboxes are named in quoted UTF-8', async () => {
    const client = await accepting();
    await client.ok(wire('CREATE "Тест/Été"'));
    await client.ok(wire('SUBSCRIBE "Тест/Été"'));
    expect(await client.ok('LSUB "" *')).toContain(wire('LSUB () "/" "Тест/Été"'));
    expect(await client.ok(wire('STATUS "Тест/Été" (MESSAGES)'))).toEqual([
      wire('STATUS "Тест/Été" (MESSAGES 0)'),
    ]);
    expect(await client.ok(wire('RENAME "Тест/Été" "Тест/Hiver"'))).toEqual([]);
    // Without it, all the same in modified UTF-7.
    const old = await world.login();
    expect(await old.ok('LIST "" *Hiver')).toEqual(['LIST (\\HasNoChildren) "/" &BCIENQRBBEI-/Hiver']);
  });

  test('what is not UTF-8, or no Net-Unicode, is refused (RFC 6855 3)', async () => {
    const client = await accepting();
    for (const bad of ['\xff', 'a\xc3', '\xed\xa0\x80', '\xc0\x80'])
      expect(await client.tagged(`CREATE "${bad}"`)).toMatch(/^BAD/);
    for (const control of ['\u0085', '\u2028', '\u2029', '\u007f', '\u0001'])
      expect(await client.tagged(wire(`CREATE "a${control}b"`))).toMatch(/^NO \[CANNOT\]/);
  });

  test('a search is UTF-8 and names no charset (RFC 6855 3, RFC 9755 3)', async () => {
    const client = await accepting();
    await client.ok('SELECT INBOX');
    expect(await client.ok(wire('SEARCH SUBJECT "grüße"'))).toEqual(['SEARCH 2']);
    for (const command of [
      'SEARCH CHARSET UTF-8 ALL',
      'SEARCH CHARSET US-ASCII ALL',
      'UID SEARCH RETURN () CHARSET utf-8 ALL',
    ])
      expect(await client.tagged(command)).toMatch(/^BAD/);
    expect(await client.ok(wire('SORT (SUBJECT) UTF-8 SUBJECT "Grüße"'))).toEqual(['SORT 2']);
    expect(await client.tagged('SORT (SUBJECT) US-ASCII ALL')).toMatch(/^BAD/);
    expect(await client.tagged('THREAD REFERENCES ISO-8859-1 ALL')).toMatch(/^BAD/);
  });

  test('both IMAP4rev2 and UTF8=ACCEPT', async () => {
    const client = await world.login();
    expect(await client.ok('ENABLE IMAP4rev2 UTF8=ACCEPT')).toEqual(['ENABLED IMAP4rev2 UTF8=ACCEPT']);
    expect(await client.ok(wire('SELECT "Entwürfe"'))).toContain(
      wire('LIST (\\HasNoChildren) "/" "Entwürfe"'),
    );
  });
});

describe('headers', () => {
  const literal = (text: string): string => `{${Buffer.from(text).length}+}\r\n${wire(text)}`;

  test('APPEND of 8-bit header fields is for who has enabled it (RFC 6855 4)', async () => {
    const client = await world.login();
    for (const message of [literal(EAI), `{${LATIN1.length}+}\r\n${LATIN1}`])
      expect(await client.tagged(`APPEND INBOX ${message}`)).toMatch(/^NO \[CANNOT\]/);
    // All or nothing.
    const plain = 'Subject: a\r\n\r\nb\r\n';
    expect(await client.tagged(`APPEND INBOX ${literal(plain)} ${literal(EAI)}`)).toMatch(/^NO/);
    await client.ok(`APPEND INBOX ${literal('Subject: a\r\n\r\nGrüße\r\n')}`);
    expect(await client.tagged(`APPEND INBOX UTF8 (~${literal(EAI)})`)).toMatch(/^BAD/);
  });

  test('then both as a literal and as UTF8 data', async () => {
    const client = await accepting();
    await client.ok('CREATE Eai');
    await client.ok(`APPEND Eai ${literal(EAI)}`);
    await client.ok(`APPEND Eai (\\Seen) UTF8 (~${literal(EAI)})`);
    await client.ok(
      `APPEND Eai CATENATE (UTF8 (~${literal(EAI.slice(0, 30))}) TEXT ${literal(EAI.slice(30))})`,
    );
    await client.ok('SELECT Eai');
    const whole = `{${Buffer.from(EAI).length}}\r\n${wire(EAI)}`;
    for (const number of [1, 2, 3])
      expect(await client.ok(`FETCH ${number} BODY.PEEK[]`)).toEqual([`${number} FETCH (BODY[] ${whole})`]);
  });

  test('who has not enabled it reads these messages too, in literals only (RFC 6855 3, 8)', async () => {
    const client = await world.login('INBOX');
    const [envelope = ''] = await client.ok('FETCH 2 ENVELOPE');
    expect(envelope).toContain(`{7}\r\n${wire('Grüße')}`);
    expect(envelope).not.toMatch(/"[^"\r\n]*[\x80-\xff][^"\r\n]*"/);
    const [header = ''] = await client.ok('FETCH 2 BODY.PEEK[HEADER.FIELDS (SUBJECT)]');
    expect(header).toContain(wire('Subject: Grüße'));
  });

  test('the header ends at the first empty line, wherever pieces end', async () => {
    const raw = (...pieces: string[]): RawMessage =>
      rawMessage(pieces.map((piece) => Buffer.from(piece, 'latin1')));
    expect(await hasEightBitHeader(raw('A: \xe9\r\n\r\n'))).toBe(true);
    expect(await hasEightBitHeader(raw('A: b\r\n\r\n\xe9'))).toBe(false);
    expect(await hasEightBitHeader(raw('A: b\r', '\n\r', '\n\xe9'))).toBe(false);
    expect(await hasEightBitHeader(raw('A: b\n', '\n', '\xe9'))).toBe(false);
    expect(await hasEightBitHeader(raw('A: b\r\n', 'B: c', '\xe9\r\n\r\n'))).toBe(true);
    expect(await hasEightBitHeader(raw('\r\n\xe9'))).toBe(false);
    expect(await hasEightBitHeader(raw('A: b', '\xe9'))).toBe(true);
    expect(await hasEightBitHeader(raw())).toBe(false);
  });
});

describe('where UTF8=ACCEPT is masked', () => {
  test('it is not offered, and APPEND takes what it always took', async () => {
    const masked = await ImapWorld.start({
      settings: { mask: [{ client: 'imapsync', hide: ['UTF8=ACCEPT'] }] },
    });
    try {
      const client = await masked.login();
      const command = `APPEND INBOX {${LATIN1.length}+}\r\n${LATIN1}`;
      expect(await client.tagged(command)).toMatch(/^NO/);
      const [, capabilities = ''] = await client.ok('ID ("name" "imapsync" "version" "2.229")');
      expect(capabilities).toMatch(/^CAPABILITY IMAP4rev1 /);
      expect(capabilities).not.toContain('UTF8');
      await client.ok(command);
    } finally {
      await masked.close();
    }
  });
});
