import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { QueueFull } from '../../src/queue/queue.ts';
import { smtpWorld, Talker, transaction, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await smtpWorld({ settings: { maxMessageSize: 100_000, maxHops: 10, maxRecipients: 100 } });
});
afterAll(() => world.close());
afterEach(async () => {
  world.queue.faults = {};
  expect(world.queue.open.size).toBe(0);
});

async function sendTo(to: string, text: string, from = 'a@example.net'): Promise<string> {
  const talker = await Talker.greeted(await world.connect());
  expect(await transaction(talker, from, to)).toMatch(/^354 /);
  talker.send(text);
  const reply = await talker.reply();
  // Whatever became of the message, the session lives on.
  expect(await talker.say('NOOP')).toMatch(/^250 /);
  talker.socket.destroy();
  return reply;
}

describe('trace (RFC 5321 4.4)', () => {
  test('the only recipient is here: Return-Path, Delivered-To, Received', async () => {
    const reply = await sendTo('alice@example.org', 'Subject: hello\r\n\r\nbody\r\n.\r\n');
    const { id, message, text } = world.queue.last();
    expect(reply).toBe(`250 2.0.0 OK: queued as ${id}`);
    const trace = 'Return-Path: <a@example.net>\r\nDelivered-To: alice@example.org\r\n';
    expect(message.finalTrace).toBe(trace.length);
    expect(text).toMatch(
      new RegExp(
        `^${trace}Received: from client\\.example\\.net \\(\\[127\\.0\\.0\\.1\\]\\)\r\n` +
          `\tby mx\\.example\\.org with ESMTP\r\n\tid ${id}\r\n\tfor <alice@example\\.org>; ` +
          '\\w{3}, \\d\\d \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d \\+0000\r\n' +
          'Subject: hello\r\n\r\nbody\r\n$',
      ),
    );
    expect(message).toMatchObject({
      from: { local: 'a', domain: 'example.net' },
      source: 'smtp',
      account: null,
      body: '7bit',
      smtputf8: false,
      requireTls: false,
      recipients: [{ account: 'alice@example.org', original: { local: 'alice' } }],
    });
  });

  test('a null reverse-path, a sub-address, fields that were there before', async () => {
    const header = 'Return-Path: <old@example.net>\r\nDelivered-To: other@example.org\r\n';
    await sendTo('Alice+list@example.org', `${header}\r\nbody\r\n.\r\n`, '');
    const { message, text, content } = world.queue.last();
    expect(text.slice(0, message.finalTrace)).toBe('Return-Path: <>\r\nDelivered-To: alice@example.org\r\n');
    expect(content).toBe(`${header}\r\nbody\r\n`);
    expect(message.recipients[0]).toMatchObject({ detail: 'list', account: 'alice@example.org' });
  });

  test('HELO is plain SMTP; SMTPUTF8 has keywords of its own (RFC 3848, RFC 6531 4.3)', async () => {
    const talker = await Talker.greeted(await world.connect(), 'HELO');
    await transaction(talker, 'a@example.net', 'alice@example.org');
    talker.send('\r\n.\r\n');
    await talker.reply();
    expect(world.queue.last().text).toContain(' with SMTP\r\n');
    await talker.say('EHLO client.example.net');
    await talker.say('MAIL FROM:<a@example.net> SMTPUTF8 BODY=8BITMIME');
    await talker.say('RCPT TO:<alice@example.org>');
    await talker.say('DATA');
    talker.send('\r\n.\r\n');
    await talker.reply();
    expect(world.queue.last().text).toContain(' with UTF8SMTP\r\n');
    expect(world.queue.last().message).toMatchObject({ smtputf8: true, body: '8bitmime' });
    talker.socket.destroy();
  });

  test('a client cannot write into our line', async () => {
    const talker = new Talker(await world.connect());
    await talker.reply();
    await talker.say('EHLO x(evil);by');
    await transaction(talker, 'a@example.net', 'alice@example.org');
    talker.send('\r\n.\r\n');
    await talker.reply();
    expect(world.queue.last().text).toContain('Received: from [127.0.0.1] ([127.0.0.1])\r\n');
    talker.socket.destroy();
  });
});

describe('content', () => {
  test('dots, octets, a message without a header, one without anything', async () => {
    await sendTo('bob@example.org', 'no header at all\r\n..dot\r\n.x\r\n\xe9\0\r\n.\r\n');
    expect(world.queue.last().content).toBe('no header at all\r\n.dot\r\nx\r\n\xe9\0\r\n\r\n');
    await sendTo('bob@example.org', '.\r\n');
    expect(world.queue.last().content).toBe('\r\n');
    await sendTo('bob@example.org', '\r\n\r\nbody\r\n.\r\n');
    expect(world.queue.last().content).toBe('\r\n\r\nbody\r\n');
  });

  test('arrives the same octet by octet', async () => {
    const talker = await Talker.greeted(await world.connect());
    await transaction(talker, 'a@example.net', 'alice@example.org');
    for (const octet of 'Subject: a\r\nX: b\r\n\r\n..\r\n.\r\n') {
      talker.send(octet);
      await new Promise(setImmediate);
    }
    expect(await talker.reply()).toMatch(/^250 /);
    expect(world.queue.last().content).toBe('Subject: a\r\nX: b\r\n\r\n.\r\n');
    talker.socket.destroy();
  });
});

describe('refused after the dot', () => {
  test('too big, though SIZE said nothing: 552 5.3.4 (RFC 1870 6.3)', async () => {
    const big = `Subject: x\r\n\r\n${'x'.repeat(99)}\r\n`.repeat(1000);
    expect(await sendTo('alice@example.org', `${big}.\r\n`)).toMatch(/^552 5\.3\.4 /);
  });

  test('too many hops: 554 5.4.6 (RFC 5321 6.3)', async () => {
    const hop = 'Received: from a.example by b.example;\r\n\tSun, 22 Nov 2026 13:00:00 +0000\r\n';
    expect(await sendTo('alice@example.org', `${hop.repeat(10)}\r\n.\r\n`)).toMatch(/^250 /);
    expect(await sendTo('alice@example.org', `${hop.repeat(11)}\r\n.\r\n`)).toMatch(/^554 5\.4\.6 /);
    expect(await sendTo('alice@example.org', `\r\n${hop.repeat(11)}.\r\n`)).toMatch(/^250 /);
  });

  test('delivered here before: 554 5.4.6', async () => {
    const text = 'delivered-to:  Alice@example.org \r\n\r\n.\r\n';
    expect(await sendTo('alice@example.org', text)).toMatch(/^554 5\.4\.6 /);
    expect(await sendTo('bob@example.org', text)).toMatch(/^250 /);
  });

  test.each(['draft', 'write', 'commit'] as const)('no room at %s: 452 4.3.1', async (where) => {
    const talker = await Talker.greeted(await world.connect());
    world.queue.faults[where] = where === 'write' ? ioError('ENOSPC') : new QueueFull();
    let reply = await transaction(talker, 'a@example.net', 'alice@example.org');
    if (where !== 'draft') {
      talker.send('Subject: x\r\n\r\nbody\r\n.\r\n');
      reply = await talker.reply();
    }
    expect(reply).toMatch(/^452 4\.3\.1 /);
    world.queue.faults = {};
    if (where === 'draft') await talker.say('RSET');
    await transaction(talker, 'a@example.net', 'alice@example.org');
    talker.send('\r\n.\r\n');
    expect(await talker.reply()).toMatch(/^250 /);
    talker.socket.destroy();
  });

  test('a bug of ours: 451 4.3.0, in the log with its cause', async () => {
    world.queue.faults.commit = new TypeError('cannot read');
    expect(await sendTo('alice@example.org', '\r\n.\r\n')).toMatch(/^451 4\.3\.0 /);
    const line = world.lines.findLast(({ level }) => level === 'error');
    expect(line).toMatchObject({ message: 'message not accepted', fields: { err: expect.any(TypeError) } });
  });
});

test('250 comes after the message is durable, and not before', async () => {
  const talker = await Talker.greeted(await world.connect());
  await transaction(talker, 'a@example.net', 'alice@example.org');
  let release = (): void => {};
  world.queue.beforeCommit = () => new Promise((resolve) => (release = resolve));
  talker.send('\r\n.\r\n');
  const reply = talker.reply();
  const first = await Promise.race([reply, new Promise((resolve) => setTimeout(resolve, 100, 'nothing'))]);
  expect(first).toBe('nothing');
  release();
  expect(await reply).toMatch(/^250 /);
  world.queue.beforeCommit = async () => {};
  talker.socket.destroy();
});

test('too many recipients: 452 4.5.3, the others get it (RFC 5321 4.5.3.1.10)', async () => {
  const talker = await Talker.greeted(await world.connect());
  await talker.say('MAIL FROM:<a@example.net>');
  for (let i = 0; i < 100; i++) expect(await talker.say(`RCPT TO:<alice+${i}@example.org>`)).toMatch(/^250 /);
  expect(await talker.say('RCPT TO:<bob@example.org>')).toMatch(/^452 4\.5\.3 /);
  expect(await talker.say('DATA')).toMatch(/^354 /);
  talker.send('\r\n.\r\n');
  expect(await talker.reply()).toMatch(/^250 /);
  expect(world.queue.last().message.recipients.length).toBe(100);
  talker.socket.destroy();
});

test('DSN parameters go into the queue (RFC 3461)', async () => {
  await world.play(`
    S: 220 *
    C: EHLO client.example.net
    S: 250 *
    C: MAIL FROM:<a@example.net> RET=HDRS ENVID=QQ+2B314
    S: 250 *
    C: RCPT TO:<alice@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Al+2Bice@example.org
    S: 250 *
    C: RCPT TO:<bob@example.org> NOTIFY=NEVER
    S: 250 *
    C: DATA
    S: 354 *
    C:
    C: .
    S: 250 2.0.0 *
    C: QUIT
    S: 221 *
  `);
  expect(world.queue.last().message).toMatchObject({
    ret: 'hdrs',
    envid: 'QQ+314',
    recipients: [{ notify: ['success', 'failure'], orcpt: 'rfc822;Al+ice@example.org' }, { notify: [] }],
  });
});

test('one line of log for a message, with sid and qid', async () => {
  world.lines.length = 0;
  await sendTo('alice@example.org', 'Subject: x\r\n\r\nbody\r\n.\r\n');
  expect(world.lines.filter(({ level }) => level !== 'debug')).toEqual([
    {
      level: 'info',
      message: 'accepted',
      fields: {
        sid: expect.any(String),
        qid: world.queue.last().id,
        ip: '127.0.0.1',
        helo: 'client.example.net',
        from: 'a@example.net',
        to: 1,
        size: 20,
        tls: null,
      },
    },
  ]);
});

test('a client that goes away within its message leaves nothing', async () => {
  const before = world.queue.kept.length;
  const talker = await Talker.greeted(await world.connect());
  await transaction(talker, 'a@example.net', 'alice@example.org');
  talker.send('Subject: x\r\n\r\nhalf a mess');
  await expect.poll(() => world.queue.open.size).toBe(1);
  talker.socket.destroy();
  await expect.poll(() => world.queue.open.size).toBe(0);
  expect(world.queue.kept.length).toBe(before);
  await expect
    .poll(() => world.lines.some(({ message }) => message === 'connection lost within a message'))
    .toBe(true);
});

test('RSET between recipients and message leaves nothing either', async () => {
  const talker = await Talker.greeted(await world.connect());
  await talker.say('MAIL FROM:<a@example.net>');
  await talker.say('RCPT TO:<alice@example.org>');
  await talker.say('RSET');
  expect(await talker.say('DATA')).toMatch(/^503 /);
  talker.socket.destroy();
});

function ioError(code: string): Error {
  return Object.assign(new Error(`${code}: no space left on device`), { code });
}
