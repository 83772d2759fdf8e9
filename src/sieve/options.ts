import { z } from 'zod';
import { duration } from '../lib/options.ts';

/** `sieve:` of the configuration file. */
export interface SieveSettings {
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly globalDirectory: string | null;
  readonly maxRedirects: number;
  readonly maxActions: number;
  readonly redirectSender: string;
  readonly notifySender: string | null;
  readonly reportSender: string;
  readonly maxNotifications: number;
  readonly vacation: VacationSettings;
  readonly detailMailbox: 'never' | 'existing' | 'create';
  readonly protectedHeaders: readonly string[];
  readonly spamtest: StatusSettings | null;
  readonly virustest: StatusSettings | null;
  readonly lists: Readonly<Record<string, ListSettings>>;
  readonly programs: Readonly<Record<string, ProgramSettings>>;
  readonly environment: Readonly<Record<string, string>>;
}

export interface VacationSettings {
  readonly minPeriod: number;
  readonly maxPeriod: number;
  readonly subject: string;
  readonly noSubject: string;
  readonly sender: 'none' | 'recipient';
  readonly from: 'recipient' | 'account';
  readonly originalRecipient: boolean;
  readonly checkRecipient: boolean;
  readonly answerTo: 'envelope' | 'header';
}

/** Which header field a checker writes, and how it is read (RFC 5235). */
export interface StatusSettings {
  readonly header: string;
  readonly pattern: string;
  readonly type: 'score' | 'strlen' | 'text';
  readonly maxValue: number;
  readonly texts: readonly string[];
}

export interface ListSettings {
  readonly members: readonly string[];
  readonly file: string | null;
}

export interface ProgramSettings {
  readonly command: readonly string[];
  readonly timeout: number;
}

const status: z.ZodType<StatusSettings> = z.strictObject({
  header: z.string().min(1).describe('The header field that the checker writes.'),
  pattern: z
    .string()
    .default('')
    .describe('A regular expression whose first group is the value in it. Empty: the whole field.'),
  type: z
    .enum(['score', 'strlen', 'text'])
    .default('score')
    .describe('score: a number; strlen: so many characters; text: one of texts.'),
  maxValue: z.number().positive().default(10).describe('The score that counts as certain.'),
  texts: z
    .array(z.string())
    .default([])
    .describe('For text: the words, the first for "not tested", then from the cleanest to the worst.'),
});

const SENDERS =
  'sender: the message’s; recipient: the address it came to; original: the same before aliases; account; postmaster; or ' +
  'an address in angle brackets.';
const sender = z
  .string()
  .regex(
    /^(?:sender|recipient|original|account|postmaster|<[^<>\s]*>)$/,
    'must be sender, recipient, original, account, postmaster or <an address>',
  );

export const sieveOptions: z.ZodType<SieveSettings, object> = z.strictObject({
  before: z
    .array(z.string().min(1))
    .default([])
    .describe('Script files that run before each user’s own. One that files or discards a message ends it.'),
  after: z
    .array(z.string().min(1))
    .default([])
    .describe('Script files that run after each user’s own, where that kept the message.'),
  globalDirectory: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe('Where scripts for include :global are, each as NAME.sieve.'),
  maxRedirects: z.int().min(0).max(100).default(4).describe('Redirections of one message.'),
  maxActions: z.int().min(1).max(1000).default(32).describe('Actions of one message, redirections too.'),
  maxNotifications: z.int().min(0).max(100).default(4).describe('Notifications of one message.'),
  redirectSender: sender
    .default('sender')
    .describe(
      `The envelope sender of redirected mail. ${SENDERS} sender keeps SPF from passing elsewhere, account lets bounces ` +
        'come back here. Mail without sender stays so.',
    ),
  notifySender: sender
    .nullable()
    .default(null)
    .describe(
      `The envelope sender of notifications. Empty: what :from says, else the postmaster. ${SENDERS}`,
    ),
  reportSender: sender
    .default('postmaster')
    .describe(`Who reports of vnd.dovecot.report are from. ${SENDERS}`),
  vacation: z
    .strictObject({
      minPeriod: duration()
        .default(0)
        .describe(
          'The least time between two answers to one sender, whatever :seconds says; :days is a day at least.',
        ),
      maxPeriod: duration()
        .default(60 * 86_400_000)
        .describe('The most; longer ones are cut.'),
      subject: z
        .string()
        .min(1)
        .default('Auto: {subject}')
        .describe('The subject of answers without one of their own; {subject} is the message’s.'),
      noSubject: z
        .string()
        .min(1)
        .default('Automated reply')
        .describe('The same, where the message has none.'),
      sender: z
        .enum(['none', 'recipient'])
        .default('none')
        .describe(
          'The envelope sender of answers: none, so that nothing comes back, or the address that was written to.',
        ),
      from: z
        .enum(['recipient', 'account'])
        .default('recipient')
        .describe('Whom answers are from without :from: the address that was written to, or the account.'),
      originalRecipient: z
        .boolean()
        .default(false)
        .describe('Whether mail counts as addressed to the user that names the recipient before aliases.'),
      checkRecipient: z
        .boolean()
        .default(true)
        .describe('Whether mail is only answered that names the user in To or Cc. Do not switch it off.'),
      answerTo: z
        .enum(['envelope', 'header'])
        .default('envelope')
        .describe('Whom the To of answers names: the envelope sender, or who the message says it is from.'),
    })
    .prefault({})
    .describe('Answers of vacation; the periods are bounds for :days and :seconds.'),
  detailMailbox: z
    .enum(['never', 'existing', 'create'])
    .default('never')
    .describe(
      'Mail to user+detail@ that the script only keeps goes into the mailbox "detail": existing, where there is one; create, ' +
        'also where there is none yet.',
    ),
  protectedHeaders: z
    .array(z.string().min(1))
    .default([])
    .describe('Header fields that scripts may neither add nor delete, beside Received and Auto-Submitted.'),
  spamtest: status
    .nullable()
    .default(null)
    .describe('What the spamtest of scripts looks at; null: "not tested".'),
  virustest: status
    .nullable()
    .default(null)
    .describe('What the virustest of scripts looks at; null: "not tested".'),
  lists: z
    .record(
      z.string().min(1),
      z.strictObject({
        members: z.array(z.string()).default([]),
        file: z.string().nullable().default(null).describe('A file with one member a line.'),
      }),
    )
    .default({})
    .describe('Lists for :list, by name, such as ":addrbook:default" or "tag:example.org,2026:partners".'),
  programs: z
    .record(
      z.string().regex(/^[\w.-]{1,100}$/, 'must be a name of letters, digits and -_.'),
      z.strictObject({
        command: z.array(z.string().min(1)).min(1).describe('The program and its first arguments.'),
        timeout: duration().default(10_000).describe('It is ended after so long.'),
      }),
    )
    .default({})
    .describe(
      'Programs that scripts may run with pipe, filter and execute. They run with the server’s rights.',
    ),
  environment: z
    .record(z.string().regex(/^[\w.-]{1,100}$/), z.string())
    .default({})
    .describe('Items that scripts see as environment "vnd.dovecot.config.NAME".'),
});
