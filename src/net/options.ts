import { z } from 'zod';
import { duration, network } from '../lib/options.ts';

/** `listeners:` and `limits:` of the configuration file. */

/** One place to listen. */
export interface ListenerSettings {
  readonly host: string;
  readonly port: number;
  readonly proxyProtocol: boolean;
  readonly proxyNetworks: readonly string[];
}

const listener: z.ZodType<ListenerSettings, object> = z.strictObject({
  host: z
    .union([z.ipv4(), z.ipv6(), z.literal('localhost')], 'must be an IP address of this machine')
    .default('0.0.0.0')
    .describe('Address to listen on; 0.0.0.0 is all of IPv4, "::" all of IPv6.'),
  port: z.int().min(0).max(65_535).describe('TCP port; 0 takes a free one.'),
  proxyProtocol: z
    .boolean()
    .default(false)
    .describe(
      'Every connection begins with a PROXY protocol header (1 or 2), as HAProxy and others send it.',
    ),
  proxyNetworks: z
    .array(network())
    .default(['0.0.0.0/0', '::/0'])
    .describe('Proxies that may connect where proxyProtocol is on; connections from elsewhere are closed.'),
});

export type Service =
  | 'smtp'
  | 'submission'
  | 'submissions'
  | 'lmtp'
  | 'imap'
  | 'imaps'
  | 'pop3'
  | 'pop3s'
  | 'managesieve'
  | 'http'
  | 'https';

export type ListenersSettings = { readonly [service in Service]: readonly ListenerSettings[] };

const off = (
  what: string,
  port: number,
): z.ZodType<readonly ListenerSettings[], readonly object[] | undefined> =>
  z.array(listener).default([]).describe(`${what} (standard port ${port}).`);

/** Where the services listen; an empty list switches one off. */
export const listenersOptions: z.ZodType<ListenersSettings, object> = z.strictObject({
  smtp: off('Mail from other servers', 25),
  submission: off('Mail from users, with STARTTLS', 587),
  submissions: off('Mail from users, TLS from the first byte', 465),
  lmtp: off('Local delivery from another mail server', 24),
  imap: off('IMAP, with STARTTLS', 143),
  imaps: off('IMAP, TLS from the first byte', 993),
  pop3: off('POP3, with STLS', 110),
  pop3s: off('POP3, TLS from the first byte', 995),
  managesieve: off('ManageSieve, with STARTTLS', 4190),
  http: off('HTTP', 80),
  https: off('HTTPS', 443),
});

export interface ConnectionsSettings {
  readonly maxConnections: number;
  readonly maxConnectionsPerIp: number;
}

export interface LimitsSettings {
  readonly smtp: ConnectionsSettings;
  readonly submission: ConnectionsSettings;
  readonly lmtp: ConnectionsSettings;
  readonly imap: ConnectionsSettings;
  readonly pop3: ConnectionsSettings;
  readonly managesieve: ConnectionsSettings;
  readonly http: ConnectionsSettings;
  readonly handshakeTimeout: number;
  readonly proxyTimeout: number;
  readonly writeTimeout: number;
}

const connections = (
  service: string,
  maxConnections: number,
  maxConnectionsPerIp: number,
): z.ZodType<ConnectionsSettings, object | undefined> =>
  z
    .strictObject({
      maxConnections: z
        .int()
        .min(1)
        .default(maxConnections)
        .describe(`${service}: connections at once, in all.`),
      maxConnectionsPerIp: z
        .int()
        .min(1)
        .default(maxConnectionsPerIp)
        .describe(`${service}: connections at once from one IPv4 address or IPv6 /64.`),
    })
    .prefault({});

/** How much of the server one peer, and all of them, may take. */
export const limitsOptions: z.ZodType<LimitsSettings, object> = z.strictObject({
  smtp: connections('SMTP', 1000, 50),
  submission: connections('Submission, both ports together', 1000, 50),
  lmtp: connections('LMTP', 200, 200),
  // Mail programs open a connection for each folder they watch, and a household or an office shares an address.
  imap: connections('IMAP, both ports together', 10_000, 200),
  pop3: connections('POP3, both ports together', 1000, 50),
  managesieve: connections('ManageSieve', 200, 20),
  http: connections('HTTP, both ports together', 1000, 100),
  handshakeTimeout: duration()
    .prefault('30s')
    .describe('A peer that has not finished its TLS handshake by then is cut off.'),
  proxyTimeout: duration()
    .prefault('5s')
    .describe('A proxy that has not sent its PROXY header by then is cut off.'),
  writeTimeout: duration()
    .prefault('3m')
    .describe('A peer that takes none of what we send for so long is cut off (IMAP, POP3, ManageSieve).'),
});
