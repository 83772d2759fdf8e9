import type { AccountId } from '../directory/directory.ts';
import { accountDirectory } from './account-path.ts';
import type { MaildirAccount } from './maildir/account.ts';
import { catchUp } from './maildir/background.ts';
import { checkFolder, checkWhole } from './maildir/check.ts';
import { exists } from './maildir/disk.ts';
import type { Folder } from './maildir/folder.ts';
import type { OpenAccounts } from './maildir/open-accounts.ts';
import { mendFolder, mendNumbers, mendWhole } from './maildir/repair.ts';
import { TURN } from './maildir/turns.ts';
import type { MailboxId } from './store.ts';

/** The part of the store's service that an admin asks for: is the index what the tree is, and make it again. */

/** Findings that are told in full; the others are counted. */
const MAX_FINDINGS = 1000;

export interface Finding {
  /** Path; '' is the account as a whole. */
  readonly mailbox: string;
  readonly problem: string;
  /** `found`: nobody asked to mend it. `stays`: it could not be mended. */
  readonly state: 'found' | 'mended' | 'stays';
}

export interface CheckReport {
  readonly mailboxes: number;
  readonly messages: number;
  readonly findings: readonly Finding[];
  /** Findings beyond those. */
  readonly more: number;
}

interface To {
  readonly account: AccountId;
}

export interface CheckCalls {
  /** null when the account has no mail. `damage`: what SQLite says about the file of the index. */
  check(
    to: To & { readonly mode: 'look' | 'repair'; readonly damage: readonly string[] },
  ): Promise<CheckReport | null>;
  /** Throws the index away and tells the mailboxes that have to be read again; null when there is no mail. */
  reindex(to: To): Promise<{ readonly id: MailboxId; readonly path: string }[] | null>;
  /** Reads one; resolves to the number of its messages. */
  reindexMailbox(to: To & { readonly mailbox: MailboxId }): number | Promise<number>;
}

export function checkCalls(accounts: OpenAccounts, directory: string): CheckCalls {
  const hasMail = (id: AccountId): boolean => exists(`${directory}/${accountDirectory(id)}/Maildir`);

  /** Runs it in pieces; what is found between two of them is true at that moment. */
  const inTurns = async <T>(
    account: MaildirAccount,
    work: Iterable<T | null>,
    found: T[] = [],
  ): Promise<T[]> => {
    let since = account.now();
    for (const item of work) {
      if (item !== null) found.push(item);
      else if (account.now() - since >= TURN) {
        await accounts.others(account.id);
        since = account.now();
      }
    }
    return found;
  };

  const look = async (account: MaildirAccount, folder: Folder): Promise<string[]> => {
    const found: string[] = [];
    try {
      await accounts.call(account.id, () => account.refresh(folder));
      await inTurns(account, checkFolder(account, folder), found);
    } catch (error) {
      if (!account.isUnreadable(folder.dir, error)) throw error;
      found.push(`cannot be read: ${account.unreadable.get(folder.dir)}`);
    }
    return found;
  };

  /** What stood in its way. */
  const mend = async (account: MaildirAccount, folder: Folder): Promise<string[]> => {
    try {
      await inTurns(account, mendFolder(account, folder));
      await accounts.call(account.id, () => {
        account.folder(folder.mailbox);
        mendNumbers(account, folder);
      });
      return [];
    } catch (error) {
      if (!account.isUnreadable(folder.dir, error)) throw error;
      return [`cannot be mended: ${account.unreadable.get(folder.dir)}`];
    }
  };

  return {
    async check({ account: id, mode, damage }) {
      if (!hasMail(id)) return null;
      if (mode === 'repair' && damage.length > 0)
        await accounts.call(id, () => accounts.heal(id, new Error(damage.join('; '))));
      return accounts.hold(id, async (account) => {
        const findings: Finding[] = [];
        let more = 0;
        let messages = 0;
        const tell = (mailbox: string, before: readonly string[], after: readonly string[] | null): void => {
          const left = new Set(after ?? before);
          for (const problem of new Set([...before, ...(after ?? [])])) {
            if (findings.length >= MAX_FINDINGS) more++;
            else if (after === null) findings.push({ mailbox, problem, state: 'found' });
            else findings.push({ mailbox, problem, state: left.has(problem) ? 'stays' : 'mended' });
          }
        };
        for (const problem of damage)
          findings.push({ mailbox: '', problem, state: mode === 'repair' ? 'mended' : 'found' });
        // What another program did since we last looked is news, not disorder.
        account.refreshTree();
        const whole = await inTurns(account, checkWhole(account));
        const folders = [...account.folders.values()];
        for (const folder of folders) {
          if (account.folders.get(folder.mailbox) !== folder) continue;
          const before = await look(account, folder);
          messages += folder.total;
          if (before.length === 0 || mode === 'look') tell(folder.path, before, null);
          else {
            const failures = await mend(account, folder);
            const after = await look(account, folder);
            tell(folder.path, before, [...after, ...failures]);
          }
        }
        if (whole.length === 0 || mode === 'look') tell('', whole, null);
        else {
          mendWhole(account);
          tell('', whole, await inTurns(account, checkWhole(account)));
        }
        return { mailboxes: folders.length, messages, findings, more };
      });
    },

    reindex({ account: id }) {
      if (!hasMail(id)) return Promise.resolve(null);
      return accounts.hold(id, async (account) => {
        // What only the index knows goes into the names first.
        while (account.behind) {
          catchUp(account);
          await accounts.others(id);
        }
        account.reindex();
        return [...account.folders.values()].map(({ mailbox, path }) => ({ id: mailbox, path }));
      });
    },

    reindexMailbox: ({ account: id, mailbox }) =>
      accounts.call(id, (account) => (account.folders.has(mailbox) ? account.folder(mailbox).total : 0)),
  };
}
