import type { AccountId, Destination } from '../directory/directory.ts';
import { SmtpError } from '../mail/reply.ts';
import { StoreError } from '../store/store.ts';

/**
 * Room in the mailbox: the answer to RCPT when nobody behind an address could take the message, so that the sender's
 * host hears of it before it sends (RFC 5321 4.2.3: 452 and 552; RFC 1870 5 for the announced size).
 */
export interface QuotaCheck {
  /** Throws StoreError 'over-quota' when a message of so many octets would be refused. */
  admit(account: AccountId, bytes: number): Promise<void>;
  /** Whether the sender is to try again. */
  readonly whenFull: 'tempfail' | 'reject';
}

/**
 * An address that leads to several mailboxes is taken while one of them has room: the others are told apart at delivery.
 * @param bytes as announced with MAIL; 0 when nothing was
 * @throws SmtpError with the reply to give.
 */
export async function checkRoom(
  quota: QuotaCheck,
  destinations: readonly Destination[],
  bytes: number,
): Promise<void> {
  let full: StoreError | undefined;
  for (const destination of destinations) {
    if (destination.is === 'remote') return;
    try {
      await quota.admit(destination.account, Math.max(bytes, 1));
      return;
    } catch (error) {
      // What else is wrong with a mailbox is no reason to refuse mail: the queue waits.
      if (!(error instanceof StoreError && error.kind === 'over-quota')) return;
      full = error;
    }
  }
  if (!full) return;
  throw quota.whenFull === 'reject'
    ? new SmtpError(552, '5.2.2', full.message)
    : new SmtpError(452, '4.2.2', full.message);
}
