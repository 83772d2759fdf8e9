import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { playTranscript } from '../transcript.ts';
import { ALICE, ImapWorld, PASSWORD } from './world.ts';

let world: ImapWorld;
let trusting: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start({ cramMd5: true, settings: { maxAuthFailures: 3 } });
  trusting = await ImapWorld.start({ plaintextFrom: '127.0.0.1' });
});
afterAll(async () => {
  await world.close();
  await trusting.close();
});

const plain = (user: string, password: string): string =>
  Buffer.from(`\0${user}\0${password}`).toString('base64');

test('the sample session of a person at a terminal replays', async (context) => {
  const fixture = resolve(import.meta.dirname, '../../../shared/fixtures/imap-basic.txt');
  let text: string;
  try {
    text = readFileSync(fixture, 'utf8');
  } catch {
    return context.skip(`no ${fixture}`);
  }
  await trusting.fill('INBOX', ['From: a@example.org\nSubject: x\n\ncoucou\n'], 'testimap2@example.org');
  await playTranscript(text, trusting.connectPlain);
});

describe('without TLS', () => {
  test('no password is taken, and STARTTLS changes that (RFC 9051 6.2.1, 6.2.3)', async () => {
    await playTranscript(
      `
      S: * OK [CAPABILITY IMAP4rev1 * STARTTLS LOGINDISABLED*] *
      C: a CAPABILITY
      S: * CAPABILITY IMAP4rev1 *STARTTLS LOGINDISABLED*
      S: a OK *
      C: b LOGIN ${ALICE} "${PASSWORD}"
      S: b NO [PRIVACYREQUIRED] *
      C: c AUTHENTICATE PLAIN ${plain(ALICE, PASSWORD)}
      S: c NO [PRIVACYREQUIRED] *
      C: d SELECT INBOX
      S: d BAD Log in before SELECT
      C: e STARTTLS
      S: e OK *
      C: [tls]
      C: f STARTTLS
      S: f BAD *
      C: g LOGIN ${ALICE} "${PASSWORD}"
      S: g OK [CAPABILITY IMAP4rev1 *] *
      C: h STARTTLS
      S: h BAD *
      C: i LOGOUT
      S: * BYE *
      S: i OK *
      S: [closed]
      `,
      world.connectPlain,
    );
  });

  test('what is pipelined after STARTTLS is not a command (CVE-2011-0411)', async () => {
    await playTranscript(
      `
      S: * OK *
      C: a STARTTLS
      S: a OK *
      C: [tls]
      C: b NOOP
      S: b OK *
      `,
      world.connectPlain,
    );
    const client = await world.client('plain');
    client.send('a STARTTLS\r\nb CAPABILITY\r\n');
    expect((await client.response()).slice(0, 4)).toBe('a OK');
    // Nothing is said before the handshake, to `b` least of all.
    const more = await Promise.race([
      client.response(),
      new Promise((done) => setTimeout(done, 50, 'nothing')),
    ]);
    expect(more).toBe('nothing');
    client.socket.destroy();
  });

  test('networks can be trusted', async () => {
    const client = await trusting.client('plain');
    expect((await client.ok('CAPABILITY'))[0]).not.toContain('LOGINDISABLED');
    await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
  });
});

describe('AUTHENTICATE (RFC 9051 6.2.2)', () => {
  test('PLAIN with an initial response, and with a challenge (SASL-IR, RFC 4959)', async () => {
    await playTranscript(
      `
      S: * OK [CAPABILITY * SASL-IR *AUTH=PLAIN*] *
      C: a AUTHENTICATE plain ${plain(ALICE, PASSWORD)}
      S: a OK [CAPABILITY IMAP4rev1 *] *
      C2: a AUTHENTICATE PLAIN
      S2: * OK *
      S2: + 
      C2: ${plain(ALICE, PASSWORD)}
      S2: a OK *
      `,
      world.connectTls,
    );
  });

  test('LOGIN asks twice', async () => {
    const client = await world.client();
    client.send('a AUTHENTICATE LOGIN\r\n');
    expect(await client.response()).toMatch(/^\+ /);
    client.send(`${Buffer.from(ALICE).toString('base64')}\r\n`);
    expect(await client.response()).toMatch(/^\+ /);
    client.send(`${Buffer.from(PASSWORD).toString('base64')}\r\n`);
    expect(await client.response()).toMatch(/^a OK \[CAPABILITY/);
  });

  test('what goes wrong is said, and another try is possible', async () => {
    await playTranscript(
      `
      S: * OK *
      C: a AUTHENTICATE NOSUCH
      S: a NO [CANNOT] *
      C: b AUTHENTICATE PLAIN
      S: + 
      C: *
      S: b BAD Authentication cancelled
      C: c AUTHENTICATE PLAIN
      S: + 
      C: not base64!
      S: c BAD *
      C: d AUTHENTICATE PLAIN ???
      S: d BAD *
      C: e AUTHENTICATE PLAIN =
      S: e BAD *
      C: f AUTHENTICATE PLAIN ${plain(ALICE, 'wrong')}
      S: f NO [AUTHENTICATIONFAILED] *
      C: g LOGIN ${ALICE} {13}
      S: + Go ahead
      C: ${PASSWORD}
      S: g OK *
      `,
      world.connectTls,
    );
  });

  test('after too many wrong passwords the connection is closed', async () => {
    await playTranscript(
      `
      S: * OK *
      C: a LOGIN ${ALICE} one
      S: a NO [AUTHENTICATIONFAILED] *
      C: b LOGIN ${ALICE} two
      S: b NO [AUTHENTICATIONFAILED] *
      C: c LOGIN nobody three
      S: c NO [AUTHENTICATIONFAILED] *
      S: * BYE Too many failed logins
      S: [closed]
      `,
      world.connectTls,
    );
  });
});

test('passwords are in no log line', () => {
  const logged = JSON.stringify([...world.lines, ...trusting.lines]);
  for (const secret of [PASSWORD, plain(ALICE, PASSWORD), 'testimap2"]', 'three'])
    expect(logged).not.toContain(secret);
});

test('the end of a session is one line with its account, commands and bytes', async () => {
  const client = await world.login();
  await client.ok('NOOP');
  client.send('x LOGOUT\r\n');
  await client.closed();
  const ends = world.lines.filter((line) => line.message === 'imap session ended');
  expect(ends.at(-1)).toMatchObject({
    level: 'info',
    fields: { account: ALICE, reason: 'logout', commands: 3, ip: '127.0.0.1', tls: 'TLSv1.3' },
  });
  expect(ends.at(-1)?.fields).toMatchObject({ bytesIn: expect.any(Number), bytesOut: expect.any(Number) });
});
