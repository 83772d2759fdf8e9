import type { MailboxId } from '../../store/store.ts';
import type { ImapSession } from '../command.ts';

/**
 * Whether APPENDUID and COPYUID may be told: who may put mail into a mailbox and not look into it must not learn its
 * numbers (RFC 9051 6.3.12, 6.4.7).
 */
export async function mayTellUids({ store }: ImapSession, id: MailboxId): Promise<boolean> {
  return (await store.rightsIfAny(id)).has('r');
}
