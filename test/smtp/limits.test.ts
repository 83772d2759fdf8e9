import { afterEach, describe, expect, test } from 'vitest';
import type { SmtpOptions } from '../../src/smtp/options.ts';
import { DEFAULTS, smtpWorld, Talker, transaction, type World } from './world.ts';

let world: World;
afterEach(async () => {
  await world.close();
  expect(world.queue.open.size).toBe(0);
  await expect.poll(() => world.server.sessions).toBe(0);
});

async function client(settings: Partial<SmtpOptions> = {}): Promise<Talker> {
  world = await smtpWorld({ settings });
  return Talker.greeted(await world.connect());
}

describe('who is sent away with 421', () => {
  test('after too many wrong commands; a message forgives the earlier ones', async () => {
    const talker = await client({ maxErrors: 4 });
    for (let i = 0; i < 3; i++) expect(await talker.say('WRONG')).toMatch(/^500 /);
    await transaction(talker, 'a@example.net', 'alice@example.org');
    expect(await talker.say('\r\n.')).toMatch(/^250 /);
    for (let i = 0; i < 4; i++) expect(await talker.say('WRONG')).toMatch(/^500 /);
    expect(await talker.reply()).toMatch(/^421 4\.7\.0 /);
    expect(await talker.reply()).toBe('');
  });

  test('after too many commands that do nothing', async () => {
    const talker = await client({ maxIdleCommands: 10 });
    talker.send('NOOP\r\n'.repeat(50));
    const replies = await talker.replies();
    expect(replies.length).toBe(12);
    expect(replies.at(-1)).toMatch(/^421 4\.7\.0 /);
  });

  test('after a flood of recipients beyond the limit', async () => {
    const talker = await client({ maxRecipients: 100 });
    await talker.say('MAIL FROM:<a@example.net>');
    talker.send('RCPT TO:<alice@example.org>\r\n'.repeat(11_000));
    const replies = await talker.replies();
    expect(replies.filter((reply) => reply.startsWith('452 4.5.3 ')).length).toBe(10_001);
    expect(replies.at(-1)).toMatch(/^421 4\.7\.0 /);
  });

  test('after too many recipients that do not exist', async () => {
    const talker = await client({ maxRefusedRecipients: 3 });
    await talker.say('MAIL FROM:<a@example.net>');
    for (let i = 0; i < 3; i++)
      expect(await talker.say(`RCPT TO:<x${i}@example.org>`)).toMatch(/^550 5\.1\.1 /);
    expect(await talker.reply()).toMatch(/^421 4\.7\.0 /);
    const refused = world.lines.filter(({ message }) => message === 'recipient refused');
    expect(refused.length).toBe(3);
    expect(refused[0]).toMatchObject({
      level: 'info',
      fields: { to: 'TO:<x0@example.org>', reply: '550 5.1.1 No such user here' },
    });
  });

  test('after enough messages', async () => {
    const talker = await client({ maxTransactions: 2 });
    for (let i = 0; i < 2; i++) {
      await transaction(talker, 'a@example.net', 'alice@example.org');
      expect(await talker.say('\r\n.')).toMatch(/^250 /);
    }
    expect(await talker.say('MAIL FROM:<a@example.net>')).toMatch(/^421 4\.7\.0 /);
  });

  test.each(['GET / HTTP/1.1', 'POST /x HTTP/1.0', 'CONNECT mx:25 HTTP/1.1'])(
    'web clients: %s',
    async (line) => {
      const talker = await client();
      talker.send(`${line}\r\nHost: mx\r\n\r\nMAIL FROM:<a@b.c>\r\n`);
      expect(await talker.reply()).toMatch(/^421 4\.7\.0 /);
      expect(await talker.reply()).toBe('');
    },
  );
});

describe('who is too slow', () => {
  test('with a command, also one that never ends (RFC 5321 4.5.3.2.7)', async () => {
    const talker = await client({ timeouts: { ...DEFAULTS.timeouts, command: 200 } });
    const drip = setInterval(() => talker.send('N'), 20);
    expect(await talker.reply()).toMatch(/^421 4\.4\.2 /);
    clearInterval(drip);
  });

  test('with a message (RFC 5321 4.5.3.2.5)', async () => {
    const talker = await client({ timeouts: { ...DEFAULTS.timeouts, data: 200 } });
    await transaction(talker, 'a@example.net', 'alice@example.org');
    talker.send('Subject: x\r\n');
    expect(await talker.reply()).toMatch(/^421 4\.4\.2 /);
  });

  test('with the whole of a message', async () => {
    const talker = await client({ timeouts: { ...DEFAULTS.timeouts, message: 300 } });
    await transaction(talker, 'a@example.net', 'alice@example.org');
    const drip = setInterval(() => talker.send('x'), 20);
    expect(await talker.reply()).toMatch(/^421 4\.4\.2 /);
    clearInterval(drip);
  });

  test('but not who waits for us', async () => {
    const talker = await client({ timeouts: { ...DEFAULTS.timeouts, command: 100, data: 100 } });
    await transaction(talker, 'a@example.net', 'alice@example.org');
    world.queue.beforeCommit = () => new Promise((resolve) => setTimeout(resolve, 400));
    expect(await talker.say('\r\n.')).toMatch(/^250 /);
  });
});

describe('the greeting', () => {
  test('can wait, and half a line before it is too early', async () => {
    world = await smtpWorld({ settings: { greetingDelay: 300 } });
    const talker = new Talker(await world.connect());
    talker.send('EH');
    expect(await talker.reply()).toMatch(/^554 /);
    expect(await talker.reply()).toBe('');
    expect(await new Talker(await world.connect()).reply()).toMatch(/^220 /);
  });
});

describe('stopping', () => {
  test('idle sessions end at once, a transaction under way is finished', async () => {
    const idle = await client();
    const busy = await Talker.greeted(await world.connect());
    await transaction(busy, 'a@example.net', 'alice@example.org');
    const stopped = world.server.close(5000);
    expect(await idle.reply()).toMatch(/^421 4\.3\.2 /);
    expect(await idle.reply()).toBe('');
    expect(await busy.say('Subject: last\r\n\r\n.')).toMatch(/^250 2\.0\.0 /);
    expect(await busy.reply()).toMatch(/^421 4\.3\.2 /);
    await stopped;
    expect(world.queue.kept.length).toBe(1);
  });

  test('but not for longer than the grace', async () => {
    const talker = await client();
    await transaction(talker, 'a@example.net', 'alice@example.org');
    const stopped = world.server.close(100);
    expect(await talker.reply()).toMatch(/^421 4\.3\.2 /);
    await stopped;
    expect(world.queue.kept).toEqual([]);
    talker.socket.destroy();
    await expect.poll(() => world.server.sessions).toBe(0);
  });

  test('a connection that comes then is told so', async () => {
    await client();
    await world.server.close(0);
    const late = new Talker(await world.connect());
    expect(await late.reply()).toMatch(/^220 /);
    expect(await late.reply()).toMatch(/^421 4\.3\.2 /);
    await expect.poll(() => world.server.sessions).toBe(0);
  });
});

test('200 sessions at once, each with its own message', async () => {
  world = await smtpWorld();
  const talkers = await Promise.all(
    Array.from({ length: 200 }, async () => Talker.greeted(await world.connect())),
  );
  expect(world.server.sessions).toBe(200);
  const replies = await Promise.all(
    talkers.map(async (talker, i) => {
      await transaction(talker, `a${i}@example.net`, 'alice@example.org');
      talker.send(`Subject: ${i}\r\n\r\n`);
      for (let line = 0; line < 20; line++) {
        talker.send(`${i} `.repeat(50));
        await new Promise(setImmediate);
      }
      return talker.say('\r\n.');
    }),
  );
  expect(replies.filter((reply) => reply.startsWith('250 2.0.0'))).toHaveLength(200);
  for (const { message, content } of world.queue.kept) {
    const i = message.from?.local.slice(1);
    expect(content).toBe(`Subject: ${i}\r\n\r\n${`${i} `.repeat(1000)}\r\n`);
  }
  for (const talker of talkers) talker.socket.destroy();
  await expect.poll(() => world.server.sessions).toBe(0);
});

test('a client that does not read its replies is not read from', async () => {
  const talker = await client({ maxIdleCommands: 1_000_000_000 });
  talker.socket.pause();
  let sent = 0;
  const block = Buffer.from('NOOP\r\n'.repeat(10_000));
  // Much more than the kernel's buffers of both directions hold.
  while (sent < 64 * 1024 * 1024 && talker.socket.writableLength < 16 * 1024 * 1024) {
    talker.socket.write(block);
    sent += block.length;
    await new Promise(setImmediate);
  }
  // On a busy machine what the kernel still had room for takes its time.
  let unread = -1;
  for (let look = 0; look < 50 && talker.socket.writableLength !== unread; look++) {
    unread = talker.socket.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect(talker.socket.writableLength).toBe(unread);
  expect(unread).toBeGreaterThan(1024 * 1024);
  talker.socket.destroy();
  await expect.poll(() => world.server.sessions).toBe(0);
});
