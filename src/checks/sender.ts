import type { AccountId, Directory } from '../directory/directory.ts';
import { type Address, formatAddress, type ReversePath } from '../mail/address.ts';
import { SmtpError } from '../mail/reply.ts';

/** Users write as themselves, or as addresses given to them (RFC 6409 6.1). */

/** The envelope. @throws SmtpError with the reply to give. */
export async function checkReversePath(
  directory: Directory,
  account: AccountId,
  from: ReversePath,
): Promise<void> {
  // Read receipts have the null reverse-path (RFC 8098 3); the From field is checked all the same.
  if (from !== null && !(await allowed(directory, account, from)))
    throw new SmtpError(553, '5.7.1', 'Sender address not owned by the account that is logged in');
}

/** The authors in the header; there may be several, and each must be theirs. @throws SmtpError */
export async function checkAuthors(
  directory: Directory,
  account: AccountId,
  authors: readonly Address[],
): Promise<void> {
  if (authors.length === 0) throw new SmtpError(553, '5.7.1', 'From field without an address');
  for (const author of authors)
    if (!(await allowed(directory, account, author)))
      throw new SmtpError(553, '5.7.1', `From address ${printable(author)} is not yours`);
}

async function allowed(directory: Directory, account: AccountId, address: Address): Promise<boolean> {
  try {
    return await directory.maySendAs(account, address);
  } catch (error) {
    throw new SmtpError(451, '4.3.0', 'Temporary lookup failure', error);
  }
}

function printable(address: Address): string {
  return formatAddress(address).replace(/[^ -~]/g, '?');
}
