import type { AccountId } from '../directory/directory.ts';
import type { MailboxId, Uid } from '../store/store.ts';

/** Scripts that run because of what somebody does over IMAP (RFC 6785). */
export interface MailboxEvents {
  /** Runs the script for this message. Never rejects: whatever comes of it, the command has done its work. */
  happened(event: MailboxEvent): Promise<void>;
}

export interface MailboxEvent {
  /** Whose mailbox it is, and whose script. */
  readonly account: AccountId;
  readonly script: string;
  readonly mailbox: MailboxId;
  /** As its owner knows it. */
  readonly path: string;
  readonly uid: Uid;
  readonly cause: 'APPEND' | 'COPY' | 'FLAG';
  /** Empty where the cause is another one. */
  readonly changedFlags: readonly string[];
  /** Who did it. */
  readonly user: AccountId;
}
