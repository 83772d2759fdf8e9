import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** IP addresses in one form, and sets of networks: what limits, relay and password policies compare. */

/** IPv4 clients of a dual-stack socket appear as `::ffff:192.0.2.1` (RFC 4291 2.5.5.2). */
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** An IPv4-mapped address becomes IPv4, a zone (`%eth0`) is cut off, the rest is in lower case. */
export function normaliseIp(ip: string): string {
  const mapped = MAPPED.exec(ip)?.[1];
  if (mapped !== undefined) return mapped;
  if (!ip.includes(':')) return ip;
  const zone = ip.indexOf('%');
  return (zone < 0 ? ip : ip.slice(0, zone)).toLowerCase();
}

/** A set of networks. */
export interface Networks {
  /** False for what is no IP address. */
  contains(ip: string): boolean;
}

/**
 * Networks in CIDR notation or single addresses, as `network()` of lib/options.ts lets them through.
 * @throws RangeError on anything else.
 */
export function networks(list: readonly string[]): Networks {
  const set = new BlockList();
  for (const item of list) addNetwork(set, item);
  return {
    contains(ip) {
      if (list.length === 0) return false;
      const address = normaliseIp(ip);
      if (isIPv4(address)) return set.check(address, 'ipv4');
      return isIPv6(address) && set.check(address, 'ipv6');
    },
  };
}

const MAPPED_PREFIX = 96;

function addNetwork(set: BlockList, item: string): void {
  const [ip = '', bits, ...rest] = item.split('/');
  const address = normaliseIp(ip);
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  const length = family === 'ipv4' ? 32 : 128;
  // `::ffff:192.0.2.0/120` is written in IPv6 bits but compared as IPv4.
  const offset = address !== ip && family === 'ipv4' ? MAPPED_PREFIX : 0;
  const prefix = bits === undefined ? length : /^\d{1,3}$/.test(bits) ? Number(bits) - offset : -1;
  if (rest.length > 0 || prefix < 0 || prefix > length || (family === 'ipv6' && !isIPv6(address)))
    throw new RangeError(`${item} is not a network`);
  set.addSubnet(address, prefix, family);
}

/**
 * What counts as one peer for limits: an IPv4 address, or an IPv6 /64, since whoever has one address of it
 * has them all (RFC 6177 2).
 */
export function peerKey(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail === undefined) return `${groups.slice(0, 4).join(':')}::/64`;
  const after = tail === '' ? [] : tail.split(':');
  // An embedded IPv4 tail stands for two groups.
  const width = after.length + (tail.includes('.') ? 1 : 0);
  const zeros = Array<string>(Math.max(0, 8 - groups.length - width)).fill('0');
  return `${[...groups, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
