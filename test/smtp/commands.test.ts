import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { smtpWorld, Talker, transaction, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await smtpWorld();
});
afterAll(() => world.close());
afterEach(() => expect(world.queue.open.size).toBe(0));

test('the greeting names us and ESMTP, EHLO what we can (RFC 5321 4.1.1.1)', () =>
  world.play(`
    S: 220 mx.example.org ESMTP Facteur
    C: EHLO client.example.net
    S: 250-mx.example.org
    S: 250-PIPELINING
    S: 250-SIZE 52428800
    S: 250-STARTTLS
    S: 250-8BITMIME
    S: 250-BINARYMIME
    S: 250-CHUNKING
    S: 250-ENHANCEDSTATUSCODES
    S: 250-DSN
    S: 250-SMTPUTF8
    S: 250 LIMITS RCPTMAX=1000 MAILMAX=10000
    C: QUIT
    S: 221 2.0.0 Bye
    S: [closed]
  `));

test('neither AUTH nor REQUIRETLS on port 25 in the clear', async () => {
  const talker = new Talker(await world.connect());
  await talker.reply();
  const ehlo = await talker.say('EHLO client.example.net');
  expect(ehlo).not.toMatch(/AUTH|REQUIRETLS/);
  expect(await talker.say('AUTH PLAIN')).toMatch(/^503 5\.5\.1 /);
  expect(await talker.say('MAIL FROM:<a@example.net> REQUIRETLS')).toMatch(/^555 5\.5\.4 /);
  talker.socket.destroy();
});

test('commands out of order (RFC 5321 4.1.4)', () =>
  world.play(`
    S: 220 *
    C: MAIL FROM:<a@example.net>
    S: 503 5.5.1 *
    C: RCPT TO:<alice@example.org>
    S: 503 5.5.1 *
    C: DATA
    S: 503 5.5.1 *
    C: EHLO client.example.net
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 503 5.5.1 *
    C: MAIL FROM:<a@example.net>
    S: 250 2.1.0 *
    C: MAIL FROM:<a@example.net>
    S: 503 5.5.1 *
    C: DATA
    S: 503 5.5.1 *
    C: RCPT TO:<nobody@example.org>
    S: 550 5.1.1 *
    C: DATA
    S: 554 5.5.1 *
    C: RCPT TO:<alice@example.org>
    S: 250 2.1.5 *
    # EHLO is a RSET too
    C: EHLO client.example.net
    S: 250 *
    C: RCPT TO:<alice@example.org>
    S: 503 5.5.1 *
    C: RSET
    S: 250 2.0.0 *
    C: QUIT
    S: 221 *
  `));

test('commands that tell nothing', () =>
  world.play(`
    S: 220 *
    C: NOOP anything
    S: 250 2.0.0 *
    C: HELP MAIL
    S: 214 2.0.0 *
    C: VRFY alice
    S: 252 2.1.5 *
    C: EXPN sales
    S: 252 2.1.5 *
    C: VRFY
    S: 501 5.5.4 *
    C: ETRN example.org
    S: 502 5.5.1 *
    C: XYZZY
    S: 500 5.5.2 *
    C: LHLO client.example.net
    S: 500 5.5.1 *
    C:
    S: 500 5.5.2 *
    C: DATA now
    S: 501 5.5.4 *
    C: RSET it
    S: 501 5.5.4 *
    C: QUIT
    S: 221 *
  `));

describe('HELO and EHLO', () => {
  test.each(['[192.0.2.1]', '[IPv6:2001:db8::1]', 'localhost', '-odd_.', 'müller.example'])(
    '%s is good enough (RFC 5321 4.1.4)',
    async (name) => {
      const talker = new Talker(await world.connect());
      await talker.reply();
      talker.socket.write(`EHLO ${name}\r\n`);
      expect(await talker.reply()).toMatch(/^250-mx\.example\.org/);
      talker.socket.destroy();
    },
  );

  test.each(['', 'x'.repeat(256)])('%s is not', async (name) => {
    const talker = new Talker(await world.connect());
    await talker.reply();
    expect(await talker.say(`HELO ${name}`)).toMatch(/^501 5\.5\.4 /);
    talker.socket.destroy();
  });

  test('HELO gets no list', async () => {
    const talker = new Talker(await world.connect());
    await talker.reply();
    expect(await talker.say('HELO client.example.net')).toBe('250 mx.example.org');
    talker.socket.destroy();
  });
});

describe('MAIL and RCPT (RFC 5321 4.1.1.2, 4.1.1.3)', () => {
  test.each([
    ['MAIL FROM:<>', '250 2.1.0'],
    ['MAIL FROM:<a@example.net>', '250 2.1.0'],
    ['mail from: <a@example.net>', '250 2.1.0'],
    ['MAIL FROM :<a@example.net>', '250 2.1.0'],
    ['MAIL FROM:<"a b"@example.net>', '250 2.1.0'],
    ['MAIL FROM:<"a>b\\"@c"@example.net> SIZE=1', '250 2.1.0'],
    ['MAIL FROM:<@x.example,@y.example:a@example.net>', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> SIZE=100 BODY=8BITMIME', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> body=7bit smtputf8', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> AUTH=<>', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> RET=HDRS ENVID=QQ+2B1', '250 2.1.0'],
    ['MAIL FROM:<f\u00e9lix@example.net> SMTPUTF8', '250 2.1.0'],
    ['MAIL FROM:<"f\u00e9lix le [chat]"@example.net> SMTPUTF8', '250 2.1.0'],
    ['MAIL FROM:<f\u00e9lix@example.net>', '553 5.6.7'],
    ['MAIL FROM:a@example.net', '501 5.5.4'],
    ['MAIL FROM:<a@example.net', '501 5.5.4'],
    ['MAIL FROM:<a@example.net>x', '501 5.5.4'],
    ['MAIL <a@example.net>', '501 5.5.4'],
    ['MAIL TO:<a@example.net>', '501 5.5.4'],
    ['MAIL', '501 5.5.4'],
    ['MAIL FROM:<a>', '501 5.1.7'],
    ['MAIL FROM:<a@>', '501 5.1.7'],
    ['MAIL FROM:<a b@example.net>', '501 5.1.7'],
    ['MAIL FROM:<a@@example.net>', '501 5.1.7'],
    [`MAIL FROM:<${'a'.repeat(65)}@example.net>`, '501 5.1.7'],
    ['MAIL FROM:<a@example.net> FOO=bar', '555 5.5.4'],
    ['MAIL FROM:<a@example.net> MT-PRIORITY=3', '555 5.5.4'],
    ['MAIL FROM:<a@example.net> NOTIFY=NEVER', '555 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=abc', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=1 SIZE=2', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> BODY=9BIT', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SMTPUTF8=yes', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> RET=ALL', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> ENVID=a+0D+0AX', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> ENVID=a+zz', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> =', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=52428801', '552 5.3.4'],
    ['MAIL FROM:<a@example.net> SIZE=99999999999999999999', '552 5.3.4'],
  ])('%s: %s', async (command, reply) => {
    const talker = await Talker.greeted(await world.connect());
    talker.socket.write(`${command}\r\n`);
    expect(await talker.reply()).toMatch(new RegExp(`^${reply.replaceAll('.', '\\.')} `));
    // The session lives on.
    expect(await talker.say('RSET')).toMatch(/^250 /);
    talker.socket.destroy();
  });

  test.each([
    ['RCPT TO:<alice@example.org>', '250 2.1.5'],
    ['RCPT TO: <alice@EXAMPLE.org>', '250 2.1.5'],
    ['RCPT TO:<"alice"@example.org>', '250 2.1.5'],
    ['RCPT TO:<postmaster>', '250 2.1.5'],
    ['RCPT TO:<PostMaster>', '250 2.1.5'],
    ['RCPT TO:<alice+list@example.org>', '250 2.1.5'],
    ['RCPT TO:<@x.example:alice@example.org>', '250 2.1.5'],
    ['RCPT TO:<alice@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@example.org', '250 2.1.5'],
    ['RCPT TO:<alice@example.org> NOTIFY=NEVER', '250 2.1.5'],
    ['RCPT TO:<>', '501 5.1.3'],
    ['RCPT TO:<alice>', '501 5.1.3'],
    ['RCPT TO:alice@example.org', '501 5.5.4'],
    ['RCPT TO:<\u00e9@example.org>', '553 5.6.7'],
    ['RCPT TO:<alice@example.org> NOTIFY=NEVER,SUCCESS', '501 5.5.4'],
    ['RCPT TO:<alice@example.org> NOTIFY=SOMETIMES', '501 5.5.4'],
    ['RCPT TO:<alice@example.org> NOTIFY', '501 5.5.4'],
    ['RCPT TO:<alice@example.org> ORCPT=alice@example.org', '501 5.5.4'],
    ['RCPT TO:<alice@example.org> SIZE=1', '555 5.5.4'],
    ['RCPT TO:<nobody@example.org>', '550 5.1.1'],
  ])('%s: %s', async (command, reply) => {
    const talker = await Talker.greeted(await world.connect());
    await talker.say('MAIL FROM:<a@example.net>');
    talker.socket.write(`${command}\r\n`);
    expect(await talker.reply()).toMatch(new RegExp(`^${reply.replaceAll('.', '\\.')} `));
    expect(await talker.say('RSET')).toMatch(/^250 /);
    talker.socket.destroy();
  });
});

describe('lines', () => {
  test('a command over the limit is refused and forgotten, the session lives on (RFC 5321 4.5.3.1.4)', async () => {
    const talker = await Talker.greeted(await world.connect());
    talker.send(`NOOP ${'x'.repeat(4096 - 5)}\r\nNOOP ${'x'.repeat(4097 - 5)}\r\nNOOP\r\n`);
    expect(await talker.reply()).toMatch(/^250 /);
    expect(await talker.reply()).toMatch(/^500 5\.5\.2 /);
    expect(await talker.reply()).toMatch(/^250 /);
    talker.socket.destroy();
  });

  test('a megabyte without an end is one error', async () => {
    const talker = await Talker.greeted(await world.connect());
    for (let i = 0; i < 16; i++) talker.send('x'.repeat(65_536));
    talker.send('\r\n');
    expect(await talker.reply()).toMatch(/^500 5\.5\.2 /);
    expect(await talker.say('NOOP')).toMatch(/^250 /);
    talker.socket.destroy();
  });

  test('lines in DATA may be longer than 998', async () => {
    const talker = await Talker.greeted(await world.connect());
    await transaction(talker, 'a@example.net', 'alice@example.org');
    talker.send(`Subject: long\r\n\r\n${'x'.repeat(200_000)}\r\n.\r\n`);
    expect(await talker.reply()).toMatch(/^250 2\.0\.0 OK: queued as Q\d+$/);
    expect(world.queue.last().content.length).toBe(200_000 + 19);
    talker.socket.destroy();
  });

  test('octets that are no UTF-8 are no command (RFC 6531 3.1)', async () => {
    const talker = await Talker.greeted(await world.connect());
    talker.send('MAIL FROM:<\xe9@example.net> SMTPUTF8\r\n');
    expect(await talker.reply()).toMatch(/^500 5\.5\.2 /);
    talker.socket.destroy();
  });
});

test('a hundred commands in one packet get a hundred answers (RFC 2920)', async () => {
  const talker = await Talker.greeted(await world.connect());
  talker.send(`MAIL FROM:<a@example.net>\r\n${'RCPT TO:<alice@example.org>\r\n'.repeat(99)}`);
  for (let i = 0; i < 100; i++) expect(await talker.reply()).toMatch(/^250 /);
  expect(await talker.say('DATA')).toMatch(/^354 /);
  talker.send('\r\nbody\r\n.\r\nNOOP\r\nQUIT\r\n');
  expect(await talker.replies()).toEqual([
    expect.stringMatching(/^250 2\.0\.0 OK: queued/),
    expect.stringMatching(/^250 2\.0\.0 OK$/),
    expect.stringMatching(/^221 /),
  ]);
  // One delivery, though it was asked for 99 times.
  expect(world.queue.last().message.recipients.length).toBe(1);
});

test.each([
  ['EHLO client.example.net\r\nMAIL FROM:<a@example.net>\r\n', 0],
  ['DATA\r\nSubject: too early\r\n\r\n.\r\n', 2],
])('who does not wait where RFC 2920 3.1 says so is sent away: %j', async (text, before) => {
  const talker = new Talker(await world.connect());
  await talker.reply();
  if (before > 0) {
    await talker.say('EHLO client.example.net');
    await talker.say('MAIL FROM:<a@example.net>');
    await talker.say('RCPT TO:<alice@example.org>');
  }
  talker.send(text);
  expect(await talker.reply()).toMatch(/^554 5\.5\.0 /);
  expect(await talker.reply()).toBe('');
});
