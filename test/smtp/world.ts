import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../src/lib/clock.ts';
import { ConnectionLimits } from '../../src/net/limits.ts';
import { Listener } from '../../src/net/listener.ts';
import { createSasl } from '../../src/sasl/index.ts';
import { type SmtpOptions, smtpOptions } from '../../src/smtp/options.ts';
import { createSmtpServer, type SmtpServer, type SmtpServerOptions } from '../../src/smtp/server.ts';
import type { Certificates } from '../../src/tls/certificates.ts';
import { type MemoryDirectory, memoryDirectory, type Population } from '../directory/memory-directory.ts';
import { testCertificates } from '../net/world.ts';
import { type Line, recordingLog } from '../tls/log.ts';
import { playTranscript } from '../transcript.ts';
import { type MemoryQueue, memoryQueue } from './memory-queue.ts';

/** One server on a free port, with a real directory, real mechanisms and a queue in memory. */
export interface World {
  readonly port: number;
  readonly queue: MemoryQueue;
  readonly directory: MemoryDirectory;
  readonly server: SmtpServer;
  readonly lines: Line[];
  connect(): Promise<Socket>;
  play(transcript: string): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly service?: SmtpServerOptions['service'];
  readonly settings?: Partial<SmtpOptions>;
  readonly population?: Population;
  readonly implicitTls?: boolean;
  readonly changes?: Partial<SmtpServerOptions>;
  readonly cramMd5?: boolean;
}

export const POPULATION: Population = {
  accounts: { 'alice@example.org': 'wonderland', 'bob@example.org': 'builder' },
  aliases: {
    'sales@example.org': ['alice@example.org', 'bob@example.org'],
    'team@example.org': ['sales@example.org', 'alice@example.org', 'carol@example.net'],
    'postmaster@example.org': ['alice@example.org'],
  },
};

export const DEFAULTS: SmtpOptions = smtpOptions.parse({});

let certificates: Promise<Certificates> | undefined;

export async function smtpWorld(options: WorldOptions = {}): Promise<World> {
  certificates ??= testCertificates();
  const tls = await certificates;
  const { log, lines } = recordingLog();
  const directory = await memoryDirectory(options.population ?? POPULATION);
  const queue = memoryQueue();
  const server = createSmtpServer({
    service: options.service ?? 'smtp',
    hostname: 'mx.example.org',
    directory: directory.directory,
    queue: queue.store,
    quota: { admit: async () => {}, whenFull: 'tempfail' },
    scripts: { mayRefuse: async () => false, refusal: async () => undefined },
    sasl: createSasl({
      directory: directory.directory,
      log,
      clock: systemClock,
      hostname: 'mx.example.org',
      cramMd5: options.cramMd5 ?? false,
    }),
    tls,
    settings: { ...DEFAULTS, ...options.settings },
    mynetworks: [],
    allowPlaintextFrom: [],
    log,
    clock: systemClock,
    ...options.changes,
  });
  const listener = new Listener({
    service: 'test',
    host: '127.0.0.1',
    port: 0,
    implicitTls: options.implicitTls ?? false,
    proxyFrom: null,
    tls,
    limits: new ConnectionLimits({ maxConnections: 1000, maxConnectionsPerIp: 1000 }),
    handshakeTimeoutMs: 5000,
    proxyTimeoutMs: 5000,
    log,
    onAccept: (accepted) => server.accept(accepted),
  });
  const { port } = await listener.listen();
  const connectTo = async (): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    await once(socket, 'connect');
    return socket;
  };
  return {
    port,
    queue,
    directory,
    server,
    lines,
    connect: connectTo,
    play: (transcript) => playTranscript(transcript, connectTo),
    async close() {
      listener.close();
      await server.close(0);
      await directory.close();
    },
  };
}

/** A client that reads whole replies. */
export class Talker {
  readonly socket: Socket;
  #buffer = '';
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#buffer += chunk.toString('latin1');
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('close', end);
    socket.on('end', end);
  }

  /** The greeting read, EHLO said. */
  static async greeted(socket: Socket, verb: 'EHLO' | 'HELO' | 'LHLO' = 'EHLO'): Promise<Talker> {
    const talker = new Talker(socket);
    await talker.reply();
    await talker.say(`${verb} client.example.net`);
    return talker;
  }

  send(text: string): void {
    this.socket.write(text, 'latin1');
  }

  async say(line: string): Promise<string> {
    this.send(`${line}\r\n`);
    return this.reply();
  }

  /** The next reply, all its lines; '' at the end of the connection. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/.exec(this.#buffer);
      if (match) {
        this.#buffer = this.#buffer.slice(match[0].length);
        return match[0].trimEnd();
      }
      if (this.#ended) return '';
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no reply in time, only ${JSON.stringify(this.#buffer)}`)),
          5000,
        );
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Replies until there is one to a NOOP: nothing else is still to come. */
  async replies(): Promise<string[]> {
    const all: string[] = [];
    for (;;) {
      const reply = await this.reply();
      if (reply === '') return all;
      all.push(reply);
      if (reply.startsWith('221')) return all;
    }
  }
}

export async function transaction(talker: Talker, from: string, to: string): Promise<string> {
  await talker.say(`MAIL FROM:<${from}>`);
  await talker.say(`RCPT TO:<${to}>`);
  return talker.say('DATA');
}
