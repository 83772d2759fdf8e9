import { isIP } from 'node:net';
import { z } from 'zod';
import { duration } from '../lib/options.ts';
import { parseRelayHost } from './remote/relay-host.ts';

/** How much TLS a connection to another host must have. */
export type TlsLevel = 'none' | 'may' | 'encrypt' | 'verify';

/** Settings of `delivery:`. */
export interface DeliveryOptions {
  readonly port: number;
  readonly relayhost: string | null;
  readonly relayhostAuth: { readonly user: string; readonly password: string } | null;
  readonly relayhostTls: TlsLevel | 'implicit';
  readonly tls: TlsLevel;
  readonly ipv6: boolean;
  readonly bindAddresses: readonly string[];
  readonly maxAddresses: number;
  readonly maxSessions: number;
  readonly maxRecipients: number;
  readonly reuse: { readonly idle: number; readonly maxDeliveries: number; readonly maxIdle: number };
  readonly timeouts: DeliveryTimeouts;
}

/** Milliseconds. */
export interface DeliveryTimeouts {
  readonly connect: number;
  readonly greeting: number;
  readonly command: number;
  readonly data: number;
  readonly block: number;
  readonly end: number;
}

const LEVELS =
  'none: never; may: when the host offers it and it works, certificate not checked; encrypt: always, certificate ' +
  'not checked; verify: always, with a valid certificate for the host’s name.';

const ip = z.string().refine((text) => isIP(text) !== 0, 'must be an IP address');

const timeouts: z.ZodType<DeliveryTimeouts> = z.strictObject({
  connect: duration().default(30_000).describe('For the TCP connection.'),
  greeting: duration().default(300_000).describe('For the 220 greeting.'),
  command: duration().default(300_000).describe('For the answer to EHLO, STARTTLS, AUTH, MAIL and RCPT.'),
  data: duration().default(120_000).describe('For the 354 after DATA.'),
  block: duration().default(180_000).describe('For the host to take each block of the message.'),
  end: duration().default(600_000).describe('For the answer to the final dot.'),
});

export const deliveryOptions: z.ZodType<DeliveryOptions> = z.strictObject({
  port: z.int().min(1).max(65_535).default(25).describe('The port of other domains’ mail hosts.'),
  relayhost: z
    .string()
    .refine(
      (text) => parseRelayHost(text, 25) !== undefined,
      'must be a host such as smtp.example.org:587, [192.0.2.1]:25 or [smtp.example.org]:587',
    )
    .nullable()
    .default(null)
    .describe(
      'Send all mail for elsewhere through this smarthost, host:port. In brackets, [host]:port, its MX are not asked for.',
    ),
  relayhostAuth: z
    .strictObject({ user: z.string().min(1), password: z.string().min(1) })
    .nullable()
    .default(null)
    .describe(
      'User and password at the smarthost. They are sent over TLS only, unless relayhostTls is none.',
    ),
  relayhostTls: z
    .enum(['none', 'may', 'encrypt', 'verify', 'implicit'])
    .default('may')
    .describe(`TLS with the smarthost, as for tls; implicit: TLS from the first byte (port 465), verified.`),
  tls: z.enum(['none', 'may', 'encrypt', 'verify']).default('may').describe(`TLS with mail hosts. ${LEVELS}`),
  ipv6: z.boolean().default(true).describe('Whether to deliver over IPv6 too.'),
  bindAddresses: z
    .array(ip)
    .max(2)
    .default([])
    .describe('The address to connect from, one for IPv4, one for IPv6. Empty: the system chooses.'),
  maxAddresses: z
    .int()
    .min(2)
    .max(50)
    .default(5)
    .describe('How many addresses of a domain’s hosts are tried in one attempt.'),
  maxSessions: z
    .int()
    .min(1)
    .max(10)
    .default(2)
    .describe('With how many of them, in one attempt, a conversation may go as far as to the message.'),
  maxRecipients: z
    .int()
    .min(1)
    .max(1000)
    .default(100)
    .describe('Recipients in one transaction; 100 is what every host must take.'),
  reuse: z
    .strictObject({
      idle: duration()
        .default(5000)
        .describe('How long a connection stays open for the next message. 0s: never.'),
      maxDeliveries: z.int().min(1).default(100).describe('Messages over one connection.'),
      maxIdle: z.int().min(0).default(50).describe('Connections kept open without work, over all hosts.'),
    })
    .prefault({})
    .describe('Connections are used again for the next message to the same host.'),
  timeouts: timeouts
    .prefault({})
    .describe('How long to wait for another host; the defaults are those of RFC 5321 4.5.3.2.'),
});
