import { isIP } from 'node:net';
import { type Answer, DnsTemporaryError, type Mx, type Resolver } from './resolver.ts';

/** A host that takes mail for a domain, with the addresses to try, in this order. */
export interface MailHost {
  /** A-labels, or an address literal in brackets. */
  readonly name: string;
  readonly preference: number;
  /** Never empty. IPv6 and IPv4 in turn, IPv6 first. */
  readonly addresses: readonly string[];
}

export type MailHosts =
  | {
      readonly is: 'hosts';
      readonly hosts: readonly MailHost[];
      /** Nobody on the way can have changed the names: DNSSEC says so, or there was nothing to look up. */
      readonly secure: boolean;
    }
  /** The domain says that it takes no mail (RFC 7505). */
  | { readonly is: 'null-mx' }
  /** There is no such domain. */
  | { readonly is: 'nxdomain' }
  /** The domain exists, but none of `names` has an address. */
  | { readonly is: 'no-address'; readonly names: readonly string[] }
  /** The best host left is ourselves: mail would come back (RFC 5321 5.1). */
  | { readonly is: 'loop'; readonly host: string };

/** How we are known to the world: host names in A-labels, lower case, and IP addresses. */
export interface Self {
  readonly names: ReadonlySet<string>;
  readonly addresses: ReadonlySet<string>;
}

export interface MailHostsOptions {
  readonly self: Self;
  /** Which addresses we can connect to. */
  readonly families: 'ipv4' | 'both';
  /** From 0 to 1, for the order of equal preferences. */
  readonly random: () => number;
  readonly signal?: AbortSignal;
}

/** RFC 5321 5.1 wants at least two tried; a zone with more than this gets no more of our time. */
const MAX_HOSTS = 10;
/** Per host; the rest of a long list is left out. */
const MAX_ADDRESSES = 8;

/**
 * Where mail for `domain` goes (RFC 5321 5.1), in the order to try.
 * @param domain in A-labels, or an address literal such as `[192.0.2.1]`.
 * @throws DnsTemporaryError when DNS gives no answer: that is never taken for "no record".
 */
export async function mailHosts(
  resolver: Resolver,
  domain: string,
  options: MailHostsOptions,
): Promise<MailHosts> {
  const literal = literalAddress(domain);
  if (literal !== undefined)
    return withoutUs([{ name: domain, preference: 0, addresses: [literal] }], options.self, true);

  const answer = await resolver.mx(domain, options.signal);
  if (answer.status === 'nxdomain') return { is: 'nxdomain' };
  const exchanges = inOrder(answer, domain, options.random);
  if (exchanges.length === 0) return { is: 'null-mx' };

  const found = await Promise.all(exchanges.map((mx) => resolveHost(resolver, mx, options)));
  const hosts = found.filter((host) => host !== 'unknown').filter((host) => host.addresses.length > 0);
  const remaining = withoutUs(hosts, options.self, answer.secure);
  if (remaining.is === 'hosts' && remaining.hosts.length === 0) {
    if (found.includes('unknown'))
      throw new DnsTemporaryError(`no address of a mail host of ${domain} could be found for now`);
    return { is: 'no-address', names: exchanges.map((mx) => mx.exchange) };
  }
  return remaining;
}

/** The address within `[…]`, without the tag of IPv6 literals (RFC 5321 4.1.3); undefined for a name. */
function literalAddress(domain: string): string | undefined {
  const text = /^\[(?:ipv6:)?([^\]]+)\]$/i.exec(domain)?.[1];
  return text !== undefined && isIP(text) !== 0 ? text : undefined;
}

/** MX records by preference, equal ones shuffled; the domain itself where there are none; empty for a null MX. */
function inOrder(answer: Answer<Mx>, domain: string, random: () => number): readonly Mx[] {
  if (answer.status !== 'found') return [{ preference: 0, exchange: domain }];
  // A null MX beside others is a mistake in the zone: the others count (RFC 7505 3).
  const named = answer.records.filter((mx) => mx.exchange !== '');
  return named
    .map((mx) => ({ mx, rank: random() }))
    .sort((a, b) => a.mx.preference - b.mx.preference || a.rank - b.rank)
    .slice(0, MAX_HOSTS)
    .map(({ mx }) => mx);
}

/** 'unknown' when no address was found and DNS did not say that there is none. */
async function resolveHost(
  resolver: Resolver,
  mx: Mx,
  options: MailHostsOptions,
): Promise<MailHost | 'unknown'> {
  const [six, four] = await Promise.all([
    options.families === 'both' ? addresses(resolver.aaaa(mx.exchange, options.signal)) : [],
    addresses(resolver.a(mx.exchange, options.signal)),
  ]);
  const list = interleave(six === 'unknown' ? [] : six, four === 'unknown' ? [] : four);
  if (list.length === 0 && (six === 'unknown' || four === 'unknown')) return 'unknown';
  return { name: mx.exchange, preference: mx.preference, addresses: list.slice(0, MAX_ADDRESSES) };
}

async function addresses(answer: Promise<Answer<string>>): Promise<readonly string[] | 'unknown'> {
  try {
    const found = await answer;
    return found.status === 'found' ? found.records : [];
  } catch (error) {
    if (error instanceof DnsTemporaryError) return 'unknown';
    throw error;
  }
}

function interleave(first: readonly string[], second: readonly string[]): readonly string[] {
  const length = Math.max(first.length, second.length);
  return Array.from({ length }, (_, i) => [first[i], second[i]])
    .flat()
    .filter((address) => address !== undefined);
}

/** Drops ourselves and every host that is not better than us, or mail would go in circles (RFC 5321 5.1). */
function withoutUs(hosts: readonly MailHost[], self: Self, secure: boolean): MailHosts {
  const us = hosts.find(
    (host) => self.names.has(host.name) || host.addresses.some((address) => self.addresses.has(address)),
  );
  if (!us) return { is: 'hosts', hosts, secure };
  const better = hosts.filter((host) => host.preference < us.preference);
  return better.length > 0 ? { is: 'hosts', hosts: better, secure } : { is: 'loop', host: us.name };
}
