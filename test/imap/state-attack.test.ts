import { once } from 'node:events';
import { connect as tlsConnect } from 'node:tls';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ALICE, BOB, Client, ImapWorld, PASSWORD } from './world.ts';

/**
 * Commands in orders that no honest client sends: layers under one another, what is sent ahead of them, exchanges broken
 * off, literals in the wrong places. The session goes on or ends as the RFC says, and nobody's words become another's.
 */

let world: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start({ settings: { maxErrors: 1000, maxAuthFailures: 1000 } });
  await world.fill('INBOX', ['Subject: one\n\nbody\n', 'Subject: two\n\nbody\n', 'Subject: three\n\nbody\n']);
  await world.fill('INBOX', ['Subject: of bob\n\nbody\n'], BOB);
});
afterAll(() => world.close());

const SYNC = { finishFlush: constants.Z_SYNC_FLUSH };

async function secured(socket: Client['socket']): Promise<Client> {
  socket.removeAllListeners('data');
  const secure = tlsConnect({ socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  return new Client(secure);
}

describe('STARTTLS', () => {
  test('what was sent behind it in the clear is never run (CVE-2011-0411)', async () => {
    for (const behind of [
      `b LOGIN ${ALICE} "${PASSWORD}"\r\nc NOOP\r\n`,
      'b ID ("name" "evil")\r\n',
      'b LANGUAGE fr\r\n',
      'b APPEND INBOX {100+}\r\n',
      'b AUTHENTICATE PLAIN\r\n',
      '\r\n',
      'b LOGIN {5+}\r\nali',
    ]) {
      const client = await world.client('plain');
      client.send(`a STARTTLS\r\n${behind}`);
      expect(await client.response()).toMatch(/^a OK/);
      const secure = await secured(client.socket);
      const { untagged, tagged } = await secure.ask('CAPABILITY');
      expect(untagged).toEqual([expect.stringMatching(/^CAPABILITY .*AUTH=PLAIN/)]);
      expect(tagged).toMatch(/^OK CAPABILITY completed/);
      expect(await secure.tagged('SELECT INBOX')).toMatch(/^BAD Log in before/);
      expect(await secure.tagged('STARTTLS')).toMatch(/^BAD/);
    }
  });

  test('is over after login, on TLS and inside of compression', async () => {
    const client = await world.login();
    expect(await client.tagged('STARTTLS')).toMatch(/^BAD/);
    await client.ok('COMPRESS DEFLATE');
    client.send(
      deflateRawSync('a STARTTLS\r\nb COMPRESS DEFLATE\r\nc AUTHENTICATE PLAIN\r\nd LOGOUT\r\n', SYNC),
    );
    const words = inflateRawSync(Buffer.from(await client.closed(), 'latin1'), SYNC).toString();
    expect(words).toMatch(
      /^a BAD .*\r\nb NO \[COMPRESSIONACTIVE\] .*\r\nc BAD .*\r\n\* BYE .*\r\nd OK .*\r\n$/,
    );
  });

  test('commands behind COMPRESS that are not compressed end the connection, and are not run', async () => {
    const client = await world.login();
    client.send('a COMPRESS DEFLATE\r\nb CREATE injected\r\nc CREATE injected\r\n');
    expect(await client.response()).toMatch(/^a OK/);
    await client.closed();
    const after = await world.login();
    expect(await after.ok('LIST "" injected')).toEqual([]);
  });

  test('no password in the clear by any way', async () => {
    const client = await world.client('plain');
    const plain = Buffer.from(`\0${ALICE}\0${PASSWORD}`).toString('base64');
    for (const command of [
      `LOGIN ${ALICE} "${PASSWORD}"`,
      `AUTHENTICATE PLAIN ${plain}`,
      'AUTHENTICATE LOGIN',
    ])
      expect(await client.tagged(command)).toMatch(/^NO \[(PRIVACYREQUIRED|CANNOT)\]/);
  });
});

describe('AUTHENTICATE broken off', () => {
  const user = Buffer.from(ALICE).toString('base64');
  const scram = Buffer.from(`n,,n=${ALICE},r=abcdefghijkl`).toString('base64');
  test.each([
    ['PLAIN', ['*']],
    ['PLAIN', ['']],
    ['PLAIN', ['***']],
    ['PLAIN', ['=']],
    ['PLAIN', ['A'.repeat(16_000)]],
    ['LOGIN', ['*']],
    ['LOGIN', [user, '*']],
    ['LOGIN', [user, '\0']],
    ['SCRAM-SHA-256', ['*']],
    ['SCRAM-SHA-256', [scram, '*']],
    ['SCRAM-SHA-256', [scram, scram]],
    ['SCRAM-SHA-256-PLUS', [scram, '*']],
    ['OAUTHBEARER', ['bixhPXgsAQ==', 'AQ==']],
    ['OAUTHBEARER', ['*']],
    ['PLAIN', ['A'.repeat(20_000)]],
  ])('%s, case %#', async (mechanism, steps) => {
    const client = await world.client();
    client.send(`a AUTHENTICATE ${mechanism}\r\n`);
    let answer = await client.response();
    for (const step of steps) {
      if (!answer.startsWith('+')) break;
      client.send(`${step}\r\n`);
      answer = await client.response();
    }
    expect(answer).toMatch(/^a (BAD|NO) /);
    expect(await client.tagged('SELECT INBOX')).toMatch(/^BAD Log in before/);
    await client.ok(`LOGIN ${BOB} "${PASSWORD}"`);
    await client.ok('SELECT INBOX');
    expect((await client.ok('FETCH 1 BODY[HEADER]')).join()).toContain('of bob');
  });

  test('commands sent ahead are not taken for its answers', async () => {
    const client = await world.client();
    client.send(`a AUTHENTICATE PLAIN\r\nb LOGIN ${ALICE} "${PASSWORD}"\r\nc SELECT INBOX\r\n`);
    expect(await client.response()).toBe('+ ');
    expect(await client.response()).toMatch(/^a BAD/);
    expect(await client.response()).toMatch(/^c BAD Log in before/);
  });
});

describe('IDLE', () => {
  let client: Client;
  beforeEach(async () => {
    client = await world.login('INBOX');
  });

  test.each(['', 'NOOP', 'a LOGOUT', 'DONE ', ' DONE', 'DONE\0', 'DONEDONE', `${'x'.repeat(5000)}`, '{5}'])(
    'ended by something else than DONE, case %#',
    async (line) => {
      client.send('i IDLE\r\n');
      await client.response();
      client.send(`${line}\r\n`);
      expect(await client.response()).toMatch(/^i BAD/);
      expect(await client.tagged('NOOP')).toMatch(/^OK/);
    },
  );

  test('with DONE and more sent ahead', async () => {
    client.send('i IDLE\r\ndone\r\nj IDLE\r\nDONE\r\nk NOOP\r\n');
    for (const expected of [/^\+ /, /^i OK/, /^\+ /, /^j OK/, /^k OK/])
      expect(await client.response()).toMatch(expected);
  });

  test('closed in the middle of DONE', async () => {
    client.send('i IDLE\r\n');
    await client.response();
    client.socket.end('DON');
    expect(await client.closed()).toBe('');
  });
});

test('LOGOUT: what was sent behind it is not run', async () => {
  const client = await world.login();
  client.send('a LOGOUT\r\nb CREATE behind\r\n');
  expect(await client.closed()).toMatch(/^\* BYE [^\r]*\r\na OK [^\r]*\r\n$/);
  expect(await (await world.login()).ok('LIST "" behind')).toEqual([]);
});

describe('literals and odd octets, in every command', () => {
  const COMMANDS = [
    'ID (',
    'LANGUAGE ',
    'ENABLE ',
    'SELECT ',
    'EXAMINE ',
    'STATUS ',
    'CREATE ',
    'DELETE ',
    'RENAME ',
    'RENAME a ',
    'SUBSCRIBE ',
    'LIST "" ',
    'LSUB ',
    'NAMESPACE ',
    'GETACL ',
    'SETACL ',
    'SETACL a ',
    'SETACL a b ',
    'MYRIGHTS ',
    'LISTRIGHTS ',
    'GETQUOTA ',
    'GETQUOTAROOT ',
    'SETQUOTA ',
    'GETMETADATA ',
    'SETMETADATA ',
    'SETMETADATA a (/private/x ',
    'SEARCH ',
    'SEARCH BODY ',
    'SEARCH HEADER a ',
    'SORT ',
    'THREAD ',
    'ESEARCH ',
    'NOTIFY ',
    'FETCH ',
    'FETCH 1 BODY[HEADER.FIELDS (',
    'STORE ',
    'STORE 1 +FLAGS ',
    'COPY 1 ',
    'MOVE 1 ',
    'REPLACE 1 ',
    'APPEND ',
    'APPEND INBOX ',
    'APPEND INBOX CATENATE (URL ',
    'CANCELUPDATE ',
    'UID ',
    'UID EXPUNGE ',
    'UNSELECT ',
    'IDLE ',
    'NOOP ',
    'COMPRESS ',
    'UIDBATCHES ',
    '',
  ] as const;

  test('none ends the session, and none that would change something is OK', async () => {
    const client = await world.login('INBOX');
    const taken: string[] = [];
    for (const command of COMMANDS)
      for (const odd of [
        '~{3+}\r\na\0b',
        '{3+}\r\na\0b',
        '"a\0b"',
        '"a\rb"',
        '"a',
        '"a\\',
        '"a\\b"',
        '{3+}\r\na\r\n {99999999999999999999}',
        '{-1}',
        '{1+',
        '{0+}\r\n{0+}\r\n',
        '\xff\xfe',
        `{70000+}\r\n${'x'.repeat(70_000)}`,
        '('.repeat(3000),
      ]) {
        const tagged = await client.tagged(`${command}${odd}`);
        expect(tagged).not.toMatch(/SERVERBUG/);
        if (tagged.startsWith('OK')) taken.push(`${command}${odd.slice(0, 15)}`);
      }
    // A search for NUL finds nothing.
    expect(taken).toEqual([
      'SEARCH BODY {3+}\r\na\0b',
      'SEARCH HEADER a {3+}\r\na\0b',
      'APPEND INBOX {70000+}\r\nxxxxx',
    ]);
    expect(await client.ok('FETCH 1:* UID')).toHaveLength(4);
  });

  test('the same before login', async () => {
    const client = await world.client();
    for (const command of [
      'LOGIN ',
      'LOGIN a ',
      'AUTHENTICATE ',
      'AUTHENTICATE PLAIN ',
      'ID (',
      'CAPABILITY ',
      'LANGUAGE ',
      '',
    ])
      for (const odd of [
        '{3+}\r\na\0b',
        '"a\0b"',
        '"a',
        '{0+}\r\n',
        '{99999999999999999999}',
        `{70000+}\r\n${'x'.repeat(70_000)}`,
      ])
        expect(await client.tagged(`${command}${odd}`), command + odd.slice(0, 20)).toMatch(/^(NO|BAD) /);
    expect(await client.tagged(`ID ("name" {30000+}\r\n${'x'.repeat(30_000)})`)).toMatch(/^(OK|BAD|NO)/);
    await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
  });
});
