import type { AccountId } from '../directory/directory.ts';
import { type Service, transferring } from '../lib/thread-pool.ts';
import type { Acl, AclChange } from './acl.ts';
import type { MaildirAccount } from './maildir/account.ts';
import { aclOf, allAcls } from './maildir/acls.ts';
import type { OpenAccounts } from './maildir/open-accounts.ts';
import { forgetSeenBy, seenBy, setSeenBy } from './maildir/seen.ts';
import { forgetInLists, setAcl } from './maildir/set-acl.ts';
import type { MailboxId, Uid } from './store.ts';

/** The store's side of what concerns others than the owner: access control lists, their \Seen, who shares with whom. */

interface To {
  readonly account: AccountId;
}
interface In extends To {
  readonly mailbox: MailboxId;
}

export function sharingCalls(accounts: OpenAccounts): Service {
  const on = <T>(to: In, work: (account: MaildirAccount) => T): T | Promise<T> =>
    accounts.call(to.account, (account) => {
      accounts.glance(account, to.mailbox);
      return work(account);
    });

  return {
    acl: (to: In): Acl | Promise<Acl> => accounts.call(to.account, (account) => aclOf(account, to.mailbox)),

    acls: (to: To): Promise<[MailboxId, Acl][]> => accounts.inTurns(to.account, 'shared', allAcls),

    setAcl: (to: In & { readonly identifier: string; readonly change: AclChange }): void | Promise<void> =>
      accounts.call(to.account, (account) => setAcl(account, to.mailbox, to.identifier, to.change)),

    seenBy: (to: In & { readonly reader: AccountId }): unknown =>
      on(to, (account) => {
        const uids = seenBy(account, account.folder(to.mailbox), to.reader).slice();
        return transferring(uids, [uids.buffer]);
      }),

    setSeenBy: (
      to: In & {
        readonly reader: AccountId;
        readonly uids: readonly Uid[];
        readonly change: Parameters<typeof setSeenBy>[4];
      },
    ): unknown =>
      on(to, (account) => {
        const result = setSeenBy(account, account.folder(to.mailbox), to.reader, to.uids, to.change);
        return transferring(result, [result.messages.rows.buffer]);
      }),

    sharers: (to: { readonly identifiers: readonly string[] }): Promise<AccountId[]> =>
      accounts.sharers.of(to.identifiers),

    /** The reader's account is being removed. */
    forgetReader: (to: To & { readonly reader: AccountId }): Promise<void> =>
      accounts.inTurns(to.account, 'shared', function* (account) {
        yield* forgetInLists(account, to.reader);
        yield* forgetSeenBy(account, to.reader);
      }),
  };
}
