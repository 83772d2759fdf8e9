import { z } from 'zod';
import { type DeliveryOptions, deliveryOptions } from '../delivery/options.ts';
import { type DirectoryOptions, directoryOptions } from '../directory/options.ts';
import { type DnsOptions, dnsOptions } from '../dns/options.ts';
import { type ImapOptions, imapOptions } from '../imap/options.ts';
import { network } from '../lib/options.ts';
import { type ManageSieveOptions, manageSieveOptions } from '../managesieve/options.ts';
import {
  type LimitsSettings,
  type ListenersSettings,
  limitsOptions,
  listenersOptions,
} from '../net/options.ts';
import { type Pop3Options, pop3Options } from '../pop3/options.ts';
import { type QueueOptions, queueOptions } from '../queue/options.ts';
import { type AuthOptions, authOptions } from '../sasl/options.ts';
import { type SieveSettings, sieveOptions } from '../sieve/options.ts';
import { type SmtpOptions, smtpOptions } from '../smtp/options.ts';
import { type StoreSettings, storeOptions } from '../store/options.ts';
import { type TlsSettings, tlsOptions } from '../tls/options.ts';

/** As the rooms get it: defaults filled in, durations in milliseconds, sizes in bytes. */
export interface Config {
  readonly hostname: string | null;
  readonly dataDir: string;
  readonly mynetworks: readonly string[];
  readonly listeners: ListenersSettings;
  readonly limits: LimitsSettings;
  readonly tls: TlsSettings;
  readonly auth: AuthOptions;
  readonly directory: DirectoryOptions;
  readonly dns: DnsOptions;
  readonly smtp: SmtpOptions;
  readonly queue: QueueOptions;
  readonly delivery: DeliveryOptions;
  readonly store: StoreSettings;
  readonly sieve: SieveSettings;
  readonly imap: ImapOptions;
  readonly pop3: Pop3Options;
  readonly managesieve: ManageSieveOptions;
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error';
    readonly format: 'auto' | 'json' | 'pretty';
  };
}

/** The whole configuration: each room's fragment under the room's name, and what belongs to no room. */
export const schema: z.ZodType<Config, object> = z.strictObject({
  hostname: z
    .string()
    .regex(/^(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+)$/i, 'must be a full host name such as mx.example.org')
    .transform((name) => name.toLowerCase())
    .nullable()
    .default(null)
    .describe(
      'The name we greet with and sign our headers with. Empty: the system’s, where that is a full one.',
    ),
  dataDir: z
    .string()
    .min(1)
    .default('./data')
    .describe('Mail, queue, accounts and certificates. A relative path counts from this file.'),
  mynetworks: z
    .array(network())
    .default([])
    .describe('Peers that may relay to the world without a password. Give it sparingly.'),
  listeners: listenersOptions.prefault({}),
  limits: limitsOptions.prefault({}),
  tls: tlsOptions.prefault({}),
  auth: authOptions.prefault({}),
  directory: directoryOptions.prefault({}),
  dns: dnsOptions.prefault({}),
  smtp: smtpOptions.prefault({}),
  queue: queueOptions.prefault({}),
  delivery: deliveryOptions.prefault({}),
  store: storeOptions.prefault({}),
  sieve: sieveOptions.prefault({}),
  imap: imapOptions.prefault({}),
  pop3: pop3Options.prefault({}),
  managesieve: manageSieveOptions.prefault({}),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('The least that is logged.'),
      format: z
        .enum(['auto', 'json', 'pretty'])
        .default('auto')
        .describe('auto is pretty on a terminal and JSON, one object a line, elsewhere.'),
    })
    .prefault({}),
});
