import { isIP } from 'node:net';
import { asciiDomain, parseDomain } from '../../mail/address.ts';

/** A smarthost as the settings write it. */
export interface RelayHost {
  /** In A-labels, or an IP address. */
  readonly host: string;
  readonly port: number;
  /** Whether the host's own MX records say where it is. */
  readonly lookUp: 'mx' | 'address';
}

const FORM = /^(?:\[(?<exact>[^\]]+)\]|(?<host>[^:[\]]+))(?::(?<port>\d{1,5}))?$/;

/** `host:port`, `[host]:port`, `[2001:db8::1]:port`, each with or without the port; undefined when it is none. */
export function parseRelayHost(text: string, defaultPort: number): RelayHost | undefined {
  const parts = FORM.exec(text)?.groups;
  const name = parts?.['exact'] ?? parts?.['host'];
  if (name === undefined) return undefined;
  const port = Number(parts?.['port'] ?? defaultPort);
  if (port < 1 || port > 65_535) return undefined;
  // An address has no MX records, in brackets or not.
  if (isIP(name) !== 0) return { host: name, port, lookUp: 'address' };
  const domain = parseDomain(name);
  if (domain === undefined) return undefined;
  return { host: asciiDomain(domain), port, lookUp: parts?.['exact'] === undefined ? 'mx' : 'address' };
}
