import { connect, createServer, type Server, type Socket } from 'node:net';
import { ImapFlow } from 'imapflow';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { sequence } from '../../src/transfer/imap/fetch.ts';
import { ImapServer, type ServerWishes } from '../../src/transfer/imap/server.ts';
import { type ImapWishes, imapSource } from '../../src/transfer/imap/source.ts';
import type { Source } from '../../src/transfer/source.ts';
import { startWorld, type World } from '../world.ts';
import { type TransferWorld, transferWorld } from './world.ts';

/** From a whole Facteur, over its IMAP, into another one's store. */

const PASSWORD = 'correct horse';
let server: World;
let relay: Relay;
let user = '';
let count = 0;
let world: TransferWorld;
let there: ImapFlow;

beforeAll(async () => {
  server = await startWorld({ accounts: { 'a1@example.net': PASSWORD, ...more(2, 12) } });
  relay = await Relay.start(server.port('imaps'));
});
afterAll(async () => {
  await relay?.close();
  await server?.close();
});
beforeEach(async () => {
  user = `a${++count}@example.net`;
  world = await transferWorld();
  there = new ImapFlow({
    host: '127.0.0.1',
    port: server.port('imaps'),
    secure: true,
    auth: { user, pass: PASSWORD },
    tls: { rejectUnauthorized: false },
    logger: false,
  });
  await there.connect();
});
afterEach(async () => {
  relay.limit = Number.POSITIVE_INFINITY;
  await there.logout();
  await world.close();
});

function more(first: number, last: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: last - first + 1 }, (_, i) => [`a${first + i}@example.net`, PASSWORD]),
  );
}

function source(wishes: Partial<ImapWishes> = {}, given: Partial<ServerWishes> = {}): Source {
  const login: ServerWishes = {
    host: '127.0.0.1',
    port: relay.port,
    tls: 'implicit',
    trust: { is: 'unverified' },
    user,
    secret: { password: PASSWORD },
    ...given,
  };
  const { signal } = new AbortController();
  const parts = { clock: systemClock, signal, pauses: [1, 1, 1, 1] };
  return imapSource(new ImapServer(login, parts), login, {
    folders: [],
    exclude: [],
    since: null,
    name: user,
    ...wishes,
  });
}

const DATE = new Date('2001-02-03T04:05:06Z');
const text = (subject: string, body = 'Hello'): string => `Subject: ${subject}\r\n\r\n${body}\r\n`;
const subjects = async (path: string): Promise<string[]> =>
  (await world.mail(path)).map(({ text }) => /^Subject: (.*)\r$/m.exec(text)?.[1] ?? '');

describe('import from IMAP', () => {
  test('folders, flags, keywords, dates, special use, subscriptions; nothing becomes \\Seen there', async () => {
    await there.append('INBOX', text('seen'), ['\\Seen', '$Work'], DATE);
    await there.append('INBOX', text('new'), [], DATE);
    await there.append('Sent', text('sent'), ['\\Seen'], DATE);
    await there.mailboxCreate('Äußeres/Tief & weit');
    await there.mailboxSubscribe('Äußeres/Tief & weit');
    await there.append('Äußeres/Tief & weit', text('deep'), [], DATE);
    const summary = await world.import(source());
    expect(summary).toMatchObject({ messages: 4, failed: 0 });
    expect(await world.mail('INBOX')).toEqual([
      { text: text('seen'), flags: ['$Work', '\\Seen'], date: DATE.getTime() },
      { text: text('new'), flags: [], date: DATE.getTime() },
    ]);
    expect(await subjects('Sent')).toEqual(['sent']);
    expect(await subjects('Äußeres/Tief & weit')).toEqual(['deep']);
    expect(await world.account.subscriptions()).toContain('Äußeres/Tief & weit');
    await there.mailboxOpen('INBOX');
    expect(await there.search({ seen: false }, { uid: true })).toEqual([2]);

    await there.append('INBOX', text('later'), [], DATE);
    await there.append('INBOX', text('new'), [], DATE);
    expect(await world.import(source())).toMatchObject({ messages: 2, known: 4 });
    expect(await subjects('INBOX')).toEqual(['seen', 'new', 'later', 'new']);
  });

  test('flags that changed there are changed here, what was changed here stays', async () => {
    await there.append('INBOX', text('a'), ['\\Flagged'], DATE);
    await there.append('INBOX', text('b'), [], DATE);
    await world.import(source());
    const account = await world.store.account('alice@example.org' as never);
    const inbox = (await account.mailbox('INBOX'))?.id;
    if (inbox === undefined) throw new Error('no INBOX');
    await account.setFlags(inbox, [1 as never], { mode: 'add', flags: ['Mine'] });
    await there.mailboxOpen('INBOX');
    await there.messageFlagsSet('1', ['\\Seen'], { uid: true });
    await world.import(source());
    expect((await world.mail('INBOX'))[0]?.flags).toEqual(['Mine', '\\Flagged']);
    const { notes } = await world.import(source(), { syncFlags: 'yes' });
    expect(notes).toEqual(['INBOX: 1 message(s) have other flags now']);
    expect((await world.mail('INBOX')).map(({ flags }) => flags)).toEqual([['Mine', '\\Seen'], []]);
  });

  test('only some folders, and only since a day', async () => {
    await there.append('INBOX', text('old'), [], new Date('1999-12-31T12:00:00Z'));
    await there.append('INBOX', text('new'), [], new Date('2000-01-02T12:00:00Z'));
    await there.append('Junk', text('junk'), [], DATE);
    const since = new Date('2000-01-01T00:00:00Z');
    await world.import(source({ exclude: ['Junk'], since }));
    expect(await subjects('INBOX')).toEqual(['new']);
    expect(await subjects('Junk')).toEqual([]);
    // What was left out then comes when it is asked for.
    expect(await world.import(source({ folders: ['INBOX'] }))).toMatchObject({
      messages: 1,
      known: 1,
      folders: 1,
    });
    await expect(world.import(source({ folders: ['Nowhere'] }))).rejects.toThrow('no folder "Nowhere"');
  });

  test('lost connections: it goes on, each message once; big messages come in pieces', async () => {
    const big = text('big', '0123456789abcdef\r\n'.repeat(300_000));
    await there.append('INBOX', big, [], DATE);
    for (let i = 0; i < 100; i++) await there.append('INBOX', text(`n${i}`, 'x'.repeat(2000)), [], DATE);
    // Every connection dies after so many octets.
    relay.limit = 2_200_000;
    const { messages } = await world.import(source());
    expect(messages).toBe(101);
    expect(relay.cut).toBeGreaterThan(0);
    expect(await subjects('INBOX')).toEqual(['big', ...Array.from({ length: 100 }, (_, i) => `n${i}`)]);
    expect((await world.mail('INBOX'))[0]?.text === big).toBe(true);
  });

  test('a server that dies again and again: given up with words, and gone on with later', async () => {
    for (let i = 0; i < 10; i++) await there.append('INBOX', text(`n${i}`, 'x'.repeat(100_000)), [], DATE);
    relay.limit = 20_000;
    await expect(world.import(source())).rejects.toThrow(/lost again and again.*run the same command later/);
    relay.limit = Number.POSITIVE_INFINITY;
    await world.import(source());
    expect(await subjects('INBOX')).toEqual(Array.from({ length: 10 }, (_, i) => `n${i}`));
  });

  test('a folder that is numbered anew: nothing comes twice', async () => {
    await there.mailboxCreate('Old');
    await there.append('Old', text('a'), [], DATE);
    await there.append('Old', text('b'), [], DATE);
    await world.import(source());
    await there.mailboxDelete('Old');
    await there.mailboxCreate('Old');
    await there.append('Old', text('b'), [], DATE);
    await there.append('Old', text('c'), [], DATE);
    await there.append('Old', text('b'), [], DATE);
    expect(await world.import(source({ folders: ['Old'] }))).toMatchObject({ messages: 2, known: 1 });
    expect(await subjects('Old')).toEqual(['a', 'b', 'c', 'b']);
  });

  test('wrong password, no TLS, nobody there: words, and no second attempt', async () => {
    await expect(world.import(source({}, { secret: { password: 'wrong' } }))).rejects.toThrow(
      /does not let a\d+@example.net in/,
    );
    await expect(world.import(source({}, { trust: { is: 'system' } }))).rejects.toThrow(
      /certificate.*--insecure/,
    );
    const port = (await freePort()) ?? 1;
    await expect(world.import(source({}, { port }))).rejects.toThrow(/cannot be reached/);
  });

  test('STARTTLS', async () => {
    await there.append('INBOX', text('a'), [], DATE);
    await world.import(source({}, { port: server.port('imap'), tls: 'starttls' }));
    expect(await subjects('INBOX')).toEqual(['a']);
  });
});

test('sequence sets', () => {
  expect(sequence([1, 2, 3, 5, 7, 8])).toBe('1:3,5,7:8');
  expect(sequence([])).toBe('');
});

async function freePort(): Promise<number | undefined> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  return typeof address === 'object' && address ? address.port : undefined;
}

/** A network that breaks: cuts each connection after `limit` octets from the server. */
class Relay {
  limit: number = Number.POSITIVE_INFINITY;
  cut = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.#server = createServer((client) => {
      const upstream = connect(target, '127.0.0.1');
      let octets = 0;
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          client.destroy();
          upstream.destroy();
        });
      }
      client.pipe(upstream);
      upstream.on('data', (chunk) => {
        octets += chunk.length;
        if (octets > this.limit) {
          this.cut++;
          client.destroy();
          return;
        }
        if (client.write(chunk)) return;
        upstream.pause();
        client.once('drain', () => upstream.resume());
      });
    });
  }

  static async start(target: number): Promise<Relay> {
    const relay = new Relay(target);
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
