import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { QuotaCheck } from '../checks/quota.ts';
import type { RecipientScripts } from '../delivery/recipient-scripts.ts';
import type { Directory } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import { networks } from '../lib/ip.ts';
import type { Logger } from '../lib/logger.ts';
import type { Accepted } from '../net/connection.ts';
import type { TlsContext } from '../net/handshake.ts';
import type { QueueStore } from '../queue/queue.ts';
import type { Sasl } from '../sasl/sasl.ts';
import type { SmtpRoom, SmtpService } from './client.ts';
import { Connection } from './connection.ts';
import type { SmtpOptions } from './options.ts';

/** The receiving SMTP servers: one for each service, whatever number of listeners hand it their connections. */

export interface SmtpServerOptions {
  /** `submission` for ports 587 and 465 both. */
  readonly service: SmtpService;
  readonly hostname: string;
  readonly directory: Directory;
  readonly queue: QueueStore;
  readonly quota: QuotaCheck;
  readonly scripts: RecipientScripts;
  readonly sasl: Sasl;
  readonly tls: TlsContext;
  readonly settings: SmtpOptions;
  /** Networks in CIDR notation. */
  readonly mynetworks: readonly string[];
  readonly allowPlaintextFrom: readonly string[];
  readonly log: Logger;
  readonly clock: Clock;
  /** Nonces; random unless a test wants to know them. */
  readonly random?: (size: number) => Uint8Array;
}

export interface SmtpServer {
  /** Takes over an accepted connection, to its end. */
  accept(accepted: Accepted): void;
  /** Sessions that are open. */
  readonly sessions: number;
  /**
   * Idle sessions end at once, with 421; transactions under way may finish, but not for longer than `graceMs`.
   * Resolves when no session is left.
   */
  close(graceMs: number): Promise<void>;
}

export function createSmtpServer(options: SmtpServerOptions): SmtpServer {
  const room: SmtpRoom = {
    ...options,
    mynetworks: networks(options.mynetworks),
    allowPlaintextFrom: networks(options.allowPlaintextFrom),
    random: options.random ?? randomBytes,
  };
  const server = new Sessions(room, options.tls);
  return {
    accept: (accepted) => server.accept(accepted),
    get sessions() {
      return server.size;
    },
    close: (graceMs) => server.stop(graceMs),
  };
}

/** How often sessions are looked at for being too slow; less often than that no timeout can be kept. */
const SWEEP = 1000;
/** How often the end of the last session is looked for while stopping. */
const STOP_POLL = 20;

/** smtp-server without its listener, its certificate and its log: a set of connections. */
class Sessions extends SMTPServer {
  readonly #room: SmtpRoom;
  readonly #tls: TlsContext;
  readonly #open = new Set<Connection>();
  #now: number;
  readonly #sweep: NodeJS.Timeout;
  #stopping = false;

  constructor(room: SmtpRoom, tls: TlsContext) {
    super({ name: room.hostname, logger: false, disableReverseLookup: true });
    this.#room = room;
    this.#tls = tls;
    this.#now = room.clock.now().getTime();
    const { command, data, message } = room.settings.timeouts;
    this.#sweep = setInterval(
      () => {
        this.#now = this.#room.clock.now().getTime();
        for (const connection of this.#open) connection.sweep(this.#now);
      },
      Math.max(10, Math.min(SWEEP, command / 4, data / 4, message / 4)),
    ).unref();
  }

  get size(): number {
    return this.#open.size;
  }

  accept(accepted: Accepted): void {
    const connection = new Connection(this, this.#room, this.#tls, accepted, () => this.#now);
    this.#open.add(connection);
    this.connections.add(connection);
    accepted.socket.once('close', () => this.#open.delete(connection));
    connection.init();
    if (this.#stopping) connection.stop();
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const connection of this.#open) connection.stop();
    const end = this.#room.clock.now().getTime() + graceMs;
    while (this.#open.size > 0 && this.#room.clock.now().getTime() < end)
      await this.#room.clock.sleep(Math.min(STOP_POLL, graceMs));
    for (const connection of this.#open) connection.stopNow();
    clearInterval(this.#sweep);
  }

  /** Connections come by accept() alone. */
  override connect(socket: Socket): void {
    socket.destroy();
  }

  /** Certificates are the TLS room's: smtp-server would make a context with its built-in key. */
  override updateSecureContext(): void {
    this.secureContext = new Map();
  }
}
