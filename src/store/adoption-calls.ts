import type { AccountId } from '../directory/directory.ts';
import type { MaildirAccount } from './maildir/account.ts';
import { catchUp } from './maildir/background.ts';
import { type Released, type ReleaseOptions, releasing } from './maildir/dovecot/release.ts';
import { type KeptUidls, readKeptUidls } from './maildir/kept-uidls.ts';
import { listMailboxes } from './maildir/mailboxes.ts';
import type { OpenAccounts } from './maildir/open-accounts.ts';
import type { Mailbox, MailboxId } from './store.ts';

/** The part of the store's service that has to do with mail that came from Dovecot, and goes back there. */

/** After so long (ms) at one call others have their turn. */
const TURN = 5;

interface To {
  readonly account: AccountId;
}

export interface AdoptionCalls {
  /** A piece of the POP3 unique ids that the messages of a mailbox brought along; null when they brought none. */
  keptUidls(to: To & { readonly mailbox: MailboxId; readonly from: number }): KeptUidls | null;
  /** A tree that lies ready becomes the account's. */
  placeTree(to: To): Mailbox[];
  release(to: To & ReleaseOptions): Promise<Released>;
}

export function adoptionCalls(accounts: OpenAccounts, others: () => Promise<void>): AdoptionCalls {
  const lookAtAll = (account: MaildirAccount): void => {
    account.refreshTree();
    for (const folder of [...account.folders.values()]) accounts.look(account, folder);
  };
  return {
    keptUidls: ({ account: id, mailbox, from }) =>
      accounts.run(id, (account) => {
        const folder = account.folders.get(mailbox);
        return folder === account.inbox
          ? (readKeptUidls(account.maildir, folder.uidValidity, from) ?? null)
          : null;
      }),

    placeTree: ({ account: id }) => {
      accounts.place(id);
      return accounts.run(id, listMailboxes);
    },

    release: ({ account: id, ...options }) =>
      accounts.hold(id, async (account) => {
        accounts.run(id, lookAtAll);
        let since = account.now();
        const turn = async (): Promise<void> => {
          if (account.now() - since < TURN) return;
          await others();
          since = account.now();
        };
        while (account.behind) {
          catchUp(account);
          await turn();
        }
        const work = releasing(account, options);
        for (;;) {
          const { value, done } = work.next();
          if (done) {
            if (options.after === 'hand-over') accounts.handOver(id);
            return value;
          }
          await turn();
        }
      }),
  };
}
