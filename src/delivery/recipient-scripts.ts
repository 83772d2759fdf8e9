import type { AccountId } from '../directory/directory.ts';
import type { Piece } from '../lib/pieces.ts';
import type { Reply } from '../mail/reply.ts';
import type { NewMessage } from '../queue/queue.ts';

/** A recipient's script may refuse a message while its sender's host still waits for an answer (RFC 5429 2.1). */
export interface RecipientScripts {
  /** Whether anything that runs for this account could refuse a message at all. Never rejects. */
  mayRefuse(account: AccountId): Promise<boolean>;
  /** What to reply instead of 250; undefined when the message is taken. Never rejects. */
  refusal(receipt: Receipt): Promise<Reply | undefined>;
}

/** A message that could be taken for one of its recipients. */
export interface Receipt {
  readonly account: AccountId;
  readonly message: NewMessage;
  readonly recipient: NewMessage['recipients'][number];
  /** As received, with our Received field on top. */
  readonly content: readonly Piece[];
}
