import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { constants, createDeflateRaw, createInflateRaw, deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { play } from './dialogue.ts';
import { ALICE, Client, ImapWorld, PASSWORD } from './world.ts';

let world: ImapWorld;
beforeAll(async () => {
  world = await ImapWorld.start({ plaintextFrom: '127.0.0.1' });
  await world.fill('INBOX', ['Subject: one\n\nbody\n']);
});
afterAll(() => world.close());

/** What stands for the socket once both directions are compressed. */
class Compressed extends EventEmitter {
  readonly #deflate = createDeflateRaw();

  constructor(socket: Socket) {
    super();
    const inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    socket.pipe(inflate);
    this.#deflate.pipe(socket);
    inflate.on('data', (chunk) => this.emit('data', chunk));
    inflate.on('end', () => this.emit('end'));
  }

  write(bytes: Buffer): void {
    this.#deflate.write(bytes);
    this.#deflate.flush(constants.Z_SYNC_FLUSH);
  }

  end(): void {
    this.#deflate.end();
  }
}

function inside(client: Client): { readonly client: Client; readonly wire: Compressed } {
  client.socket.removeAllListeners('data');
  const wire = new Compressed(client.socket);
  return { client: new Client(wire as unknown as Socket), wire };
}

async function compressed(mailbox?: string): Promise<Client> {
  const client = await world.login(mailbox);
  await client.ok('COMPRESS DEFLATE');
  return inside(client).client;
}

describe('the dialogues of RFC 4978 3', () => {
  test('a simple login; STARTTLS itself is in login.test.ts', async () => {
    const client = await world.client();
    await play(client, `C: b login ${ALICE} "${PASSWORD}"`);
    expect(await client.response()).toMatch(/^b OK \[CAPABILITY .*\bCOMPRESS=DEFLATE\b/);
    // The RFC answers with the tag d, by mistake.
    await play(client, 'C: c compress deflate\n S: c OK DEFLATE active');
    await play(inside(client).client, 'C: e noop\n S: e OK NOOP completed');
  });

  test('twice is refused', async () => {
    const client = await compressed();
    await play(client, 'C: c compress deflate\n S: c NO [COMPRESSIONACTIVE] DEFLATE active');
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });
});

describe('COMPRESS=DEFLATE', () => {
  test('other mechanisms and other arguments are BAD; nothing is compressed then', async () => {
    const client = await world.login();
    for (const wrong of ['COMPRESS', 'COMPRESS ZSTD', 'COMPRESS DEFLATE 9'])
      expect(await client.tagged(wrong)).toMatch(/^BAD/);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test('not before login', async () => {
    const client = await world.client('plain');
    expect(await client.tagged('COMPRESS DEFLATE')).toMatch(/^BAD Log in/);
  });

  test('without TLS too', async () => {
    const plain = await world.client('plain');
    await plain.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
    await plain.ok('COMPRESS DEFLATE');
    const { client } = inside(plain);
    expect(await client.ok('SELECT INBOX')).toContain('1 EXISTS');
  });

  test('each answer leaves without waiting for more, pipelined ones in their order', async () => {
    const client = await compressed('INBOX');
    for (let round = 0; round < 20; round++) expect(await client.tagged('NOOP')).toMatch(/^OK/);
    client.send('a NOOP\r\nb CHECK\r\nc FETCH 1 UID\r\nd NOOP\r\n');
    for (const tag of ['a', 'b', '\\* 1 FETCH', 'c', 'd'])
      expect(await client.response()).toMatch(new RegExp(`^${tag} `));
  });

  test('literals both ways, in IDLE too', async () => {
    const client = await compressed();
    await client.ok('SELECT INBOX');
    await client.ok('CREATE Big');
    const text = `A: b\r\n\r\n${Array.from({ length: 40_000 }, (_, at) => `${at * 7919}\r\n`).join('')}`;
    client.send(`x APPEND Big {${text.length}}\r\n`);
    expect(await client.response()).toBe('+ Go ahead');
    client.send(`${text}\r\n`);
    expect(await client.response()).toMatch(/^x OK/);
    await client.ok('SELECT Big');
    const [fetched] = await client.ok('FETCH 1 BODY.PEEK[]');
    expect(fetched).toContain(text);
    client.send('i IDLE\r\n');
    expect(await client.response()).toMatch(/^\+/);
    await world.fill('Big', ['Subject: two\n\nbody\n']);
    expect(await client.response()).toBe('* 2 EXISTS');
    expect(await client.response()).toMatch(/RECENT$/);
    client.send('DONE\r\n');
    expect(await client.response()).toMatch(/^i OK/);
  });

  test('LOGOUT says BYE inside of the compression, and the stream ends', async () => {
    const client = await compressed();
    client.send('z LOGOUT\r\n');
    expect(await client.closed()).toMatch(/^\* BYE .*\r\nz OK .*\r\n$/s);
  });

  test('commands in the clear end the connection, and no more than that', async () => {
    const client = await world.login();
    await client.ok('COMPRESS DEFLATE');
    const closed = once(client.socket, 'close');
    client.socket.write('a NOOP\r\nb NOOP\r\nc NOOP\r\n\xff\xff\xff\xff');
    await closed;
    expect(await (await world.login()).tagged('NOOP')).toMatch(/^OK/);
  });

  test('what was sent with COMPRESS, before its answer, is part of the compressed stream', async () => {
    const client = await world.login();
    const ahead = deflateRawSync('n NOOP\r\n', { finishFlush: constants.Z_SYNC_FLUSH });
    client.send(Buffer.concat([Buffer.from('c COMPRESS DEFLATE\r\n'), ahead]));
    expect(await client.response()).toMatch(/^c OK/);
    expect(await inside(client).client.response()).toMatch(/^n OK/);
  });

  test('a client that closes in the middle of a block', async () => {
    const client = await world.login();
    await client.ok('COMPRESS DEFLATE');
    const { client: within, wire } = inside(client);
    wire.write(Buffer.from('a NOOP\r\n'));
    expect(await within.response()).toMatch(/^a OK/);
    const ended = world.lines.length;
    client.socket.end(deflateRawSync('b NOOP').subarray(0, 3));
    await within.closed();
    while (!world.lines.slice(ended).some(({ message }) => message === 'imap session ended'))
      await new Promise((resolve) => setTimeout(resolve, 5));
  });
});
