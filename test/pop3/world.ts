import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { SocketLineConnection } from '../../src/net/line-connection.ts';
import { type Pop3Options, pop3Options } from '../../src/pop3/options.ts';
import { createPop3Server, type Pop3Server } from '../../src/pop3/server.ts';
import { createSasl } from '../../src/sasl/index.ts';
import { type MemoryDirectory, memoryDirectory } from '../directory/memory-directory.ts';
import { Openings, type Place, testCertificates } from '../net/world.ts';
import { type Line, recordingLog } from '../tls/log.ts';
import { type InboxStore, InboxStores } from './inbox-store.ts';

/** Made once: a key takes its time. */
const shared = testCertificates();

/** Failed logins are answered at once. */
const hurried: Clock = { now: () => new Date(), sleep: async () => {} };

export const ALICE = 'alice@example.org';
export const PASSWORD = 'wonder Land.1';

/** A POP3 server with real listeners, logins and TLS; only the store is a small one. */
export class Pop3World {
  readonly stores: InboxStores;
  readonly lines: Line[];
  readonly server: Pop3Server;
  readonly plain: Place;
  readonly tls: Place;
  readonly #openings: Openings;
  readonly #directory: MemoryDirectory;
  readonly #dir: string;

  private constructor(
    parts: Pick<Pop3World, 'stores' | 'lines' | 'server' | 'plain' | 'tls'>,
    openings: Openings,
    directory: MemoryDirectory,
    dir: string,
  ) {
    this.stores = parts.stores;
    this.lines = parts.lines;
    this.server = parts.server;
    this.plain = parts.plain;
    this.tls = parts.tls;
    this.#openings = openings;
    this.#directory = directory;
    this.#dir = dir;
  }

  static async start(
    changes: { settings?: Partial<Pop3Options>; cramMd5?: boolean; plaintextFrom?: string } = {},
  ): Promise<Pop3World> {
    const dir = mkdtempSync(join(tmpdir(), 'facteur-pop3-'));
    const certificates = await shared;
    const directory = await memoryDirectory({
      accounts: {
        [ALICE]: PASSWORD,
        'test@example.org': 'test',
        '"félix le [chat]"@example.org': 'pâté',
      },
      ...(changes.cramMd5 ? { keyFile: join(dir, 'key') } : {}),
    });
    const { log, lines } = recordingLog();
    const sasl = createSasl({
      directory: directory.directory,
      log,
      clock: hurried,
      hostname: 'pop.example.org',
      cramMd5: changes.cramMd5 ?? false,
    });
    const stores = new InboxStores();
    const server = createPop3Server({
      hostname: 'pop.example.org',
      version: '1.2.3',
      store: stores.asMailStore(),
      sasl,
      clock: systemClock,
      log,
      settings: { ...pop3Options.parse({}), ...changes.settings },
      allowPlaintext: (ip) => ip === changes.plaintextFrom,
    });
    const openings = new Openings();
    const onAccept = (accepted: ConstructorParameters<typeof SocketLineConnection>[0]): void => {
      openings.add(accepted.socket);
      const options = { tls: certificates, handshakeTimeoutMs: 5000, writeTimeoutMs: 5000 };
      void server.handle(new SocketLineConnection(accepted, options));
    };
    const plain = await openings.listen(certificates, { onAccept });
    const tls = await openings.listen(certificates, { onAccept, implicitTls: true });
    return new Pop3World({ stores, lines, server, plain, tls }, openings, directory, dir);
  }

  inbox(account: string = ALICE): InboxStore {
    return this.stores.inbox(account);
  }

  connectPlain = async (): Promise<Socket> => {
    const socket = this.#openings.add(connect(this.plain.port, '127.0.0.1'));
    await once(socket, 'connect');
    return socket;
  };

  connectTls = async (): Promise<Socket> => {
    const socket = this.#openings.add(
      tlsConnect({ port: this.tls.port, host: '127.0.0.1', rejectUnauthorized: false }),
    );
    await once(socket, 'secureConnect');
    return socket;
  };

  async client(kind: 'plain' | 'tls' = 'tls'): Promise<Client> {
    const client = new Client(await (kind === 'tls' ? this.connectTls() : this.connectPlain()));
    await client.line();
    return client;
  }

  /** Logged in. */
  async login(
    mode: 'ascii' | 'utf8' = 'ascii',
    account: string = ALICE,
    password: string = PASSWORD,
  ): Promise<Client> {
    const client = await this.client();
    if (mode === 'utf8') await client.ask('UTF8');
    await client.ask(`USER ${account}`);
    const answer = await client.ask(`PASS ${password}`);
    if (!answer.startsWith('+OK')) throw new Error(answer);
    return client;
  }

  async close(): Promise<void> {
    this.#openings.closeAll();
    await this.server.close(0);
    await this.#directory.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/** The other side, byte for byte. */
export class Client {
  readonly socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end);
    socket.on('error', end);
    socket.on('close', end);
  }

  send(line: string): void {
    this.socket.write(`${line}\r\n`, 'latin1');
  }

  async ask(line: string): Promise<string> {
    this.send(line);
    return this.line();
  }

  /** As the wire had it, without CRLF. */
  async line(): Promise<string> {
    return (await this.until('\r\n')).toString('latin1').slice(0, -2);
  }

  /** The lines of a multi-line response, byte-stuffing undone, as one text; throws what came instead of +OK. */
  async lines(command: string): Promise<string> {
    const first = await this.ask(command);
    if (!first.startsWith('+OK')) throw new Error(first);
    let text = '';
    for (let line = await this.line(); line !== '.'; line = await this.line())
      text += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
    return text;
  }

  async until(end: string): Promise<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(end);
      if (at >= 0) {
        const taken = this.#buffer.subarray(0, at + end.length);
        this.#buffer = this.#buffer.subarray(at + end.length);
        return taken;
      }
      if (this.#ended) throw new Error(`the end, after ${this.#buffer.toString('latin1')}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async closed(): Promise<string> {
    while (!this.#ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#buffer.toString('latin1');
  }
}
