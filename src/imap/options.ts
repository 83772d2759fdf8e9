import { z } from 'zod';
import type { MaskRule } from '../lib/capability-mask.ts';
import type { Language } from '../lib/language.ts';
import { duration, network, size } from '../lib/options.ts';
import { parseAddress } from '../mail/address.ts';
import { isMaskable } from './maskable.ts';

/** The settings of the IMAP server: `imap:` in the configuration. Durations in milliseconds, sizes in bytes. */
export interface ImapOptions {
  readonly maxMessageSize: number;
  readonly loginTimeout: number;
  readonly idleTimeout: number;
  readonly literalTimeout: number;
  readonly keepAlive: number;
  readonly maxErrors: number;
  readonly maxAuthFailures: number;
  readonly maxSessionsPerAccount: number;
  readonly adminContact: string | null;
  readonly messageLimit: number | null;
  readonly saveLimit: number | null;
  readonly publicAccount: string | null;
  readonly language: Language;
  readonly mask: readonly MaskRule[];
}

/** RFC 9738 3: no limit is below this. */
const MIN_MESSAGES = 1000;

/** RFC 9051 5.4: an autologout timer after authentication is at least 30 minutes. */
const MIN_IDLE = 30 * 60_000;

export const imapOptions: z.ZodType<ImapOptions, object> = z.strictObject({
  maxMessageSize: size()
    .prefault('50MB')
    .describe('The largest message that APPEND takes, announced by APPENDLIMIT.'),
  loginTimeout: duration().prefault('2m').describe('A client that has not logged in by then is cut off.'),
  idleTimeout: duration()
    .refine((ms) => ms >= MIN_IDLE, 'must be at least 30m')
    .prefault('30m')
    .describe('A client that says nothing for so long is cut off; RFC 9051 5.4 asks for at least 30m.'),
  literalTimeout: duration()
    .prefault('3m')
    .describe('How long a client may pause in the middle of a command or of a message it uploads.'),
  keepAlive: duration()
    .refine((ms) => ms >= 1000, 'must be at least 1s')
    .prefault('2m')
    .describe(
      'How often a client that waits for news (IDLE) hears from us, lest routers forget the connection.',
    ),
  maxErrors: z.int().min(1).default(50).describe('Wrong commands in a row before the session is ended.'),
  maxAuthFailures: z.int().min(1).default(10).describe('Failed logins in one session before it is ended.'),
  maxSessionsPerAccount: z
    .int()
    .min(1)
    .default(200)
    .describe('Sessions of one account at once; a mail program has one for each folder it watches.'),
  adminContact: z
    .string()
    .regex(/^[a-z][a-z0-9+.-]*:[!-~]+$/, 'must be a URI such as mailto:postmaster@example.org')
    .max(1000)
    .nullable()
    .default(null)
    .describe(
      'How users reach the administrator (METADATA, /shared/admin), such as mailto:postmaster@example.org.',
    ),
  messageLimit: messages().describe(
    'Messages that one command may be about (MESSAGELIMIT, at least 1000). Programs that do not know of it then see only the last ones.',
  ),
  saveLimit: messages().describe('Messages that one COPY or APPEND may save (SAVELIMIT, at least 1000).'),
  publicAccount: z
    .string()
    .refine((text) => parseAddress(text) !== undefined, 'must be the address of an account')
    .nullable()
    .default(null)
    .describe(
      'The account whose mailboxes others see below Public/, as far as its access control lists let them.',
    ),
  language: z
    .enum(['en', 'fr'])
    .default('en')
    .describe(
      'The language of a client that asks for the preferred one (LANGUAGE default); without LANGUAGE it is English.',
    ),
  mask: z
    .array(
      z.strictObject({
        account: z.string().min(1).optional().describe('An account, or *@domain for all of a domain.'),
        client: z
          .string()
          .min(1)
          .optional()
          .describe('Part of the vendor, name and version that the client gives with ID, in any case.'),
        address: network().optional().describe('A network that the client is in.'),
        hide: z
          .array(z.string().refine(isMaskable, { error: ({ input }) => `${input} is no capability of ours` }))
          .min(1)
          .describe('Capabilities that are not announced, such as NOTIFY or AUTH=LOGIN.'),
      }),
    )
    .default([])
    .describe(
      'Capabilities that are not announced to programs which cannot live with them; a rule holds where all that it ' +
        'names is so. Commands go on working. Without UTF8=ACCEPT, APPEND takes 8-bit headers from everybody.',
    ),
});

function messages(): z.ZodDefault<z.ZodNullable<z.ZodInt>> {
  return z.int().min(MIN_MESSAGES).nullable().default(null);
}
