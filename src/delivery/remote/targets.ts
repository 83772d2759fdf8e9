import { isIP, isIPv4 } from 'node:net';
import { type MailHosts, mailHosts, type Self } from '../../dns/mx.ts';
import { DnsTemporaryError, type Resolver } from '../../dns/resolver.ts';
import type { Reply } from '../../mail/reply.ts';
import type { DeliveryOptions, TlsLevel } from '../options.ts';
import { type Endpoint, formatEndpoint } from './connect.ts';
import { parseRelayHost, type RelayHost } from './relay-host.ts';

/** One address of one host to try. */
export interface Target extends Endpoint {
  /** For DSNs and the log: the host's name, or its address literal. */
  readonly name: string;
  /** For SNI and the certificate. */
  readonly servername: string | undefined;
  readonly tls: TlsLevel | 'implicit';
  /** The name itself cannot have been forged on its way to us (RFC 8689 4.2.1, step 2). */
  readonly secure: boolean;
  readonly credentials: { readonly user: string; readonly password: string } | null;
}

export type Destination =
  | { readonly is: 'targets'; readonly targets: readonly Target[] }
  | {
      readonly is: 'deferred' | 'failed';
      readonly reply: Reply;
      /** For the log only: it may name our resolvers. */
      readonly reason?: string;
    };

export interface TargetsOptions {
  readonly delivery: DeliveryOptions;
  readonly self: Self;
  readonly random: () => number;
}

/** We are no mail host of a smarthost: a loop over it is the administrator's to see. */
const NOBODY: Self = { names: new Set(), addresses: new Set() };

/** Where mail for `nextHop` (A-labels, or an address literal) goes: the addresses in the order to try. */
export async function targetsOf(
  nextHop: string,
  resolver: Resolver,
  options: TargetsOptions,
  signal: AbortSignal,
): Promise<Destination> {
  const { delivery, random } = options;
  const relay = delivery.relayhost === null ? undefined : parseRelayHost(delivery.relayhost, delivery.port);
  const families = delivery.ipv6 ? 'both' : 'ipv4';
  try {
    if (relay) {
      const found = await relayHosts(relay, resolver, { self: NOBODY, families, random, signal });
      const { relayhostTls: tls, relayhostAuth: credentials } = delivery;
      // A name from our own settings: nobody on the way can have changed it.
      const own = found.is === 'hosts' && found.hosts.every((host) => host.name === relay.host);
      if (found.is === 'hosts')
        return targets(found, relay.port, { tls, credentials, secure: own || found.secure });
      // A smarthost that is not there is a mistake of ours, not of those who wrote.
      return {
        is: 'deferred',
        reply: reply(451, '4.3.5', `the smarthost cannot be used: ${explain(found, relay.host)}`),
      };
    }
    const found = await mailHosts(resolver, nextHop, { self: options.self, families, random, signal });
    if (found.is === 'hosts')
      return targets(found, delivery.port, { tls: delivery.tls, credentials: null, secure: found.secure });
    return { is: 'failed', reply: refusal(found, nextHop) };
  } catch (error) {
    if (!(error instanceof DnsTemporaryError)) throw error;
    const text = `DNS gave no answer for ${relay?.host ?? nextHop}`;
    return { is: 'deferred', reply: reply(451, '4.4.3', text), reason: error.message };
  }
}

type Found = Exclude<MailHosts, { is: 'hosts' }>;

async function relayHosts(
  relay: RelayHost,
  resolver: Resolver,
  options: Parameters<typeof mailHosts>[2],
): Promise<MailHosts> {
  if (isIP(relay.host) !== 0) return mailHosts(resolver, `[${relay.host}]`, options);
  if (relay.lookUp === 'mx') return mailHosts(resolver, relay.host, options);
  // Without its MX, the name is its own host.
  const direct: Resolver = {
    mx: async () => ({ status: 'nodata', secure: false }),
    a: (name, signal) => resolver.a(name, signal),
    aaaa: (name, signal) => resolver.aaaa(name, signal),
    txt: (name, signal) => resolver.txt(name, signal),
    ptr: (ip, signal) => resolver.ptr(ip, signal),
  };
  return mailHosts(direct, relay.host, options);
}

function targets(
  found: Extract<MailHosts, { is: 'hosts' }>,
  port: number,
  common: Pick<Target, 'tls' | 'credentials' | 'secure'>,
): Destination {
  const list = found.hosts.flatMap((host) =>
    host.addresses.map((address) => ({
      ...common,
      name: host.name,
      servername: host.name.startsWith('[') ? undefined : host.name,
      address,
      port,
    })),
  );
  return { is: 'targets', targets: list };
}

function refusal(found: Found, domain: string): Reply {
  const text = explain(found, domain);
  switch (found.is) {
    case 'null-mx':
      return reply(556, '5.1.10', text);
    case 'nxdomain':
      return reply(550, '5.1.2', text);
    case 'no-address':
      return reply(550, '5.4.4', text);
    case 'loop':
      return reply(554, '5.4.6', text);
  }
}

function explain(found: Found, domain: string): string {
  switch (found.is) {
    case 'null-mx':
      return `${domain} takes no mail (null MX)`;
    case 'nxdomain':
      return `there is no domain ${domain}`;
    case 'no-address':
      return `no mail host of ${domain} has an address (${found.names.join(', ')})`;
    case 'loop':
      return `mail for ${domain} comes back to this host (${found.host})`;
  }
}

export function reply(code: number, enhanced: NonNullable<Reply['enhanced']>, text: string): Reply {
  return { code, enhanced, text };
}

/** `mx.example.org[192.0.2.1]:25`. */
export function relayName(target: Target): string {
  const endpoint = formatEndpoint(target);
  if (target.servername === undefined) return endpoint;
  const address = isIPv4(target.address) ? `[${target.address}]` : endpoint.replace(/:\d+$/, '');
  return `${target.name}${address}:${target.port}`;
}
