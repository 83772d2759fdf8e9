import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, connect, createServer, type Server, Socket } from 'node:net';
import { Writable } from 'node:stream';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { SMTPStream } from 'smtp-server/lib/smtp-stream.js';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Talker } from './world.ts';

/**
 * What src/smtp takes from smtp-server, members without a promise of their own, and what it replaces because of how
 * smtp-server behaves. An upgrade that fails here has changed one of them: read what it did before changing the test.
 */

const require = createRequire(import.meta.url);

test('the version that was read', () => {
  const { version } = JSON.parse(readFileSync(require.resolve('smtp-server/package.json'), 'utf8'));
  expect(version).toBe('3.21.6');
});

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

describe('what the subclasses stand on', () => {
  class Bare extends SMTPServer {
    contexts = 0;
    override updateSecureContext(): void {
      this.secureContext = new Map();
    }
  }

  test('a server without certificate, listener and warning', () => {
    const warn = vi.spyOn(console, 'error');
    const server = new Bare({ logger: false, disableReverseLookup: true, name: 'mx.example.org' });
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
    expect(server.server.listening).toBe(false);
    expect(server.connections).toBeInstanceOf(Set);
    expect(server.secureContext.size).toBe(0);
  });

  test('a connection makes its parser by _createParser, once, and takes the id it is given', () => {
    let made = 0;
    class Probe extends SMTPConnection {
      override _createParser(): SMTPStream {
        made++;
        return new SMTPStream();
      }
    }
    const connection = new Probe(new Bare({ logger: false }), new Socket(), { id: 's1' });
    expect(made).toBe(1);
    expect(connection).toMatchObject({
      id: 's1',
      _ready: false,
      _closing: false,
      _closed: false,
      _upgrading: false,
      secure: false,
    });
    expect(connection._parser).toBeInstanceOf(SMTPStream);
  });

  test('a parser is a Writable that calls nothing of its own at the end', async () => {
    const parser = new SMTPStream();
    const oncommand = vi.fn();
    parser.oncommand = oncommand;
    expect(parser).toBeInstanceOf(Writable);
    expect(parser.isClosed).toBe(false);
    parser.end();
    await once(parser, 'finish');
    expect(oncommand).not.toHaveBeenCalled();
  });

  async function pair(): Promise<{ client: Socket; socket: Socket; listener: Server }> {
    const listener = createServer();
    open.push(listener);
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const client = connect((listener.address() as AddressInfo).port, '127.0.0.1');
    const [socket] = (await once(listener, 'connection')) as [Socket];
    return { client, socket, listener };
  }

  test('close() sends what waits, ends the parser, and ends a client that never leaves', async () => {
    const { client, socket } = await pair();
    const server = new Bare({ logger: false, socketTimeout: 150 });
    const connection = new SMTPConnection(server, socket);
    const parser = connection._parser;
    if (parser) socket.pipe(parser);
    server.connections.add(connection);
    socket.write('last words');
    connection.close();
    expect(connection._closing).toBe(true);
    expect(server.connections.size).toBe(0);
    expect(parser instanceof SMTPStream ? parser.isClosed : undefined).toBe(true);
    const [words] = (await once(client, 'data')) as [Buffer];
    expect(words.toString()).toBe('last words');
    await once(socket, 'close');
    client.destroy();
  });

  test('_onClose() drops the parser and is done once', async () => {
    const { client, socket } = await pair();
    const closed = vi.fn();
    const server = new Bare({ logger: false, onClose: closed });
    const connection = new SMTPConnection(server, socket);
    connection._onClose();
    connection._onClose();
    await new Promise(setImmediate);
    expect(connection._closed).toBe(true);
    expect(connection._parser).toBe(false);
    expect(closed).toHaveBeenCalledTimes(1);
    client.destroy();
    socket.destroy();
  });
});

describe('why its protocol is replaced', () => {
  const messages: string[] = [];

  async function stock(options: SMTPServerOptions = {}, early?: string): Promise<Talker> {
    const server = new SMTPServer({
      logger: false,
      disableReverseLookup: true,
      authOptional: true,
      disabledCommands: ['AUTH'],
      onData(stream, _session, done) {
        let text = '';
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
        });
        stream.on('end', () => {
          messages.push(text);
          done(null, 'taken');
        });
      },
      ...options,
    });
    server.on('error', () => {});
    open.push(server.listen(0, '127.0.0.1'));
    await once(server.server, 'listening');
    const socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
    if (early !== undefined) {
      socket.write(early);
      return new Talker(socket);
    }
    return Talker.greeted(socket, options.lmtp ? 'LHLO' : 'EHLO');
  }

  async function answer(command: string): Promise<string> {
    const talker = await stock();
    const reply = await talker.say(command);
    talker.socket.destroy();
    return reply;
  }

  test.each([
    ['MAIL FROM:<a@example.net> FOO=bar', '250', 'RFC 5321 4.1.1.11: 555'],
    ['MAIL FROM:<"a b"@example.net>', '501', 'quoted local parts are addresses'],
    ['MAIL FROM:<\u00fc@example.net>', '250', 'RFC 6531: needs SMTPUTF8'],
    ['MAIL FROM:<a@example.net> BODY=BINARYMIME', '501', 'RFC 3030'],
    ['BDAT 4 LAST', '500', 'RFC 3030'],
    ['NOOP\nNOOP', '250', 'a lone LF ends a line'],
  ])('%j: %s (%s)', async (command, code) => {
    expect(await answer(command)).toMatch(new RegExp(`^${code} `));
  });

  test('half a line before the greeting is not noticed', async () => {
    const talker = await stock({}, 'EH');
    expect(await talker.reply()).toMatch(/^220 /);
    expect(await talker.say('LO client.example.net')).toMatch(/^250-/);
    talker.socket.destroy();
  });

  test('a single dot at the beginning of a line is kept, a lone LF begins one', async () => {
    const talker = await stock();
    await talker.say('MAIL FROM:<a@example.net>');
    await talker.say('RCPT TO:<b@example.org>');
    await talker.say('DATA');
    await talker.say('.b\r\n\n..c\r\n.');
    expect(messages.pop()).toBe('.b\r\n\n.c\r\n');
    talker.socket.destroy();
  });

  test.each(['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r\n', '\r\n.\r', '\r.\r', '\n.\r', '\r\n\0.\r\n'])(
    '%j does not end DATA, and is kept in the message',
    async (end) => {
      const talker = await stock();
      await talker.say('MAIL FROM:<a@example.net>');
      await talker.say('RCPT TO:<b@example.org>');
      await talker.say('DATA');
      expect(await talker.say(`text${end}more\r\n.`)).toMatch(/^250 /);
      expect(messages.pop()).toBe(`text${end}more\r\n`);
      talker.socket.destroy();
    },
  );

  test('LMTP: the same recipient twice gets one reply (RFC 2033 4.2: two)', async () => {
    const talker = await stock({ lmtp: true });
    await talker.say('MAIL FROM:<a@example.net>');
    await talker.say('RCPT TO:<b@example.org>');
    await talker.say('RCPT TO:<b@example.org>');
    await talker.say('DATA');
    expect(await talker.say('\r\n.')).toMatch(/^250 /);
    expect(await talker.say('NOOP')).toMatch(/^250 .*OK/);
    talker.socket.destroy();
  });
});
