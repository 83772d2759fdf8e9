import { join } from 'node:path';
import type { MaildirStore } from '../../src/store/maildir-store.ts';
import type { AccountStore, MailboxId } from '../../src/store/store.ts';
import { alice, maildirStore, temporaryDirectory } from './surroundings.ts';

/** A store in a directory of its own with one account, whose INBOX is empty. */
export interface FreshInbox {
  readonly base: ReturnType<typeof temporaryDirectory>;
  readonly store: MaildirStore;
  readonly account: AccountStore;
  readonly inbox: MailboxId;
  /** Where the account's Maildir lies. */
  readonly maildir: string;
}

export async function freshInbox(): Promise<FreshInbox> {
  const base = temporaryDirectory();
  const store = maildirStore(base.path);
  const account = await store.account(alice);
  const inbox = await account.mailbox('INBOX');
  if (!inbox) throw new Error('a new account has no INBOX');
  return {
    base,
    store,
    account,
    inbox: inbox.id,
    maildir: join(base.path, 'mail/example.org/alice/Maildir'),
  };
}
