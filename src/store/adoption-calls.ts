import type { AccountId } from '../directory/directory.ts';
import { catchUp } from './maildir/background.ts';
import { type Released, type ReleaseOptions, releasing } from './maildir/dovecot/release.ts';
import { type KeptUidls, readKeptUidls } from './maildir/kept-uidls.ts';
import { listMailboxes } from './maildir/mailboxes.ts';
import type { OpenAccounts } from './maildir/open-accounts.ts';
import type { Mailbox, MailboxId } from './store.ts';

/** The part of the store's service that has to do with mail that came from Dovecot, and goes back there. */

interface To {
  readonly account: AccountId;
}

export interface AdoptionCalls {
  /** A piece of the POP3 unique ids that the messages of a mailbox brought along; null when they brought none. */
  keptUidls(
    to: To & { readonly mailbox: MailboxId; readonly from: number },
  ): KeptUidls | null | Promise<KeptUidls | null>;
  /** A tree that lies ready becomes the account's. */
  placeTree(to: To): Promise<Mailbox[]>;
  release(to: To & ReleaseOptions): Promise<Released>;
}

export function adoptionCalls(accounts: OpenAccounts): AdoptionCalls {
  return {
    keptUidls: ({ account: id, mailbox, from }) =>
      accounts.call(id, (account) => {
        const folder = account.folders.get(mailbox);
        return folder === account.inbox
          ? (readKeptUidls(account.maildir, folder.uidValidity, from) ?? null)
          : null;
      }),

    async placeTree({ account: id }) {
      await accounts.whenFree(id, () => accounts.place(id));
      return accounts.call(id, listMailboxes);
    },

    async release({ account: id, ...options }) {
      await accounts.lookAtAll(id);
      const released = await accounts.inTurns(id, 'shared', function* (account) {
        while (account.behind) {
          catchUp(account);
          yield null;
        }
        return yield* releasing(account, options);
      });
      if (options.after === 'hand-over') await accounts.whenFree(id, () => accounts.handOver(id));
      return released;
    },
  };
}
