import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Networks, networks } from '../../src/lib/ip.ts';
import type { Accepted } from '../../src/net/connection.ts';
import { ConnectionLimits } from '../../src/net/limits.ts';
import { SocketLineConnection } from '../../src/net/line-connection.ts';
import { Listener, type ListenerOptions } from '../../src/net/listener.ts';
import { Certificates } from '../../src/tls/certificates.ts';
import { DEFAULT_CIPHERS } from '../../src/tls/options.ts';
import { ManualClock } from '../clock.ts';
import { type Line, recordingLog } from '../tls/log.ts';

/** A self-signed certificate for the tests of one file. */
export async function testCertificates(): Promise<Certificates> {
  const dataDir = mkdtempSync(join(tmpdir(), 'facteur-net-'));
  try {
    return await Certificates.load(
      {
        hostname: 'mx.example.org',
        dataDir,
        main: null,
        others: [],
        minVersion: 'TLSv1.2',
        ciphers: DEFAULT_CIPHERS,
      },
      { clock: new ManualClock(new Date()), log: recordingLog().log },
    );
  } finally {
    rmSync(dataDir, { recursive: true });
  }
}

export interface Place {
  readonly port: number;
  readonly lines: Line[];
  /** Those handed over, oldest first. */
  readonly accepted: Accepted[];
  readonly listener: Listener;
  readonly limits: ConnectionLimits;
  next(): Promise<Accepted>;
  connect(): Promise<Socket>;
}

/** Everything that was opened, for an afterEach. */
export class Openings {
  readonly #all: { destroy(): void }[] = [];

  add<T extends { destroy(): void }>(one: T): T {
    this.#all.push(one);
    return one;
  }

  closeAll(): void {
    for (const one of this.#all.splice(0)) one.destroy();
  }

  async listen(
    certificates: Certificates,
    changes: Partial<ListenerOptions> & { maxConnections?: number; maxConnectionsPerIp?: number } = {},
  ): Promise<Place> {
    const { log, lines } = recordingLog();
    const { maxConnections = 100, maxConnectionsPerIp = 100, ...rest } = changes;
    const limits = new ConnectionLimits({ maxConnections, maxConnectionsPerIp });
    const accepted: Accepted[] = [];
    let taken = 0;
    let wake: (() => void) | undefined;
    const listener = new Listener({
      service: 'test',
      host: '127.0.0.1',
      port: 0,
      implicitTls: false,
      proxyFrom: null,
      tls: certificates,
      limits,
      handshakeTimeoutMs: 5000,
      proxyTimeoutMs: 5000,
      log,
      onAccept: (one) => {
        this.add(one.socket);
        accepted.push(one);
        wake?.();
      },
      refuse: (reason) => `-ERR ${reason}\r\n`,
      ...rest,
    });
    const { port } = await listener.listen();
    this.add({ destroy: () => listener.close() });
    return {
      port,
      lines,
      accepted,
      listener,
      limits,
      next: async () => {
        while (accepted.length <= taken)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        const one = accepted[taken++];
        if (!one) throw new Error('nothing was accepted');
        return one;
      },
      connect: async () => {
        const socket = this.add(connect(port, rest.host ?? '127.0.0.1'));
        socket.on('error', () => {});
        await once(socket, 'connect');
        return socket;
      },
    };
  }

  /** A client's socket and the server's connection. */
  async pair(
    certificates: Certificates,
    options: { implicitTls?: boolean; writeTimeoutMs?: number } = {},
  ): Promise<{ client: Socket; connection: SocketLineConnection; accepted: Accepted }> {
    const place = await this.listen(certificates);
    const client = await place.connect();
    const accepted = await place.next();
    const connection = new SocketLineConnection(accepted, {
      tls: certificates,
      handshakeTimeoutMs: 5000,
      writeTimeoutMs: options.writeTimeoutMs ?? 5000,
    });
    return { client, connection, accepted };
  }
}

/** All that comes until the other side ends. */
export async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'close');
  return text;
}

export const anywhere: Networks = networks(['0.0.0.0/0', '::/0']);
