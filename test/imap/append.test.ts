import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MemoryAccount } from './memory-mail.ts';
import { type Client, ImapWorld } from './world.ts';

const LIMIT = 1024 * 1024;
let world: ImapWorld;
let client: Client;
let store: MemoryAccount;
beforeAll(async () => {
  world = await ImapWorld.start({ settings: { maxMessageSize: LIMIT } });
  store = await world.account();
  await store.create('Drafts');
});
afterAll(() => world.close());
beforeAll(async () => {
  client = await world.login();
});

const MESSAGE = 'Subject: x\r\n\r\nbody\r\n';

async function last(): Promise<{ bytes: string; flags: readonly string[]; internalDate: number }> {
  const mailbox = await store.mailbox('Drafts');
  if (!mailbox) throw new Error('no Drafts');
  const uid = (await store.uids(mailbox.id)).at(-1) as never;
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.raw(mailbox.id, uid)).read()) chunks.push(chunk);
  for await (const [message] of store.messages(mailbox.id, [{ first: uid, last: uid }]))
    if (message) return { ...message, bytes: Buffer.concat(chunks).toString('latin1') };
  throw new Error('no message');
}

describe('APPEND (RFC 9051 6.3.12)', () => {
  test('flags and date are kept, APPENDUID is told (RFC 4315 3)', async () => {
    const answer = await client.tagged(
      `APPEND drafts {${MESSAGE.length}+}\r\n${MESSAGE}`.replace('drafts', 'Drafts'),
    );
    expect(answer).toMatch(/^OK \[APPENDUID \d+ 1\]/);
    await client.ok(
      `APPEND Drafts (\\Seen $Kw) "17-Jul-1996 02:44:25 -0700" {${MESSAGE.length}+}\r\n${MESSAGE}`,
    );
    expect(await last()).toMatchObject({
      bytes: MESSAGE,
      flags: ['\\Seen', '$Kw'],
      internalDate: Date.UTC(1996, 6, 17, 9, 44, 25),
    });
  });

  test('the mailbox may be a literal too, the literals may wait for leave (RFC 9051 4.3)', async () => {
    client.send('x APPEND {6}\r\n');
    expect(await client.response()).toBe('+ Go ahead');
    client.send('Drafts () {20}\r\n');
    expect(await client.response()).toBe('+ Go ahead');
    client.send(`${MESSAGE}\r\n`);
    expect(await client.response()).toMatch(/^x OK \[APPENDUID/);
  });

  test('a literal8 is taken, NUL is not (RFC 3516 4.4)', async () => {
    expect(await client.tagged('APPEND Drafts ~{7+}\r\nA: b\r\n\r')).toMatch(/^OK/);
    expect(await client.tagged('APPEND Drafts ~{8+}\r\nA: b\r\n\0\n')).toMatch(/^NO \[UNKNOWN-CTE\]/);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('lines become CRLF', async () => {
    await client.ok('APPEND Drafts {14+}\r\nA: b\n\nc\r\nd\re\n\n');
    expect((await last()).bytes).toBe('A: b\r\n\r\nc\r\nd\re\r\n\r\n');
  });

  test('a message that is big goes through a file, which does not stay', async () => {
    const big = `A: b\r\n\r\n${'0123456789abcdef\n'.repeat(30_000)}`;
    await client.ok(`APPEND Drafts {${big.length}+}\r\n${big}`);
    expect((await last()).bytes).toBe(big.replace(/\r?\n/g, '\r\n'));
    expect(readdirSync(join(world.directory, 'spool'))).toEqual([]);
  });

  test('new messages in the selected mailbox are told (RFC 9051 6.3.12)', async () => {
    const other = await world.login('Drafts');
    const untagged = await other.ok(`APPEND Drafts {${MESSAGE.length}+}\r\n${MESSAGE}`);
    expect(untagged).toEqual([expect.stringMatching(/^\d+ EXISTS$/), expect.stringMatching(/^\d+ RECENT$/)]);
  });

  test('an empty message is refused', async () => {
    expect(await client.tagged('APPEND Drafts {0+}\r\n')).toMatch(/^NO \[CANNOT\]/);
  });
});

describe('what is bound to fail is refused before it is sent', () => {
  test.each([
    ['APPEND nowhere {100}', /^NO \[TRYCREATE\]/],
    [`APPEND Drafts {${LIMIT + 1}}`, /^NO \[TOOBIG\]/],
    ['APPEND Drafts {99999999999999999999}', /^NO \[TOOBIG\]/],
    ['APPEND Drafts (\\Recent) {100}', /^BAD .*\(byte/],
    ['APPEND Drafts "yesterday" {100}', /^BAD .*\(byte/],
    ['SELECT {70000}', /^BAD \[TOOBIG\]/],
    ['FOO {100}', /^BAD Unknown command FOO/],
  ])('%s', async (command, answer) => {
    expect(await client.tagged(command)).toMatch(answer);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('before login no literal is a message', async () => {
    const fresh = await world.client();
    expect(await fresh.tagged('APPEND Drafts {100}')).toMatch(/^BAD Log in/);
  });
});

describe('literals that come without leave are read to their end (RFC 7888 4)', () => {
  test.each([
    ['APPEND nowhere', 200_000, /^NO \[TRYCREATE\]/],
    ['APPEND Drafts', LIMIT + 1, /^NO \[TOOBIG\]/],
    ['LIST ""', 70_000, /^BAD \[TOOBIG\]/],
    ['FOO', 5, /^BAD Unknown/],
  ])('%s, %i octets', async (command, size, answer) => {
    const junk = 'x LOGOUT\r\n'.repeat(Math.ceil(size / 10)).slice(0, size);
    expect(await client.tagged(`${command} {${size}+}\r\n${junk}`)).toMatch(answer);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('with all that follows in the same command', async () => {
    const big = 'abcdefghi\n'.repeat(7000);
    expect(await client.tagged(`APPEND nowhere {70000+}\r\n${big} {4+}\r\nabcd "x" {5+}\r\nabcde`)).toMatch(
      /^NO \[TRYCREATE\]/,
    );
    expect(await client.tagged('APPEND nowhere {3+}\r\nabc')).toMatch(/^NO \[TRYCREATE\]/);
    expect(await client.tagged('APPEND Drafts {3+}\r\nabc x{4+}\r\nabcd')).toMatch(/^BAD/);
  });

  test('before login not much of it: the connection is closed', async () => {
    const fresh = await world.client();
    fresh.send('x FOO {2000000+}\r\n');
    expect(await fresh.closed()).toBe('');
  });
});

test('a message that ends in the middle is not stored', async () => {
  const { total } = (await store.mailbox('Drafts')) ?? { total: -1 };
  const fresh = await world.login();
  fresh.send(`x APPEND Drafts {300000+}\r\n${'y'.repeat(200_000)}`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  fresh.socket.destroy();
  await expect.poll(() => readdirSync(join(world.directory, 'spool'))).toEqual([]);
  expect((await store.mailbox('Drafts'))?.total).toBe(total);
});
