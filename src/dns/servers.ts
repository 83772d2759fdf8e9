import { getServers } from 'node:dns';
import { isIP, isIPv4 } from 'node:net';

/** Where a recursive resolver listens. */
export interface DnsServer {
  readonly address: string;
  readonly port: number;
}

const DNS_PORT = 53;

/** `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53`, `[2001:db8::53]:5353`; undefined when it is none of these. */
export function parseServer(text: string): DnsServer | undefined {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text);
  const dotted = /^([^:]+):(\d{1,5})$/.exec(text);
  const [, address = text, port = String(DNS_PORT)] = bracketed ?? dotted ?? [];
  if (isIP(address) === 0 || Number(port) < 1 || Number(port) > 65535) return undefined;
  return { address, port: Number(port) };
}

/** The resolvers the operating system uses; the one on this machine where it names none (as resolv.conf(5) says). */
export function systemServers(): readonly DnsServer[] {
  const servers = getServers().flatMap((text) => parseServer(text) ?? []);
  return servers.length > 0 ? servers : [{ address: '127.0.0.1', port: DNS_PORT }];
}

/** Whether what the server says reaches us without anybody between. */
export function isLoopback(server: DnsServer): boolean {
  return isIPv4(server.address) ? server.address.startsWith('127.') : server.address === '::1';
}
