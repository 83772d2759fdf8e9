import { z } from 'zod';
import { duration } from '../lib/options.ts';
import type { SpecialUse } from './store.ts';

/** `store:` of the configuration file. */

/** A mailbox that every new account gets. */
export interface DefaultFolder {
  readonly name: string;
  readonly use: SpecialUse | null;
}

export const storeOptions: z.ZodType<StoreSettings, object> = z.strictObject({
  defaultFolders: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(200),
        use: z
          .enum(['archive', 'drafts', 'junk', 'sent', 'trash', 'flagged', 'all'])
          .nullable()
          .default(null),
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
});

export interface StoreSettings {
  readonly defaultFolders: readonly DefaultFolder[];
  readonly rememberKeys: number;
  readonly pollInterval: number;
}
