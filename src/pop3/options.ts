import { z } from 'zod';
import type { MaskRule } from '../lib/capability-mask.ts';
import type { Language } from '../lib/language.ts';
import { duration, network } from '../lib/options.ts';
import { StoreError } from '../store/store.ts';
import { uidlFormatOf } from './uidl.ts';

/** The settings of the POP3 server: `pop3:` in the configuration. Durations in milliseconds. */
export interface Pop3Options {
  readonly loginTimeout: number;
  readonly idleTimeout: number;
  readonly markSeen: boolean;
  readonly uidl: string;
  readonly deleted: 'expunge' | 'trash';
  readonly loginDelay: number;
  readonly maxErrors: number;
  readonly maxAuthFailures: number;
  readonly language: Language;
  readonly mask: readonly Omit<MaskRule, 'client'>[];
}

/** All that CAPA can say (RFC 2449 6, and what commands/ declare). */
const CAPABILITIES: ReadonlySet<string> = new Set([
  'AUTH-RESP-CODE',
  'EXPIRE',
  'IMPLEMENTATION',
  'LANG',
  'LOGIN-DELAY',
  'PIPELINING',
  'RESP-CODES',
  'SASL',
  'STLS',
  'TOP',
  'UIDL',
  'USER',
  'UTF8',
]);

/** RFC 1939 3: an autologout timer is at least 10 minutes. */
const MIN_IDLE = 10 * 60_000;

function uidlRefusal(text: string): string | undefined {
  try {
    uidlFormatOf(text);
    return undefined;
  } catch (error) {
    if (error instanceof StoreError) return error.message;
    throw error;
  }
}

export const pop3Options: z.ZodType<Pop3Options, object> = z.strictObject({
  loginTimeout: duration().prefault('2m').describe('A client that has not logged in by then is cut off.'),
  idleTimeout: duration()
    .refine((ms) => ms >= MIN_IDLE, 'must be at least 10m')
    .prefault('10m')
    .describe('A client that says nothing for so long is cut off; RFC 1939 3 asks for at least 10m.'),
  markSeen: z
    .boolean()
    .default(true)
    .describe('Messages that were retrieved are marked as seen, for IMAP, when the session ends with QUIT.'),
  uidl: z
    .string()
    .superRefine((text, context) => {
      const message = uidlRefusal(text);
      if (message !== undefined) context.addIssue({ code: 'custom', message });
    })
    .default('dovecot')
    .describe(
      'How unique ids are written. Clients that leave mail on the server fetch everything again when it changes: ' +
        'after a migration that has kept the UIDs, set it to what the old server wrote: dovecot, cyrus, courier, uw, or a form in the language of Dovecot’s ' +
        'pop3_uidl_format, of %u (UID) and %v (UIDVALIDITY).',
    ),
  deleted: z
    .enum(['expunge', 'trash'])
    .default('expunge')
    .describe(
      'Where messages go that a client deletes: nowhere (expunge), or to the mailbox of deleted mail (trash).',
    ),
  loginDelay: duration()
    .prefault('0s')
    .describe(
      'A client that logs in to one account again sooner than this is sent away; 0s: never (LOGIN-DELAY).',
    ),
  maxErrors: z.int().min(1).default(20).describe('Wrong commands in a row before the session is ended.'),
  maxAuthFailures: z.int().min(1).default(10).describe('Failed logins in one session before it is ended.'),
  language: z
    .enum(['en', 'fr'])
    .default('en')
    .describe(
      'The language of a client that asks for the preferred one (LANG *); without LANG it is English.',
    ),
  mask: z
    .array(
      z.strictObject({
        account: z.string().min(1).optional().describe('An account, or *@domain for all of a domain.'),
        address: network().optional().describe('A network that the client is in.'),
        hide: z
          .array(
            z.string().refine((name) => CAPABILITIES.has(name.toUpperCase()), {
              error: ({ input }) => `${input} is no capability of ours`,
            }),
          )
          .min(1)
          .describe('Tags that CAPA leaves out, such as UTF8 or PIPELINING.'),
      }),
    )
    .default([])
    .describe(
      'Capabilities that are not announced to programs which cannot live with them; a rule holds where all that it ' +
        'names is so. Commands go on working. Without UTF8, messages with 8-bit headers are sent as they are.',
    ),
});
