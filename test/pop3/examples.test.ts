import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { playTranscript } from '../transcript.ts';
import { ALICE, Client, PASSWORD, Pop3World } from './world.ts';

/**
 * The examples of RFC 1939, 2449, 2595 and 5034, with messages of the sizes that they name: one of 120 octets, one of 200.
 * What is not played, and why:
 *
 * - RFC 1939 7, USER: whether there is such a user is told after the password alone.
 * - RFC 1939 7, UIDL: the unique ids are ours.
 * - RFC 2449 5: KERBEROS_V4, LOGIN-DELAY and EXPIRE are as they are configured (settings.test.ts).
 * - RFC 5034 6: DIGEST-MD5 is historic (RFC 6331) and not there.
 * - RFC 3206 prints no dialogue; SYS/TEMP and AUTH are in pop3.test.ts.
 * - RFC 2595 3 is IMAP's STARTTLS (test/imap/login.test.ts), its other examples are ACAP's.
 */

let world: Pop3World;
const ONE = `Subject: one\r\n\r\n${'x'.repeat(102)}\r\n`;
const TWO = `Subject: two\r\n\r\n${`${'y'.repeat(44)}\r\n`.repeat(4)}`;

beforeEach(async () => {
  world = await Pop3World.start({ cramMd5: true });
  world.inbox().add(ONE);
  world.inbox().add(TWO);
});
afterEach(() => world.close());

/** Without what greets and logs in. */
const session = (dialogue: string): Promise<void> =>
  playTranscript(
    `S: +OK *\nC: USER ${ALICE}\nS: +OK *\nC: PASS ${PASSWORD}\nS: +OK 2 messages (320 octets)\n${dialogue}`,
    world.connectTls,
  );

describe('RFC 1939', () => {
  test('the messages are those of the examples', () => {
    expect([ONE.length, TWO.length]).toEqual([120, 200]);
  });

  test('section 4, QUIT before login', () =>
    playTranscript(
      `S: +OK *
       C: QUIT
       S: +OK *
       S: [closed]`,
      world.connectTls,
    ));

  test('section 5', () =>
    session(
      `C: STAT
       S: +OK 2 320
       C: LIST
       S: +OK 2 messages (320 octets)
       S: 1 120
       S: 2 200
       S: .
       C: LIST 2
       S: +OK 2 200
       C: LIST 3
       S: -ERR no such message
       C: RETR 1
       S: +OK 120 octets
       S: Subject: one
       S:
       S: ${'x'.repeat(102)}
       S: .
       C: DELE 1
       S: +OK *
       C: DELE 2
       S: +OK *
       C: DELE 2
       S: -ERR message 2 is marked as deleted
       C: NOOP
       S: +OK*
       C: RSET
       S: +OK*`,
    ));

  test('section 6, QUIT', () =>
    session(
      `C: DELE 1
       S: +OK *
       C: QUIT
       S: +OK *
       S: [closed]
       C2: USER ${ALICE}
       S2: +OK *
       S2: +OK *
       C2: PASS ${PASSWORD}
       S2: +OK 1 message*`,
    ));

  test('section 7, TOP and UIDL', () =>
    session(
      `C: TOP 1 10
       S: +OK*
       S: Subject: one
       S:
       S: ${'x'.repeat(102)}
       S: .
       C: TOP 100 3
       S: -ERR no such message
       C: UIDL
       S: +OK*
       S: 1 $one$
       S: 2 $two$
       S: .
       C: UIDL 2
       S: +OK 2 $two$
       C: UIDL 3
       S: -ERR no such message`,
    ));

  test('section 7, USER and PASS: the maildrop is locked', async () => {
    const first = await world.login();
    await playTranscript(
      `S: +OK *
       C: USER ${ALICE}
       S: +OK *
       C: PASS ${PASSWORD}
       S: -ERR [IN-USE] *`,
      world.connectTls,
    );
    await first.ask('QUIT');
    await session('C: QUIT\nS: +OK *');
  });

  test('section 10, with APOP', async () => {
    const client = new Client(await world.connectTls());
    const timestamp = /<\S+@\S+>$/.exec(await client.line())?.[0] ?? '';
    const digest = createHash('md5')
      .update(timestamp + PASSWORD)
      .digest('hex');
    expect(await client.ask(`APOP ${ALICE} ${digest}`)).toBe('+OK 2 messages (320 octets)');
    expect(await client.ask('STAT')).toBe('+OK 2 320');
    expect(await client.lines('LIST')).toBe('1 120\r\n2 200\r\n');
    expect(await client.lines('RETR 1')).toBe(ONE);
    expect(await client.ask('DELE 1')).toMatch(/^\+OK/);
    expect(await client.lines('RETR 2')).toBe(TWO);
    expect(await client.ask('DELE 2')).toMatch(/^\+OK/);
    expect(await client.ask('QUIT')).toMatch(/^\+OK/);
    expect(world.inbox().messages.size).toBe(0);
  });
});

describe('RFC 2449', () => {
  test('section 5, CAPA', async () => {
    const capabilities = await (await world.client()).lines('CAPA');
    for (const line of ['TOP', 'USER', 'RESP-CODES', 'PIPELINING', 'UIDL'])
      expect(capabilities.split('\r\n')).toContain(line);
    expect(capabilities).toMatch(/^SASL (?=.*\bCRAM-MD5\b)(?=.*\bPLAIN\b).*\r\n/m);
    expect(capabilities).toMatch(/^EXPIRE NEVER\r\n/m);
    expect(capabilities).toMatch(/^IMPLEMENTATION Facteur/m);
  });

  test('section 8.1.2, IN-USE', async () => {
    await world.login();
    const client = new Client(await world.connectTls());
    const timestamp = /<\S+@\S+>$/.exec(await client.line())?.[0] ?? '';
    const digest = createHash('md5')
      .update(timestamp + PASSWORD)
      .digest('hex');
    expect(await client.ask(`APOP ${ALICE} ${digest}`)).toMatch(/^-ERR \[IN-USE\] /);
  });
});

test('RFC 2595 4: STLS', () =>
  playTranscript(
    `S: +OK *
     C: STLS
     S: +OK *
     C: [tls]
     C: STLS
     S: -ERR the connection is encrypted already`,
    world.connectPlain,
  ));

describe('RFC 5034 6', () => {
  const response = Buffer.from(`\0${ALICE}\0${PASSWORD}`).toString('base64');

  test('PLAIN with an initial response, after STLS', async () => {
    const before = await (await world.client('plain')).lines('CAPA');
    expect(before).toMatch(/^STLS\r\n/m);
    expect(before).not.toMatch(/^SASL .*PLAIN/m);
    const after = await (await world.client()).lines('CAPA');
    expect(after).not.toMatch(/^STLS\r\n/m);
    expect(after).toMatch(/^SASL .*PLAIN/m);
    await playTranscript(
      `S: +OK *
       C: STLS
       S: +OK *
       C: [tls]
       C: AUTH PLAIN ${response}
       S: +OK *`,
      world.connectPlain,
    );
  });

  test('PLAIN without one', () =>
    playTranscript(
      `S: +OK *
       C: AUTH PLAIN
       S: +*
       C: ${response}
       S: +OK *`,
      world.connectTls,
    ));
});
