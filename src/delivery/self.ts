import { networkInterfaces } from 'node:os';
import type { Self } from '../dns/mx.ts';
import { normaliseIp } from '../lib/ip.ts';

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

/**
 * How to know ourselves among a domain's mail hosts: by our name, and by every address on which we listen at the port
 * where mail hosts are looked for. A host with our address and another port is somebody else.
 */
export function ourselves(
  hostname: string,
  listeners: readonly { readonly host: string; readonly port: number }[],
  port: number,
): Self {
  const own = listeners.filter((listener) => listener.port === port);
  const everywhere = own.some(({ host }) => WILDCARDS.has(host));
  const interfaces = everywhere ? Object.values(networkInterfaces()).flatMap((list) => list ?? []) : [];
  const addresses = [...own.map(({ host }) => host), ...interfaces.map(({ address }) => address)];
  return { names: new Set([hostname.toLowerCase()]), addresses: new Set(addresses.map(normaliseIp)) };
}
