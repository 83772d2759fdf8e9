import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { constants, createDeflateRaw, createInflateRaw, type ZlibOptions } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import type { Uid } from '../../src/store/store.ts';
import { maildirStore, temporaryDirectory } from '../store/surroundings.ts';
import { ALICE, type Client, ImapWorld, PASSWORD } from './world.ts';

/** What clients do with their connections: they stop reading, or sending, or send what is too long. */

describe('a client that shuts its sending side (RFC 9051 5.5)', () => {
  let world: ImapWorld;
  beforeAll(async () => {
    world = await ImapWorld.start({ plaintextFrom: '127.0.0.1' });
    await world.fill('INBOX', new Array(200).fill(`Subject: x\n\n${'text\n'.repeat(2000)}`));
  });
  afterAll(() => world.close());

  async function half(kind: 'plain' | 'tls'): Promise<Client> {
    const client = await world.client(kind);
    client.socket.allowHalfOpen = true;
    return client;
  }

  async function noSession(): Promise<void> {
    while (world.server.sessions > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  test.each(['plain', 'tls'] as const)('gets all answers, then the end: %s', async (kind) => {
    const client = await half(kind);
    const commands = Array.from(
      { length: 50 },
      (_, at) => `f${at} UID FETCH ${at + 1}:${at + 4} BODY.PEEK[]\r\n`,
    );
    client.socket.end(`a LOGIN ${ALICE} "${PASSWORD}"\r\nb SELECT INBOX\r\n${commands.join('')}`);
    expect((await client.answer('a')).tagged).toMatch(/^OK/);
    expect((await client.answer('b')).tagged).toMatch(/^OK/);
    for (let at = 0; at < commands.length; at++) {
      const { untagged, tagged } = await client.answer(`f${at}`);
      expect(untagged).toHaveLength(4);
      expect(tagged).toMatch(/^OK/);
    }
    // No BYE: it has gone of itself, and there is nobody to tell.
    expect(await client.closed()).toBe('');
    await noSession();
  });

  test('half a command is none', async () => {
    const client = await half('tls');
    await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
    client.socket.end('a NOOP\r\nb DELETE INB');
    expect(await client.closed()).toMatch(/^a OK [^\r]*\r\n$/);
    await noSession();
  });

  test('nor is one whose literal is cut off; nothing is stored', async () => {
    for (const literal of ['{100+}', '{200000+}']) {
      const client = await half('tls');
      await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
      client.socket.end(`a APPEND INBOX ${literal}\r\nSubject: cut off`);
      expect(await client.closed()).toBe('');
      await noSession();
    }
    const other = await world.login();
    expect(await other.ok('STATUS INBOX (MESSAGES)')).toEqual(['STATUS INBOX (MESSAGES 200)']);
    await other.ok('LOGOUT');
  });

  test.each(['a IDLE\r\n', 'a AUTHENTICATE PLAIN\r\n', 'a APPEND INBOX {10}\r\n'])(
    'in the middle of %j it ends at once',
    async (command) => {
      const client = await half('tls');
      if (!command.includes('AUTH')) await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
      client.send(command);
      expect(await client.response()).toMatch(/^\+/);
      client.socket.end();
      await client.closed();
      await noSession();
    },
  );

  test('IDLE and its DONE in one go', async () => {
    const client = await half('tls');
    client.socket.end(`a LOGIN ${ALICE} "${PASSWORD}"\r\nb IDLE\r\nDONE\r\nc NOOP\r\n`);
    for (const tag of ['a', 'b', 'c']) expect((await client.answer(tag)).tagged).toMatch(/^OK/);
    expect(await client.closed()).toBe('');
    await noSession();
  });
});

describe('a client that is silent', () => {
  // Below what the configuration allows: nobody waits half an hour here.
  let world: ImapWorld;
  afterEach(() => world.close());

  test.each(['NOOP', 'SELECT INBOX', 'IDLE'])(
    'is told BYE when it has been so for too long, after %s',
    async (command) => {
      world = await ImapWorld.start({ settings: { idleTimeout: 150 } });
      const client = await world.login();
      client.send(`a ${command}\r\n`);
      expect(await client.closed()).toMatch(/\* BYE You were silent for too long\r\n$/);
      expect(world.server.sessions).toBe(0);
      expect(world.lines.at(-1)?.fields).toMatchObject({ reason: 'timeout' });
    },
  );

  test('one that says something is not', async () => {
    world = await ImapWorld.start({ settings: { idleTimeout: 300 } });
    const client = await world.login();
    for (let round = 0; round < 6; round++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await client.ok('NOOP');
    }
  });
});

/** What is held is what is left when all garbage is gone. */
function collect(): void {
  setFlagsFromString('--expose_gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc === 'function') gc();
}

describe('many who ask for all and read nothing', () => {
  const { path, remove } = temporaryDirectory();
  const store = maildirStore(path);
  let world: ImapWorld;
  afterAll(async () => {
    await world.close();
    await store.close();
    remove();
  });

  /** Messages, each of so many octets, that every client asks for. */
  const MESSAGES = 500;
  const OCTETS = 18_000;
  const CLIENTS = 15;
  /** One gets half a megabyte ahead, and a second one that is on its way. */
  const EACH = 2 * 1024 * 1024;

  test('all messages each cost but what is on its way', async () => {
    world = await ImapWorld.start({ store, plaintextFrom: '127.0.0.1' });
    const account = await store.account(ALICE as AccountId);
    const inbox = await account.mailbox('INBOX');
    if (!inbox) throw new Error('no INBOX');
    const raw = (at: number): RawMessage =>
      rawMessage([Buffer.from(`Subject: ${at}\r\n\r\n${'0123456789abcdef\r\n'.repeat(OCTETS / 18)}`)]);
    for (let at = 0; at < MESSAGES; at += 100)
      await account.appendAll(
        inbox.id,
        Array.from({ length: 100 }, (_, i) => ({ raw: raw(at + i), flags: [], internalDate: 0 })),
      );
    const clients: Client[] = [];
    for (let at = 0; at < CLIENTS; at++) {
      const client = await world.client('plain');
      await client.ok(`LOGIN ${ALICE} "${PASSWORD}"`);
      await client.ok('SELECT INBOX');
      clients.push(client);
    }
    const held = (): number => {
      collect();
      const { heapUsed, arrayBuffers, external } = process.memoryUsage();
      return heapUsed + Math.max(arrayBuffers, external);
    };
    const before = held();
    for (const { socket } of clients) {
      socket.removeAllListeners('data');
      socket.pause();
      // All that there is, several times over.
      socket.write('a FETCH 1:* BODY.PEEK[]\r\nc FETCH 1:* (UID BODY.PEEK[])\r\n');
    }
    // Long enough for all that is read ahead.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(held() - before).toBeLessThan(CLIENTS * EACH);
    // Others are served as ever, and one that begins to read gets all.
    const other = await world.login('INBOX');
    expect(await other.ok('FETCH 500 RFC822.SIZE')).toHaveLength(1);
    const [first] = clients;
    if (!first) throw new Error('no client');
    let octets = 0;
    let end = '';
    await new Promise<void>((resolve) => {
      first.socket.on('data', (chunk: Buffer) => {
        octets += chunk.length;
        end = (end + chunk.toString('latin1', Math.max(0, chunk.length - 60))).slice(-60);
        if (/\r\nc OK [^\r]*\r\n$/.test(end)) resolve();
      });
      first.socket.resume();
    });
    expect(octets).toBeGreaterThan(2 * MESSAGES * OCTETS * 0.99);
    // Those that go without having read anything leave nothing behind.
    for (const { socket } of clients) socket.destroy();
    await other.ok('LOGOUT');
    while (world.server.sessions > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  }, 60_000);
});

describe('lines and literals at their limits', () => {
  let world: ImapWorld;
  let client: Client;
  beforeAll(async () => {
    world = await ImapWorld.start({ settings: { maxErrors: 1000, maxMessageSize: 100_000 } });
    client = await world.login('INBOX');
  });
  afterAll(() => world.close());

  /** A command of exactly so many octets, without its CRLF. */
  const line = (octets: number, head: string): string => `${head}${'x'.repeat(octets - head.length)}`;

  async function answerTo(text: string): Promise<string> {
    client.send(`${text}\r\n`);
    return client.response();
  }

  test.each([
    [-1, /^q BAD (?!The line)/],
    [0, /^q BAD (?!The line)/],
    [1, /^q BAD The line is too long \(byte 131073\)/],
  ])('a line of 128 KB %i', async (more, expected) => {
    expect(await answerTo(line(128 * 1024 + more, 'q NOOP '))).toMatch(expected);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test.each([
    [-1, /^q BAD (?!The line)/],
    [0, /^q BAD (?!The line)/],
    [1, /^q BAD The line is too long \(byte 40961\)/],
  ])('before login one of 40 KB %i', async (more, expected) => {
    const stranger = await world.client();
    stranger.send(`${line(40 * 1024 + more, 'q NOOP ')}\r\n`);
    expect(await stranger.response()).toMatch(expected);
    expect(await stranger.tagged('NOOP')).toMatch(/^OK/);
  });

  test.each([
    ['+', -1, /^q OK/],
    ['+', 0, /^q OK/],
    ['+', 1, /^q BAD \[TOOBIG\]/],
    ['', 0, /^\+/],
    ['', 1, /^q BAD \[TOOBIG\]/],
  ])('an argument of 64 KB, {n%s} %i', async (plus, more, expected) => {
    const size = 64 * 1024 + more;
    const text = 'y'.repeat(size);
    const head = `q SEARCH SUBJECT {${size}${plus}}`;
    const answer = await answerTo(plus === '+' ? `${head}\r\n${text}` : head);
    if (answer.startsWith('* SEARCH')) expect(await client.response()).toMatch(expected);
    else expect(answer).toMatch(expected);
    if (answer.startsWith('+')) {
      client.send(`${text}\r\n`);
      expect((await client.answer('q')).tagged).toMatch(/^OK/);
    }
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test.each([
    [1000, /^OK/],
    [1001, /^BAD The command has too many literals/],
  ])('%i literals in one command', async (count, expected) => {
    const keys = new Array(count).fill('SUBJECT {1+}\r\na').join(' ');
    expect(await client.tagged(`SEARCH ${keys}`)).toMatch(expected);
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test.each([
    [-1, '+', /^q OK/],
    [0, '+', /^q OK/],
    [1, '+', /^q NO \[TOOBIG\]/],
    [0, '', /^\+/],
    [1, '', /^q NO \[TOOBIG\]/],
  ])('a message of maxMessageSize %i, {n%s}', async (more, plus, expected) => {
    const size = 100_000 + more;
    const message = `Subject: x\r\n\r\n${'z'.repeat(size - 14)}`;
    client.send(`q APPEND INBOX {${size}${plus}}\r\n`);
    if (plus === '+') client.send(`${message}\r\n`);
    let answer = await client.response();
    while (answer.startsWith('* ')) answer = await client.response();
    expect(answer).toMatch(expected);
    if (answer.startsWith('+')) {
      client.send(`${message}\r\n`);
      expect((await client.answer('q')).tagged).toMatch(/^OK/);
    }
    expect(await client.tagged('NOOP')).toMatch(/^OK/);
  });

  test.each([
    [200, /^q OK/],
    [100_000, /^q OK/],
  ])('a tag of %i octets comes back whole', async (octets) => {
    const tag = 'T'.repeat(octets);
    expect(await answerTo(`${tag} NOOP`)).toBe(`${tag} OK NOOP completed`);
  });
});

describe('BAD says what is wrong and where', () => {
  let world: ImapWorld;
  let client: Client;
  beforeAll(async () => {
    world = await ImapWorld.start({ settings: { maxErrors: 1000 } });
    await world.fill('INBOX', ['Subject: x\n\ntext\n']);
    client = await world.login('INBOX');
  });
  afterAll(() => world.close());

  // ^ stands under the byte that is named, counted from the tag on.
  test.each([
    ['a', ' ^', 'A command is missing'],
    ['a FECTH 1 FLAGS', '  ^', 'Unknown command FECTH'],
    ['a UID NOOP', '  ^', 'Unknown command UID NOOP'],
    ['a FETCH', '       ^', 'Arguments are missing'],
    ['a FETCH 1', '         ^', 'Arguments are missing'],
    ['a FETCH 1 FLAG', '          ^', 'No such item'],
    ['a FETCH 1 (FLAGS UUID)', '                 ^', 'No such item'],
    ['a FETCH 1 (FLAGS', '                ^', '")" is missing'],
    ['a FETCH 1 (FLAGS,UID)', '           ^', 'No such item'],
    ['a FETCH 1 FLAGS UID', '                ^', '"(" is missing'],
    ['a FETCH 1, FLAGS', '          ^', 'A number is missing'],
    ['a FETCH 0 FLAGS', '        ^', 'The number must not be 0'],
    ['a FETCH 1-3 FLAGS', '         ^', 'A space is missing'],
    ['a FETCH 2 FLAGS', '        ^', 'There are only 1 messages'],
    ['a FETCH 99999999999 FLAGS', '        ^', 'The number is too big'],
    ['a FETCH 1 BODY[', '               ^', /./],
    ['a FETCH 1 BODY[HEADER.FIELDS]', '                            ^', /./],
    ['a FETCH 1 BODY[]<0>', '                  ^', /./],
    ['a STORE 1 FLAGS Seen\\', '                    ^', /./],
    ['a STORE 1 FLAGS (\\Seen', '                      ^', '")" is missing'],
    ['a STORE 1 FLAGS (\\Sene)', '                 ^', '\\sene is no flag that can be set'],
    ['a STORE 1 FLAG (\\Seen)', '          ^', '"FLAGS" is missing'],
    ['a SEARCH FORM x', '         ^', 'No such search key'],
    ['a SEARCH SINCE 2024-01-01', '               ^', 'A date such as 1-Feb-1994 is missing'],
    ['a SEARCH (SEEN', '              ^', '")" is missing'],
    ['a SEARCH SUBJECT "open', '                 ^', 'The quoted string has no end'],
    ['a SEARCH SEEN  UNSEEN', '              ^', 'A word is missing'],
    ['a SELECT', '        ^', 'Arguments are missing'],
    ['a SELECT INBOX CONDSTORE', '               ^', '"(" is missing'],
    ['a SELECT "INBOX', '         ^', 'The quoted string has no end'],
    ['a COPY 1', '        ^', 'Arguments are missing'],
    ['a LIST ""', '         ^', 'Arguments are missing'],
    ['a STATUS INBOX MESSAGES', '               ^', '"(" is missing'],
    ['a STATUS INBOX (MESSAGE)', '                ^', /./],
    ['a NOOP now', '      ^', /./],
    ['a EXPUNGE 1', '         ^', /./],
    ['a UIDBATCHES 500 1-2', '                  ^', '":" is missing'],
  ])('%s', async (command, place, text) => {
    client.send(`${command}\r\n`);
    const answer = await client.response();
    const found = /^(?:a|\*) BAD (.+?) \(byte (\d+)\)$/.exec(answer);
    expect(found, answer).not.toBeNull();
    const [, said = '', byte] = found ?? [];
    if (typeof text === 'string') expect(said).toBe(text);
    // Words for people, not for programmers.
    expect(said).toMatch(/^[A-Z"\\]/);
    expect(`${' '.repeat(Number(byte) - 1)}^`, answer).toBe(place);
  });
});

describe('COMPRESS, however the other side cuts its blocks (RFC 4978)', () => {
  let world: ImapWorld;
  beforeAll(async () => {
    world = await ImapWorld.start();
    await world.fill('INBOX', ['Subject: one\n\nbody\n']);
  });
  afterAll(() => world.close());

  const { Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FIXED, Z_HUFFMAN_ONLY, Z_RLE } = constants;
  const kinds: readonly [string, number, ZlibOptions][] = [
    ['partial flush', Z_PARTIAL_FLUSH, {}],
    ['sync flush', Z_SYNC_FLUSH, {}],
    ['full flush', Z_FULL_FLUSH, {}],
    ['stored blocks', Z_SYNC_FLUSH, { level: 0 }],
    ['fixed codes, partial flush', Z_PARTIAL_FLUSH, { strategy: Z_FIXED }],
    ['Huffman alone', Z_PARTIAL_FLUSH, { strategy: Z_HUFFMAN_ONLY }],
    ['runs alone, small window', Z_FULL_FLUSH, { strategy: Z_RLE, windowBits: 9 }],
    ['best, large window', Z_PARTIAL_FLUSH, { level: 9, windowBits: 15, memLevel: 9 }],
  ];

  test.each(kinds)('octet by octet both ways: %s', async (_, flush, options) => {
    const client = await world.login('INBOX');
    await client.ok('COMPRESS DEFLATE');
    const wire = new Wire(client.socket, flush, options);
    for (let round = 0; round < 3; round++) {
      await wire.send(`n${round} NOOP\r\n`);
      expect(await wire.until(`n${round} OK`)).toContain('NOOP completed\r\n');
    }
    // A flush in the middle of everything: of the tag, of CRLF, of a literal.
    for (const piece of ['x AP', 'PEND IN', 'BOX {1', '2+}\r', '\nSub', 'ject: y\r\n', '\r', '\ny NOOP\r\n'])
      await wire.send(piece);
    expect(await wire.until('y OK')).toMatch(/x OK \[APPENDUID/);
    await wire.send('z FETCH 1 BODY.PEEK[]\r\n');
    expect(await wire.until('z OK')).toContain('Subject: one\r\n\r\nbody\r\n');
    await wire.send('q LOGOUT\r\n');
    await wire.until('q OK');
  });

  test('numbers in commands of the same block mean what the client knows: no EXPUNGE before them (5.5)', async () => {
    const box = await world.fill('Ahead', new Array(3).fill('Subject: x\n\ny\n'));
    const client = await world.login('Ahead');
    await client.ok('COMPRESS DEFLATE');
    const wire = new Wire(client.socket, Z_SYNC_FLUSH, {});
    await (await world.account()).expunge(box, [1] as unknown as Uid[]);
    await wire.send(
      'a NOOP\r\nb FETCH 3 UID\r\nc STORE 2 +FLAGS.SILENT (\\Deleted)\r\nd NOOP\r\n',
      'at once',
    );
    const told = await wire.until('d OK');
    expect(told.split('\r\n').filter((line) => line.startsWith('*'))).toEqual([
      '* 3 FETCH (UID 3)',
      '* 1 EXPUNGE',
    ]);
    await wire.send('e UID SEARCH DELETED\r\n', 'at once');
    expect(await wire.until('e OK')).toContain('* SEARCH 2\r\n');
  });

  /** The client's side: each octet that it compresses goes alone, and each that comes is inflated alone. */
  class Wire {
    readonly #socket: Socket;
    readonly #deflate: ReturnType<typeof createDeflateRaw>;
    readonly #inflate = createInflateRaw({ finishFlush: Z_SYNC_FLUSH });
    readonly #flush: number;
    #text = '';
    #ready: Buffer[] = [];
    #wake: () => void = () => {};

    constructor(socket: Socket, flush: number, options: ZlibOptions) {
      this.#socket = socket;
      this.#flush = flush;
      this.#deflate = createDeflateRaw(options);
      this.#deflate.on('data', (chunk: Buffer) => this.#ready.push(chunk));
      socket.removeAllListeners('data');
      socket.on('data', (chunk: Buffer) => {
        for (const octet of chunk) this.#inflate.write(Buffer.of(octet));
      });
      this.#inflate.on('data', (chunk: Buffer) => {
        this.#text += chunk.toString('latin1');
        this.#wake();
      });
    }

    async send(text: string, how: 'alone' | 'at once' = 'alone'): Promise<void> {
      this.#deflate.write(text);
      await new Promise<void>((resolve) => this.#deflate.flush(this.#flush, resolve));
      const octets = Buffer.concat(this.#ready.splice(0));
      for (const part of how === 'alone' ? [...octets].map((octet) => Buffer.of(octet)) : [octets]) {
        if (!this.#socket.write(part)) await once(this.#socket, 'drain');
        await new Promise((resolve) => setImmediate(resolve));
      }
    }

    /** What has come up to the line that begins with `start`. */
    async until(start: string): Promise<string> {
      for (;;) {
        const end = new RegExp(`(?:^|\\r\\n)${start}[^\\r]*\\r\\n`).exec(this.#text);
        if (end) {
          const text = this.#text;
          this.#text = '';
          return text;
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
});
