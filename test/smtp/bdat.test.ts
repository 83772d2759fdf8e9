import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { smtpWorld, Talker, type World } from './world.ts';

let world: World;
beforeAll(async () => {
  world = await smtpWorld({ settings: { maxMessageSize: 1000 } });
});
afterAll(() => world.close());
afterEach(() => expect(world.queue.open.size).toBe(0));

async function opened(parameters = ''): Promise<Talker> {
  const talker = await Talker.greeted(await world.connect());
  await talker.say(`MAIL FROM:<a@example.net>${parameters}`);
  await talker.say('RCPT TO:<alice@example.org>');
  return talker;
}

test('one chunk (RFC 3030 4.1)', async () => {
  const talker = await opened();
  const text =
    'To: Susan@random.com\r\nFrom: Sam@random.com\r\nSubject: This is a bodyless test message\r\n\r\n';
  talker.send(`BDAT ${text.length} LAST\r\n${text}`);
  expect(await talker.reply()).toMatch(/^250 2\.0\.0 OK: queued as /);
  expect(world.queue.last().content).toBe(text);
  talker.socket.destroy();
});

test('pipelined chunks, with an empty one at the end (RFC 3030 4.2)', async () => {
  const talker = await Talker.greeted(await world.connect());
  const first = `Subject: x\r\n\r\n${'.dots stay\r\n'.repeat(10)}`;
  const second = 'second';
  talker.send(
    'MAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\n' +
      `BDAT ${first.length}\r\n${first}BDAT ${second.length}\r\n${second}BDAT 0 LAST\r\nQUIT\r\n`,
  );
  expect(await talker.replies()).toEqual([
    expect.stringMatching(/^250 2\.1\.0/),
    expect.stringMatching(/^250 2\.1\.5/),
    expect.stringMatching(/^250 2\.0\.0 Chunk/),
    expect.stringMatching(/^250 2\.0\.0 Chunk/),
    expect.stringMatching(/^250 2\.0\.0 OK: queued/),
    expect.stringMatching(/^221/),
  ]);
  // Text ends with CRLF, said or not.
  expect(world.queue.last().content).toBe(`${first}${second}\r\n`);
});

test('chunks that look like commands and ends are neither', async () => {
  const talker = await opened();
  const text = '\r\n.\r\nQUIT\r\n';
  for (const octet of `BDAT ${text.length} LAST\r\n${text}`) {
    talker.send(octet);
    await new Promise(setImmediate);
  }
  expect(await talker.reply()).toMatch(/^250 /);
  expect(world.queue.last().content).toBe(text);
  talker.socket.destroy();
});

test('BINARYMIME comes through as it is, and only by BDAT (RFC 3030 3)', async () => {
  const talker = await opened(' BODY=BINARYMIME');
  expect(await talker.say('DATA')).toMatch(/^503 5\.5\.1 /);
  const binary = 'Content-Transfer-Encoding: binary\r\n\r\n\n\r\0\xff\r\r\n\n.';
  talker.send(`BDAT ${binary.length} LAST\r\n${binary}`);
  expect(await talker.reply()).toMatch(/^250 /);
  expect(world.queue.last().content).toBe(binary);
  expect(world.queue.last().message.body).toBe('binarymime');
  talker.socket.destroy();
});

test('lone CR and LF in text are refused here as well', async () => {
  for (const text of ['a\nb\r\n', 'a\rb\r\n', 'ends\r']) {
    const talker = await opened();
    talker.send(`BDAT ${text.length} LAST\r\n${text}`);
    expect(await talker.reply()).toMatch(/^550 5\.6\.11 /);
    expect(await talker.say('NOOP')).toMatch(/^250 /);
    talker.socket.destroy();
  }
});

test('a chunk that is refused ends the transaction, and its octets are no commands', async () => {
  const talker = await opened();
  talker.send(`BDAT 4\r\n\r\nxxBDAT 2000\r\n${'NOOP\r\n'.repeat(333)}xxBDAT 6 LAST\r\nQUIT\r\n`);
  expect(await talker.reply()).toMatch(/^250 2\.0\.0 Chunk/);
  expect(await talker.reply()).toMatch(/^552 5\.3\.4 /);
  expect(await talker.reply()).toMatch(/^503 5\.5\.1 /);
  expect(await talker.say('NOOP')).toMatch(/^250 /);
  talker.socket.destroy();
});

test('without MAIL or RCPT the chunk is read and 503', async () => {
  const talker = await Talker.greeted(await world.connect());
  talker.send('BDAT 6\r\nQUIT\r\nNOOP\r\n');
  expect(await talker.reply()).toMatch(/^503 5\.5\.1 /);
  expect(await talker.reply()).toMatch(/^250 /);
  await talker.say('MAIL FROM:<a@example.net>');
  await talker.say('RCPT TO:<nobody@example.org>');
  talker.send('BDAT 6 LAST\r\nQUIT\r\n');
  expect(await talker.reply()).toMatch(/^554 5\.5\.1 /);
  expect(await talker.say('NOOP')).toMatch(/^250 /);
  talker.socket.destroy();
});

test('between chunks there is nothing but chunks, RSET and QUIT', async () => {
  const talker = await opened();
  talker.send('BDAT 2\r\n\r\n');
  expect(await talker.reply()).toMatch(/^250 /);
  expect(await talker.say('DATA')).toMatch(/^503 5\.5\.1 /);
  expect(await talker.say('RCPT TO:<bob@example.org>')).toMatch(/^503 5\.5\.1 /);
  expect(world.queue.open.size).toBe(1);
  expect(await talker.say('RSET')).toMatch(/^250 /);
  expect(world.queue.open.size).toBe(0);
  talker.socket.destroy();
});

test.each(['BDAT', 'BDAT x LAST', 'BDAT -1', 'BDAT 5 FIRST', 'BDAT 9999999999999999'])(
  '%s: what follows cannot be told from commands, so the session ends',
  async (command) => {
    const talker = await opened();
    talker.send(`${command}\r\nNOOP\r\n`);
    expect(await talker.reply()).toMatch(/^501 5\.5\.4 /);
    expect(await talker.reply()).toBe('');
  },
);
