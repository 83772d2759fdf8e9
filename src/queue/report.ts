import { type Address, asciiDomain, formatLocalPart, needsSmtpUtf8 } from '../mail/address.ts';
import type { Reply } from '../mail/reply.ts';
import type { QueuedMessage, QueuedRecipient } from './queue.ts';

/** What a delivery status notification tells (RFC 3461 4.1): of one message, one event, for some of its recipients. */
export type DsnEvent = 'failure' | 'delay' | 'success';

/** What is told of one recipient. */
export interface DsnRecipient {
  readonly recipient: QueuedRecipient;
  readonly action: 'failed' | 'expired' | 'delayed' | 'delivered' | 'relayed' | 'expanded';
  readonly reply: Reply;
  readonly remoteMta?: string;
}

export interface DsnTerms {
  /** Our name: Reporting-MTA, and the domain that the report comes from. */
  readonly hostname: string;
  readonly now: number;
  /** Milliseconds after which delivery is given up. */
  readonly expire: number;
}

/** Whether the sender wants to hear of this (RFC 3461 4.1); nobody hears anything at the null reverse-path. */
export function wanted(message: QueuedMessage, recipient: QueuedRecipient, event: DsnEvent): boolean {
  if (message.from === null) return false;
  // Without NOTIFY, failures are told, and delays may be.
  if (recipient.notify === undefined) return event !== 'success';
  return recipient.notify.includes(event);
}

/** As header fields write it: the domain in A-labels where the local part is ASCII (RFC 6532 needs no UTF-8 then). */
export function headerAddress(address: Address): string {
  const local = formatLocalPart(address.local);
  return needsSmtpUtf8(address) ? `${local}@${address.domain}` : `${local}@${asciiDomain(address.domain)}`;
}
