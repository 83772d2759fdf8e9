import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import type { AccountId } from '../../src/directory/directory.ts';
import { type ImapOptions, imapOptions } from '../../src/imap/options.ts';
import { createImapServer, type ImapServer } from '../../src/imap/server.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { SocketLineConnection } from '../../src/net/line-connection.ts';
import { createSasl } from '../../src/sasl/index.ts';
import type { MailboxId, MailStore } from '../../src/store/store.ts';
import { domain, type MemoryDirectory, memoryDirectory } from '../directory/memory-directory.ts';
import { Openings, type Place, testCertificates } from '../net/world.ts';
import { type Line, recordingLog } from '../tls/log.ts';
import { type MemoryAccount, MemoryMail, type MemoryOptions } from './memory-mail.ts';

/** Made once: a key takes its time. */
const shared = testCertificates();

/** Failed logins are answered at once. */
const hurried: Clock = { now: () => new Date(), sleep: async () => {} };

export const ALICE = 'alice@example.org';
export const BOB = 'bob@example.org';
export const CAROL = 'carol@example.org';
export const PASSWORD = 'wonder Land.1';

interface Changes {
  readonly settings?: Partial<ImapOptions>;
  readonly mail?: MemoryOptions;
  readonly store?: MailStore;
  readonly clock?: Clock;
  readonly plaintextFrom?: string;
  readonly cramMd5?: boolean;
}

/** An IMAP server with real listeners, logins and TLS; only the store is in memory. */
export class ImapWorld {
  readonly mail: MemoryMail;
  readonly lines: Line[];
  readonly server: ImapServer;
  readonly plain: Place;
  readonly tls: Place;
  readonly directory: string;
  readonly #openings: Openings;
  readonly #accounts: MemoryDirectory;

  private constructor(
    parts: Pick<ImapWorld, 'mail' | 'lines' | 'server' | 'plain' | 'tls' | 'directory'>,
    openings: Openings,
    accounts: MemoryDirectory,
  ) {
    this.mail = parts.mail;
    this.lines = parts.lines;
    this.server = parts.server;
    this.plain = parts.plain;
    this.tls = parts.tls;
    this.directory = parts.directory;
    this.#openings = openings;
    this.#accounts = accounts;
  }

  static async start(changes: Changes = {}): Promise<ImapWorld> {
    const directory = mkdtempSync(join(tmpdir(), 'facteur-imap-'));
    const certificates = await shared;
    const accounts = await memoryDirectory({
      accounts: {
        [ALICE]: PASSWORD,
        [BOB]: PASSWORD,
        [CAROL]: PASSWORD,
        'testimap2@example.org': 'testimap2',
      },
      settings: { defaultDomain: domain('example.org') },
      ...(changes.cramMd5 ? { keyFile: join(directory, 'key') } : {}),
    });
    const { log, lines } = recordingLog();
    const sasl = createSasl({
      directory: accounts.directory,
      log,
      clock: hurried,
      hostname: 'imap.example.org',
      cramMd5: changes.cramMd5 ?? false,
    });
    const mail = new MemoryMail(changes.mail);
    const server = createImapServer({
      hostname: 'imap.example.org',
      version: '1.2.3',
      store: changes.store ?? mail,
      sasl,
      clock: changes.clock ?? systemClock,
      log,
      settings: { ...imapOptions.parse({}), ...changes.settings },
      spoolDirectory: join(directory, 'spool'),
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
    return new ImapWorld({ mail, lines, server, plain, tls, directory }, openings, accounts);
  }

  account(id: string = ALICE): Promise<MemoryAccount> {
    return this.mail.account(id as AccountId);
  }

  /** Puts messages into a mailbox, which is made if need be. */
  async fill(path: string, messages: readonly string[], account: string = ALICE): Promise<MailboxId> {
    const store = await this.account(account);
    const mailbox = (await store.mailbox(path)) ?? (await store.create(path));
    for (const message of messages)
      store.put(mailbox.id, Buffer.from(message.replace(/\r?\n/g, '\r\n')), {
        internalDate: Date.UTC(2024, 2, 1, 10),
      });
    return mailbox.id;
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
    await client.response();
    return client;
  }

  /** Logged in, and in a mailbox if one is given. */
  async login(mailbox?: string, user: string = ALICE): Promise<Client> {
    const client = await this.client();
    await client.ok(`LOGIN ${user} "${PASSWORD}"`);
    if (mailbox !== undefined) await client.ok(`SELECT "${mailbox}"`);
    return client;
  }

  async close(): Promise<void> {
    this.#openings.closeAll();
    await this.server.close(0);
    await this.#accounts.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Answer {
  /** Untagged responses without `* `, literals in place. */
  readonly untagged: readonly string[];
  /** `OK …` */
  readonly tagged: string;
}

/** The other side, byte for byte. */
export class Client {
  readonly socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;
  #tags = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
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

  send(text: string | Buffer): void {
    this.socket.write(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  }

  /** Sends a command, with `\r\n` in it where literals begin; resolves to all up to its tagged answer. */
  async ask(command: string | Buffer): Promise<Answer> {
    const tag = `t${++this.#tags}`;
    this.send(Buffer.concat([Buffer.from(`${tag} `), bytes(command), Buffer.from('\r\n')]));
    return this.answer(tag);
  }

  async answer(tag: string): Promise<Answer> {
    const untagged: string[] = [];
    for (;;) {
      const response = await this.response();
      if (response.startsWith(`${tag} `)) return { untagged, tagged: response.slice(tag.length + 1) };
      untagged.push(response.startsWith('* ') ? response.slice(2) : response);
    }
  }

  /** The untagged responses; throws what is not OK. */
  async ok(command: string | Buffer): Promise<readonly string[]> {
    const { untagged, tagged } = await this.ask(command);
    if (!tagged.startsWith('OK')) throw new Error(`${String(command).slice(0, 200)}: ${tagged}`);
    return untagged;
  }

  /** The tagged answer alone. */
  async tagged(command: string | Buffer): Promise<string> {
    return (await this.ask(command)).tagged;
  }

  /** One response with its literals, without the last CRLF. */
  async response(): Promise<string> {
    let text = '';
    for (;;) {
      const line = (await this.#until('\r\n')).toString('latin1').slice(0, -2);
      text += line;
      const literal = /\{(\d+)\}$/.exec(line);
      if (!literal) return text;
      text += `\r\n${(await this.octets(Number(literal[1]))).toString('latin1')}`;
    }
  }

  async octets(size: number): Promise<Buffer> {
    while (this.#buffer.length < size) await this.#more();
    const taken = this.#buffer.subarray(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return taken;
  }

  async #until(end: string): Promise<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(end);
      if (at >= 0) return this.octets(at + end.length);
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (this.#ended) throw new Error(`the end, after ${this.#buffer.toString('latin1')}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  /** What came before the end of the connection. */
  async closed(): Promise<string> {
    while (!this.#ended)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#buffer.toString('latin1');
  }
}

function bytes(text: string | Buffer): Buffer {
  return typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
}
