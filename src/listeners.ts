import type { Config } from './config/schema.ts';
import { networks } from './lib/ip.ts';
import type { Logger } from './lib/logger.ts';
import type { TlsContext } from './net/handshake.ts';
import { ConnectionLimits } from './net/limits.ts';
import { Listener } from './net/listener.ts';
import type { ListenerSettings } from './net/options.ts';
import type { Protocols, Service, ServiceName } from './protocols.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Services that the configuration has room for and that this version does not serve. */
const UNSERVED = ['http', 'https'] as const;

/** Those of them that `config` has listeners for: nothing will answer there. */
export function unserved({ listeners }: Config): readonly string[] {
  return UNSERVED.filter((service) => listeners[service].length > 0);
}

/** Whether `config` has a listener that something answers at. */
export function listensAnywhere({ listeners }: Config): boolean {
  const silent: readonly string[] = UNSERVED;
  return Object.entries(listeners).some(([service, list]) => list.length > 0 && !silent.includes(service));
}

interface Open {
  readonly service: ServiceName;
  readonly listener: Listener;
  readonly address: Address;
}

/** All open listeners. Those that a reload does not change keep their socket, so no connection is missed. */
export class Listeners {
  #open = new Map<string, Open>();
  #protocols: Protocols;
  readonly #limits = new Map<Service['limits'], ConnectionLimits>();
  readonly #tls: TlsContext;
  readonly #log: Logger;

  constructor(protocols: Protocols, tls: TlsContext, log: Logger) {
    this.#protocols = protocols;
    this.#tls = tls;
    this.#log = log;
  }

  /**
   * Opens what `config` asks for and is not open, then closes what it does not ask for; from then on all connections
   * go to `protocols`. When one cannot be opened, nothing changes. Throws ListenError.
   */
  async apply(config: Config, protocols: Protocols): Promise<void> {
    const wanted = new Map<string, { service: ServiceName; settings: ListenerSettings }>();
    for (const service of Object.keys(protocols.services) as ServiceName[])
      for (const settings of config.listeners[service])
        wanted.set(keyOf(service, settings), { service, settings });

    const opened = new Map<string, Open>();
    try {
      for (const [key, { service, settings }] of wanted)
        if (!this.#open.has(key)) opened.set(key, await this.#listen(config, service, settings));
    } catch (error) {
      for (const { listener } of opened.values()) listener.close();
      throw error;
    }
    this.#protocols = protocols;
    for (const [key, { listener, service, address }] of this.#open) {
      if (wanted.has(key)) continue;
      listener.close();
      this.#open.delete(key);
      this.#log.info({ service, ...address }, 'no longer listening');
    }
    for (const [key, open] of opened) {
      this.#open.set(key, open);
      this.#log.info({ service: open.service, ...open.address }, 'listening');
    }
  }

  /** Where each service listens now. */
  addresses(): Readonly<Record<string, readonly Address[]>> {
    const all: Record<string, Address[]> = {};
    for (const { service, address } of this.#open.values()) all[service] = [...(all[service] ?? []), address];
    return all;
  }

  /** Stops accepting; sessions live on. */
  close(): void {
    for (const { listener } of this.#open.values()) listener.close();
    this.#open.clear();
  }

  async #listen(config: Config, service: ServiceName, settings: ListenerSettings): Promise<Open> {
    const { implicitTls, limits, refusal } = this.#protocols.services[service];
    const listener = new Listener({
      service,
      host: settings.host,
      port: settings.port,
      implicitTls,
      proxyFrom: settings.proxyProtocol ? networks(settings.proxyNetworks) : null,
      tls: this.#tls,
      limits: this.#limitsOf(config, limits),
      handshakeTimeoutMs: config.limits.handshakeTimeout,
      proxyTimeoutMs: config.limits.proxyTimeout,
      log: this.#log,
      onAccept: (accepted) => this.#protocols.services[service].accept(accepted),
      refuse: () => refusal,
    });
    return { service, listener, address: await listener.listen() };
  }

  #limitsOf(config: Config, name: Service['limits']): ConnectionLimits {
    const limits = this.#limits.get(name) ?? new ConnectionLimits(config.limits[name]);
    this.#limits.set(name, limits);
    return limits;
  }
}

function keyOf(service: ServiceName, { host, port, proxyProtocol, proxyNetworks }: ListenerSettings): string {
  return `${service} ${host} ${port} ${proxyProtocol ? proxyNetworks.join(',') : ''}`;
}
