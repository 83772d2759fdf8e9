import { z } from 'zod';
import { duration, size } from '../lib/options.ts';
import type { FolderRule } from './folder-rules.ts';
import type { Limits, QuotaSettings } from './quota.ts';
import type { SpecialUse } from './store.ts';

/** `store:` of the configuration file. */

/** A mailbox that every new account gets. */
export interface DefaultFolder {
  readonly name: string;
  readonly use: SpecialUse | null;
}

/** Mail that grows old, or too many, in some folders is removed. */
export interface ExpireRule extends FolderRule {
  /** Since it came into the folder, ms. */
  readonly after?: number | undefined;
  /** The newest so many stay. */
  readonly messages?: number | undefined;
}

const use = z.enum(['archive', 'drafts', 'junk', 'sent', 'trash', 'flagged', 'all']);
const messages = z.int().min(1);
const folders = {
  folder: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('The folder’s name; * stands for anything, % for anything within one level.'),
  use: use.optional().describe('Or its special use, such as trash or junk.'),
};
const named = (rule: FolderRule): boolean => rule.folder !== undefined || rule.use !== undefined;
const WHICH = 'must say which folder, by folder: or by use:';

export const storeOptions: z.ZodType<StoreSettings, object> = z.strictObject({
  defaultFolders: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(200),
        use: use.nullable().default(null),
      }),
    )
    .default([
      { name: 'Drafts', use: 'drafts' },
      { name: 'Sent', use: 'sent' },
      { name: 'Junk', use: 'junk' },
      { name: 'Trash', use: 'trash' },
      { name: 'Archive', use: 'archive' },
    ])
    .describe(
      'Mailboxes that a new account starts with, subscribed. `use` is the special use (RFC 6154) or null.',
    ),
  rememberKeys: duration()
    .default(10 * 86_400_000)
    .describe(
      'How long a delivery is remembered, so that the queue can repeat it after a crash without a second copy.',
    ),
  pollInterval: duration()
    .default(10_000)
    .describe(
      'How often the folders of idle sessions are looked at where the system does not tell of changes (NFS), and as a ' +
        'safety net where it does.',
    ),
  quota: z
    .strictObject({
      storage: size().nullable().default(null).describe('What its mail may take; null is no limit.'),
      messages: messages.nullable().default(null).describe('How many messages; null is no limit.'),
      mailboxes: messages
        .nullable()
        .default(null)
        .describe('How many mailboxes, INBOX and those it began with counted; null is no limit.'),
    })
    .prefault({})
    .describe('What an account may have that has no quota of its own ("facteur account quota").'),
  quotaGrace: z
    .int()
    .min(0)
    .max(100)
    .default(10)
    .describe('Percent of the storage limit by which the last message delivered may go beyond it.'),
  quotaTrashExtra: z
    .int()
    .min(0)
    .max(100)
    .default(10)
    .describe('Percent by which copies into the Trash may go beyond the quota: clients delete that way.'),
  quotaWarnings: z
    .array(z.int().min(1).max(100))
    .max(10)
    .default([80, 95, 100])
    .describe(
      'When so many percent of a quota are used, the user finds a mail in INBOX and the log has a line, once until ' +
        'less is used again. Empty: no warnings.',
    ),
  quotaFull: z
    .enum(['tempfail', 'reject'])
    .default('tempfail')
    .describe(
      'What senders hear when a mailbox is full. tempfail: 452, they try again for days, and nothing is lost if room ' +
        'is made by then; reject: 552 at once.',
    ),
  mailboxSizeLimit: z
    .array(
      z
        .strictObject({
          ...folders,
          storage: size().nullable().default(null).describe('What its mail may take.'),
          messages: messages.nullable().default(null).describe('How many messages it may have.'),
        })
        .refine(named, WHICH),
    )
    .max(100)
    .default([])
    .describe('Limits of single folders, besides the quota. The first that fits a folder counts.'),
  expire: z
    .array(
      z
        .strictObject({
          ...folders,
          after: duration().optional().describe('Removed when it has been in the folder for so long.'),
          messages: messages.optional().describe('How many may stay; the oldest go.'),
        })
        .refine(named, WHICH)
        .refine(
          (rule) => rule.after !== undefined || rule.messages !== undefined,
          'must say when: after:, messages: or both',
        ),
    )
    .max(100)
    .default([])
    .describe(
      'What is removed once a day without anybody asking, such as { use: trash, after: 30d }. The first rule that fits ' +
        'a folder counts. Empty: nothing.',
    ),
  notify: z
    .enum(['inotify', 'poll'])
    .default('inotify')
    .describe(
      'How changes by other programs are noticed while a client waits. inotify: the system tells, within a second; ' +
        'poll: looked for every pollInterval and at each command. poll on NFS, where the system tells nothing.',
    ),
  delivery: z
    .enum(['rename', 'link'])
    .default('rename')
    .describe(
      'How a message comes from tmp/ into new/: rename, or link and unlink as Maildir was invented for NFS, which never ' +
        'replaces a file.',
    ),
});

export interface StoreSettings extends QuotaSettings {
  readonly defaultFolders: readonly DefaultFolder[];
  readonly rememberKeys: number;
  readonly pollInterval: number;
  readonly quota: Limits;
  readonly quotaWarnings: readonly number[];
  readonly quotaFull: 'tempfail' | 'reject';
  readonly expire: readonly ExpireRule[];
  readonly notify: 'inotify' | 'poll';
  readonly delivery: 'rename' | 'link';
}
