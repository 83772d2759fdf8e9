import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { smtpWorld, Talker, type World } from './world.ts';

const b64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const PLAIN = b64('\0alice@example.org\0wonderland');

let world: World;
beforeAll(async () => {
  world = await smtpWorld({
    service: 'submission',
    cramMd5: true,
    changes: { allowPlaintextFrom: ['127.0.0.1'] },
  });
});
afterAll(() => world.close());
afterEach(() => expect(world.queue.open.size).toBe(0));

async function loggedIn(account = 'alice', password = 'wonderland'): Promise<Talker> {
  const talker = await Talker.greeted(await world.connect());
  expect(await talker.say(`AUTH PLAIN ${b64(`\0${account}@example.org\0${password}`)}`)).toMatch(/^235 /);
  return talker;
}

async function submit(text: string, from = 'alice@example.org', to = 'bob@example.org'): Promise<string> {
  const talker = await loggedIn();
  expect(await talker.say(`MAIL FROM:<${from}>`)).toMatch(/^250 /);
  expect(await talker.say(`RCPT TO:<${to}>`)).toMatch(/^250 /);
  await talker.say('DATA');
  talker.send(text);
  const reply = await talker.reply();
  talker.socket.destroy();
  return reply;
}

describe('AUTH (RFC 4954)', () => {
  test('is announced, and MAIL needs it: 530 5.7.0', () =>
    world.play(`
      S: 220 *
      C: AUTH PLAIN ${PLAIN}
      S: 503 5.5.1 *
      C: EHLO client.example.net
      S: 250-mx.example.org
      S: 250-AUTH *PLAIN*LOGIN*
      S: 250 *
      C: MAIL FROM:<alice@example.org>
      S: 530 5.7.0 *
      C: RCPT TO:<bob@example.org>
      S: 503 5.5.1 *
      C: AUTH PLAIN ${PLAIN}
      S: 235 2.7.0 *
      C: AUTH PLAIN ${PLAIN}
      S: 503 5.5.1 *
      C: EHLO client.example.net
      S: 250 *
      C: MAIL FROM:<alice@example.org>
      S: 250 2.1.0 *
      C: AUTH PLAIN ${PLAIN}
      S: 503 5.5.1 *
      C: QUIT
      S: 221 *
    `));

  test('PLAIN without an initial response, LOGIN, an empty one, cancelling', () =>
    world.play(`
      S: 220 *
      C: EHLO client.example.net
      S: 250 *
      C: AUTH PLAIN
      S: 334 
      C: *
      S: 501 5.7.0 *
      C: auth plain
      S: 334 
      C: no base64!
      S: 501 5.5.2 *
      C: AUTH PLAIN =
      S: 501 5.5.2 *
      C: AUTH
      S: 501 5.5.4 *
      C: AUTH X-UNKNOWN
      S: 504 5.5.4 *
      C: AUTH LOGIN
      S: 334 VXNlcm5hbWU6
      C: ${b64('alice@example.org')}
      S: 334 UGFzc3dvcmQ6
      C: ${b64('wonderland')}
      S: 235 2.7.0 *
      C: QUIT
      S: 221 *
    `));

  test('a wrong password is 535 5.7.8, and the session ends after some', async () => {
    const talker = await Talker.greeted(await world.connect());
    for (let i = 0; i < 5; i++)
      expect(await talker.say(`AUTH PLAIN ${b64('\0alice@example.org\0wrong')}`)).toMatch(/^535 5\.7\.8 /);
    expect(await talker.reply()).toMatch(/^421 4\.7\.0 /);
    expect(await talker.reply()).toBe('');
  });

  test('a response over 12288 octets is 500 5.5.6', async () => {
    const talker = await Talker.greeted(await world.connect());
    expect(await talker.say('AUTH PLAIN')).toBe('334');
    expect(await talker.say('A'.repeat(12_292))).toMatch(/^500 5\.5\.6 /);
    expect(await talker.say('NOOP')).toMatch(/^250 /);
    talker.socket.destroy();
  });

  test('SCRAM-SHA-256: the last data is a challenge, answered by an empty line (RFC 5802, RFC 4954 4)', async () => {
    const talker = await Talker.greeted(await world.connect());
    const bare = 'n=alice@example.org,r=clientnonce';
    const first = await talker.say(`AUTH SCRAM-SHA-256 ${b64(`n,,${bare}`)}`);
    const server = Buffer.from(first.slice(4), 'base64').toString();
    const {
      r = '',
      s = '',
      i = '',
    } = Object.fromEntries(server.split(',').map((part) => [part[0], part.slice(2)]));
    const salted = pbkdf2Sync('wonderland', Buffer.from(s, 'base64'), Number(i), 32, 'sha256');
    const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
    const clientKey = hmac(salted, 'Client Key');
    const withoutProof = `c=biws,r=${r}`;
    const signature = hmac(
      createHash('sha256').update(clientKey).digest(),
      `${bare},${server},${withoutProof}`,
    );
    const proof = Buffer.from(clientKey.map((octet, at) => octet ^ (signature[at] ?? 0)));
    const last = await talker.say(b64(`${withoutProof},p=${proof.toString('base64')}`));
    expect(Buffer.from(last.slice(4), 'base64').toString()).toMatch(/^v=/);
    expect(await talker.say('')).toMatch(/^235 2\.7\.0 /);
    expect(await talker.say('MAIL FROM:<alice@example.org>')).toMatch(/^250 /);
    talker.socket.destroy();
  });
});

describe('a password in the clear', () => {
  test('is neither announced nor taken without TLS: 538 5.7.11', async () => {
    const strict = await smtpWorld({ service: 'submission' });
    await strict.play(`
      S: 220 *
      C: EHLO client.example.net
      S: 250-STARTTLS
      S: 250-AUTH SCRAM-SHA-256
      S: 250 *
      C: AUTH PLAIN ${PLAIN}
      S: 538 5.7.11 *
      C: AUTH LOGIN
      S: 538 5.7.11 *
      C: STARTTLS
      S: 220 *
      C: [tls]
      C: EHLO client.example.net
      S: 250-AUTH *PLAIN*
      S: 250 *
      C: AUTH PLAIN ${PLAIN}
      S: 235 2.7.0 *
      C: MAIL FROM:<alice@example.org>
      S: 250 *
      C: RCPT TO:<carol@elsewhere.test>
      S: 250 *
      C: DATA
      S: 354 *
      C: From: alice@example.org
      C:
      C: .
      S: 250 *
      C: QUIT
      S: 221 *
    `);
    const { text, message } = strict.queue.last();
    expect(text).toMatch(
      /^Received: from authenticated-client\r\n\tby mx\.example\.org with ESMTPSA \(TLSv1\.3 \w+\)\r\n\tid Q\d+\r\n\tfor <carol@elsewhere\.test>; /,
    );
    expect(text).not.toContain('127.0.0.1');
    expect(message).toMatchObject({ account: 'alice@example.org', source: 'submission' });
    await strict.close();
  });

  test('implicit TLS needs no STARTTLS, and offers none (RFC 8314 3.3)', async () => {
    const tls = await smtpWorld({ service: 'submission', implicitTls: true });
    await tls.play(`
      C: [tls]
      S: 220 *
      C: EHLO client.example.net
      S: 250-AUTH *PLAIN*
      S: 250-REQUIRETLS
      S: 250 *
      C: STARTTLS
      S: 503 5.5.1 *
      C: AUTH PLAIN ${PLAIN}
      S: 235 *
      C: QUIT
      S: 221 *
      S: [closed]
    `);
    await expect.poll(() => tls.server.sessions).toBe(0);
    await tls.close();
  });
});

describe('senders (RFC 6409 6.1)', () => {
  test.each([
    ['alice@example.org', '250 2.1.0'],
    ['alice+lists@example.org', '250 2.1.0'],
    ['sales@example.org', '250 2.1.0'],
    ['bob@example.org', '553 5.7.1'],
    ['alice@elsewhere.test', '553 5.7.1'],
    ['', '250 2.1.0'],
  ])('MAIL FROM:<%s> is %s', async (from, reply) => {
    const talker = await loggedIn();
    expect(await talker.say(`MAIL FROM:<${from}>`)).toMatch(new RegExp(`^${reply} `));
    talker.socket.destroy();
  });

  test.each([
    ['From: Alice <alice@example.org>', '250 2.0.0'],
    ['From: "Bob, bob@example.org" (bob@example.org) <alice@example.org>', '250 2.0.0'],
    ['From: alice@example.org, Sales <sales@example.org>', '250 2.0.0'],
    ['From: =?utf-8?q?B=2C?= <alice@example.org>', '250 2.0.0'],
    ['From: <bob@example.org>', '553 5.7.1'],
    ['From: bob@example.org', '553 5.7.1'],
    ['From: alice@example.org, bob@example.org', '553 5.7.1'],
    ['From: <alice@example.org> <bob@example.org>', '553 5.7.1'],
    ['From: Team: bob@example.org, alice@example.org;', '553 5.7.1'],
    ['From: alice@example.org\r\nFrom: bob@example.org', '553 5.7.1'],
    ['From: nobody at all', '553 5.7.1'],
    ['From:', '553 5.7.1'],
    ['From:\r\n <bob@example.org>', '553 5.7.1'],
    ['fRoM : <bob@example.org>', '553 5.7.1'],
  ])('%j is %s', async (field, reply) => {
    expect(await submit(`${field}\r\nSubject: x\r\n\r\nbody\r\n.\r\n`)).toMatch(new RegExp(`^${reply} `));
  });
});

describe('what a submission server does to a header (RFC 6409 8)', () => {
  test('Date, Message-ID and From are added where they are missing', async () => {
    await submit('Subject: x\r\n\r\nbody\r\n.\r\n');
    const { id, content } = world.queue.last();
    expect(content).toMatch(
      new RegExp(
        '^Subject: x\r\nDate: \\w{3}, \\d\\d \\w{3} \\d{4} [\\d:]{8} \\+0000\r\n' +
          `Message-ID: <${id}@mx\\.example\\.org>\r\nFrom: <alice@example\\.org>\r\n\r\nbody\r\n$`,
      ),
    );
  });

  test('nothing is changed where nothing is missing', async () => {
    const text =
      'from:  Alice\r\n <alice@example.org>\r\nMESSAGE-ID:<x@y>\r\ndate: yesterday\r\nX: \xe9\r\n\r\nbody\r\n';
    await submit(`${text}.\r\n`);
    expect(world.queue.last().content).toBe(text);
  });

  test('Bcc goes, every one, folded or not', async () => {
    await submit(
      'Bcc: a@example.net\r\nFrom: alice@example.org\r\nbcc:\r\n b@example.net,\r\n\tc@example.net\r\n' +
        'Date: x\r\nResent-Bcc: d@example.net\r\nMessage-ID: <x@y>\r\nBCC : e@example.net\r\n\r\nBcc: text\r\n.\r\n',
    );
    expect(world.queue.last().content).toBe(
      'From: alice@example.org\r\nDate: x\r\nMessage-ID: <x@y>\r\n\r\nBcc: text\r\n',
    );
  });

  test('text without a header gets one, and stays text', async () => {
    await submit('Hello Bob,\r\n\r\nhow are you?\r\n.\r\n');
    expect(world.queue.last().content).toMatch(
      /^Date: .*\r\nMessage-ID: .*\r\nFrom: .*\r\n\r\nHello Bob,\r\n\r\nhow are you\?\r\n$/,
    );
  });

  test('a header that is too big to be looked at is refused: 552 5.3.4', async () => {
    const header = `From: alice@example.org\r\n${`X-Filler: ${'x'.repeat(900)}\r\n`.repeat(1300)}`;
    expect(await submit(`${header}Bcc: a@example.net\r\n\r\nbody\r\n.\r\n`)).toMatch(/^552 5\.3\.4 /);
  });
});

test('mynetworks submit without a password, as whom they want', async () => {
  const local = await smtpWorld({ service: 'submission', changes: { mynetworks: ['127.0.0.1/32'] } });
  await local.play(`
    S: 220 *
    C: EHLO client.example.net
    S: 250 *
    C: MAIL FROM:<printer@example.net>
    S: 250 *
    C: RCPT TO:<x@elsewhere.test>
    S: 250 *
    C: DATA
    S: 354 *
    C: From: printer@example.net
    C: Bcc: y@elsewhere.test
    C:
    C: .
    S: 250 *
    C: QUIT
    S: 221 *
  `);
  expect(local.queue.last().content).toMatch(/^From: .*\r\nDate: .*\r\nMessage-ID: .*\r\n\r\n$/);
  expect(local.queue.last().text).toContain('from client.example.net ([127.0.0.1])');
  await local.close();
});

test('port 25 leaves headers alone, and takes AUTH where that is configured', async () => {
  const smtp = await smtpWorld({
    settings: { authOnPort25: true },
    changes: { allowPlaintextFrom: ['127.0.0.1'] },
  });
  await smtp.play(`
    S: 220 *
    C: EHLO client.example.net
    S: 250-AUTH *PLAIN*
    S: 250 *
    C: MAIL FROM:<bob@example.org>
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 250 *
    C: RCPT TO:<x@elsewhere.test>
    S: 550 5.7.1 *
    C: DATA
    S: 354 *
    C: Bcc: someone@example.net
    C:
    C: .
    S: 250 *
    C: AUTH PLAIN ${PLAIN}
    S: 235 *
    C: MAIL FROM:<bob@example.org>
    S: 553 5.7.1 *
    C: MAIL FROM:<alice@example.org>
    S: 250 *
    C: RCPT TO:<x@elsewhere.test>
    S: 250 *
    C: QUIT
    S: 221 *
  `);
  expect(smtp.queue.last().content).toBe('Bcc: someone@example.net\r\n\r\n');
  await smtp.close();
});
