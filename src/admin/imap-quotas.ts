import { addressKey } from '../directory/address-key.ts';
import type { AccountId, Directory } from '../directory/directory.ts';
import { DirectoryError } from '../directory/errors.ts';
import type { SqliteDirectory } from '../directory/sqlite-directory.ts';
import type { AccountQuotas } from '../imap/account-quotas.ts';
import { formatAddress, parseAddress } from '../mail/address.ts';

/** What admins may do to quotas over IMAP: the same as "facteur account quota", in the same place. */
export function imapQuotas(
  admins: readonly string[],
  directory: Directory,
  accounts: SqliteDirectory,
): AccountQuotas {
  const names = new Set(admins.map(nameOf));
  return {
    mayChange: (account) => names.has(nameOf(account)),

    async account(text) {
      const address = parseAddress(text);
      const found = address && (await directory.account(formatAddress(address) as AccountId));
      return found?.id;
    },

    async set(id, limits) {
      const address = parseAddress(id);
      if (!address) throw new Error(`an account that is no address: ${id}`);
      // In the directory null is what holds for all, and 0 no limit.
      const or = (limit: number | null): number => limit ?? 0;
      const { bytes, messages, mailboxes } = limits;
      try {
        await accounts.setQuota(address, {
          bytes: or(bytes),
          messages: or(messages),
          mailboxes: or(mailboxes),
        });
        return 'set';
      } catch (error) {
        if (error instanceof DirectoryError && error.kind === 'read-only') return 'declared';
        throw error;
      }
    },
  };
}

/** As logins are compared. */
function nameOf(address: string): string {
  const parsed = parseAddress(address);
  return parsed ? addressKey(parsed) : address;
}
