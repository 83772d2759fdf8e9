import { randomBytes } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { type Networks, normaliseIp } from '../lib/ip.ts';
import type { Logger } from '../lib/logger.ts';
import type { Accepted, Peer } from './connection.ts';
import { ListenError } from './errors.ts';
import { HandshakeError, handshake, type TlsContext, tlsState } from './handshake.ts';
import type { ConnectionLimits, Refusal } from './limits.ts';
import { type ProxiedAddresses, ProxyProtocolError, parseProxyHeader } from './proxy-protocol.ts';

/**
 * Accepts connections for one service on one address. What it hands over has passed the limits, its PROXY header is
 * read and implicit TLS is done. No peer can make it throw, and one that says nothing is cut off in bounded time.
 */

export interface ListenerOptions {
  /** For the log: `imaps`. */
  readonly service: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly implicitTls: boolean;
  /** null: off. Otherwise every connection must begin with a PROXY header and come from these networks. */
  readonly proxyFrom: Networks | null;
  readonly tls: TlsContext;
  /** Shared between the listeners of a service. */
  readonly limits: ConnectionLimits;
  readonly handshakeTimeoutMs: number;
  readonly proxyTimeoutMs: number;
  readonly log: Logger;
  onAccept(accepted: Accepted): void;
  /** What the protocol says to one too many, `421 4.7.0 …\r\n`; not used where TLS comes first. */
  refuse?(reason: Refusal): string;
}

/** Connections that the kernel holds for us while we are busy. */
const BACKLOG = 1024;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  /** Accepted, not handed over yet. */
  readonly #arriving = new Set<Socket>();
  /** With the counter behind it, a session's name is unique on one machine, and short enough to type. */
  readonly #prefix: string = randomBytes(4).readUInt32BE().toString(36).padStart(7, '0').slice(-5);
  #count = 0;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#arrive(socket));
  }

  /**
   * Starts to accept; resolves to where.
   * @throws ListenError
   */
  listen(): Promise<{ readonly host: string; readonly port: number }> {
    const { service, host, port } = this.#options;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException): void => reject(listenError(service, host, port, error));
      this.#server.once('error', onError);
      this.#server.listen({ host, port, backlog: BACKLOG, ipv6Only: host.includes(':') }, () => {
        this.#server.off('error', onError);
        // Out of file descriptors, most likely: the kernel keeps those who wait, we go on.
        this.#server.on('error', (error) =>
          this.#options.log.error({ service, err: error }, 'accept failed'),
        );
        const address = this.#server.address() as AddressInfo;
        resolve({ host: address.address, port: address.port });
      });
    });
  }

  /** Stops accepting, and drops connections that were not handed over yet. The others live on. */
  close(): void {
    this.#server.close();
    for (const socket of this.#arriving) socket.destroy();
  }

  #arrive(socket: Socket): void {
    const { limits, proxyFrom } = this.#options;
    // An error without a listener ends the process; whoever holds the socket sees it close.
    socket.on('error', () => {});
    const ip = normaliseIp(socket.remoteAddress ?? '');
    // It may be gone already.
    if (ip === '') {
      socket.destroy();
      return;
    }
    const sid = this.#prefix + (this.#count++).toString(36);
    if (limits.full) {
      this.#refuse(socket, sid, ip, 'too-many-connections');
      return;
    }
    limits.enter();
    socket.once('close', () => limits.leave());
    const peer: Peer = {
      ip,
      port: socket.remotePort ?? 0,
      localIp: normaliseIp(socket.localAddress ?? ''),
      localPort: socket.localPort ?? 0,
    };
    if (!proxyFrom) {
      this.#admit(socket, sid, peer);
      return;
    }
    if (!proxyFrom.contains(ip)) {
      this.#options.log.warn(
        { sid, service: this.#options.service, ip },
        'connection from outside the proxies',
      );
      socket.destroy();
      return;
    }
    this.#readProxyHeader(socket, sid, peer);
  }

  #readProxyHeader(socket: Socket, sid: string, proxy: Peer): void {
    const { service, log, proxyTimeoutMs } = this.#options;
    this.#arriving.add(socket);
    let received: Buffer = Buffer.alloc(0);
    const give = (reason: string): void => {
      finish();
      log.warn({ sid, service, ip: proxy.ip, reason }, 'no valid PROXY header');
      socket.destroy();
    };
    const finish = (): void => {
      clearTimeout(timer);
      socket.off('readable', onReadable);
      socket.off('close', finish);
      this.#arriving.delete(socket);
    };
    const onReadable = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const addresses = this.#tryProxyHeader(received, give);
      if (addresses === undefined) return;
      finish();
      if (addresses.rest.length > 0) socket.unshift(addresses.rest);
      const peer = addresses.proxied ? { ...proxy, ...addresses.proxied } : proxy;
      // Once the stream has noticed that nobody listens for 'readable' any more.
      process.nextTick(() => this.#admit(socket, sid, peer));
    };
    const timer = setTimeout(() => give('timeout'), proxyTimeoutMs);
    socket.on('readable', onReadable);
    socket.once('close', finish);
  }

  /** undefined while the header is incomplete, and after `give` was told that there will be none. */
  #tryProxyHeader(
    received: Buffer,
    give: (reason: string) => void,
  ): { readonly proxied: ProxiedAddresses | null; readonly rest: Buffer } | undefined {
    try {
      const header = parseProxyHeader(received);
      if (header.is === 'header')
        return { proxied: header.addresses, rest: received.subarray(header.length) };
    } catch (error) {
      if (!(error instanceof ProxyProtocolError)) throw error;
      give(error.message);
    }
    return undefined;
  }

  #admit(socket: Socket, sid: string, peer: Peer): void {
    const { limits, implicitTls, onAccept } = this.#options;
    if (socket.destroyed) return;
    if (!limits.take(peer.ip)) {
      this.#refuse(socket, sid, peer.ip, 'too-many-from-address');
      return;
    }
    socket.once('close', () => limits.giveBack(peer.ip));
    if (implicitTls) void this.#secure(socket, sid, peer);
    else onAccept({ sid, socket, peer, tls: null });
  }

  async #secure(socket: Socket, sid: string, peer: Peer): Promise<void> {
    const { service, tls, handshakeTimeoutMs, log, onAccept } = this.#options;
    this.#arriving.add(socket);
    try {
      const secure = await handshake(socket, tls, handshakeTimeoutMs);
      onAccept({ sid, socket: secure, peer, tls: tlsState(secure) });
    } catch (error) {
      socket.destroy();
      if (!(error instanceof HandshakeError)) {
        log.error({ sid, service, ip: peer.ip, err: error }, 'accepting a connection failed');
        return;
      }
      const fields = { sid, service, ip: peer.ip, reason: error.message };
      if (error.kind === 'noise') log.debug(fields, 'TLS handshake failed');
      else log.info(fields, 'TLS handshake failed');
    } finally {
      this.#arriving.delete(socket);
    }
  }

  #refuse(socket: Socket, sid: string, ip: string, reason: Refusal): void {
    const { service, implicitTls, log, refuse } = this.#options;
    log.info({ sid, service, ip, reason }, 'connection refused');
    if (implicitTls || !refuse) {
      socket.destroy();
      return;
    }
    socket.write(refuse(reason), 'latin1');
    socket.destroySoon();
  }
}

function listenError(service: string, host: string, port: number, error: NodeJS.ErrnoException): ListenError {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(
        'in-use',
        `${place} (${service}) is taken by another program: stop it, or give ${service} another port under "listeners"`,
        error,
      );
    case 'EACCES':
    case 'EPERM':
      return new ListenError(
        'not-permitted',
        `no permission to listen on ${place} (${service}): ports below 1024 need CAP_NET_BIND_SERVICE ` +
          '(AmbientCapabilities in a systemd unit), or net.ipv4.ip_unprivileged_port_start set to 0',
        error,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAFNOSUPPORT':
      return new ListenError(
        'no-such-address',
        `this machine has no address ${host} (${service}): correct "host" under "listeners"`,
        error,
      );
    default:
      return new ListenError('failed', `cannot listen on ${place} (${service}): ${error.message}`, error);
  }
}
