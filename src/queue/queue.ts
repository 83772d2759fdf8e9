import type { AccountId } from '../directory/directory.ts';
import type { Piece } from '../lib/pieces.ts';
import type { Address, ReversePath } from '../mail/address.ts';
import type { Envelope, NotifyCondition } from '../mail/envelope.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import type { Reply } from '../mail/reply.ts';

/** Letters and digits only; in the 250 reply, in Received, and in every log line about the message (`qid`). */
export type QueueId = string & { readonly __brand: 'QueueId' };

/** One message we have answered 250 for. Its recipients finish one by one. */
export interface QueuedMessage {
  readonly id: QueueId;
  readonly from: ReversePath;
  readonly body: Envelope['body'];
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
  readonly ret?: 'full' | 'hdrs';
  readonly envid?: string;
  readonly source: 'smtp' | 'submission' | 'lmtp' | 'sieve' | 'dsn' | 'report';
  /** Who submitted it; null for mail from the world and from ourselves. */
  readonly account: AccountId | null;
  /** Milliseconds since the epoch, as all times here. */
  readonly queuedAt: number;
  readonly size: number;
  /**
   * Octets at the start of the raw message that belong to its only recipient's final delivery (Return-Path,
   * Delivered-To), so that a big message can go into the Maildir by hard link. 0 for all others.
   */
  readonly finalTrace: number;
  readonly recipients: readonly QueuedRecipient[];
}

/** Where one recipient's copy goes next. `account` is set when the next hop is a mailbox here. */
export interface QueuedRecipient {
  /** Position in the message's list: names the recipient for ever, the same address may stand twice. */
  readonly index: number;
  readonly address: Address;
  /** The address in RCPT, before aliases. */
  readonly original: Address;
  readonly account: AccountId | null;
  readonly detail?: string;
  readonly notify?: readonly NotifyCondition[];
  readonly orcpt?: string;
  readonly state: RecipientState;
}

export type RecipientState =
  | {
      readonly is: 'waiting';
      readonly attempts: number;
      readonly nextAttempt: number;
      readonly last?: Reply;
      /** A delay warning was sent. */
      readonly warned?: true;
    }
  | { readonly is: 'held'; readonly attempts: number; readonly reason: string; readonly last?: Reply }
  | {
      readonly is: 'delivered' | 'relayed' | 'expanded' | 'failed' | 'expired';
      readonly at: number;
      readonly reply: Reply;
    };

/** What the sender of a new message says; the queue adds ids, states and sizes. */
export type NewMessage = Omit<QueuedMessage, 'id' | 'recipients' | 'size' | 'queuedAt' | 'finalTrace'> & {
  readonly finalTrace?: number;
  readonly recipients: readonly Omit<QueuedRecipient, 'index' | 'state'>[];
};

/** A message that is being received: bytes go in as they come, memory first, a spool file when it is big. */
export interface Draft {
  readonly id: QueueId;
  /** Resolves when there is room for more. Throws QueueFull when the disk is full. */
  write(chunk: Uint8Array): Promise<void> | undefined;
  /** What was written so far; may be read until commit or abort. */
  pieces(): Promise<readonly Piece[]>;
  /** Resolves only when a power cut can no longer lose the message: then, and only then, say 250. */
  commit(message: NewMessage): Promise<void>;
  /** Forgets it; safe to call at any time, also after commit (then it does nothing). */
  abort(): Promise<void>;
}

/** Durable state of all accepted mail: segment journal with a SQLite index. */
export interface QueueStore {
  draft(): Draft;
  /**
   * Due recipients grouped into jobs by next hop, leased until `lease`: nobody else gets them before that, and after a
   * crash they come back. At most `limit` jobs, fair between next hops, and not more than there is capacity for.
   */
  claim(now: number, lease: number, limit: number, capacity?: Capacity): Promise<readonly Job[]>;
  /** Writes the outcomes and releases the lease; the message goes with its last recipient. */
  settle(job: Job, outcomes: readonly Settlement[]): Promise<void>;
  get(id: QueueId): Promise<QueuedMessage | undefined>;
  raw(id: QueueId): Promise<RawMessage>;
  list(filter?: { readonly domain?: string; readonly account?: AccountId }): AsyncIterable<QueuedMessage>;
  /** Makes waiting recipients due now; with no id, all of them. Resolves to how many. */
  retry(id?: QueueId): Promise<number>;
  hold(id: QueueId, reason: string): Promise<boolean>;
  release(id: QueueId): Promise<boolean>;
  /** Without a bounce. False when there is no such message. */
  remove(id: QueueId): Promise<boolean>;
  /** When the next recipient is due; undefined when nothing waits. */
  nextDue(): Promise<number | undefined>;
  /** Calls back when there may be something new to claim. */
  onReady(listener: () => void): void;
  close(): Promise<void>;
}

/** How many more jobs may run. */
export interface Capacity {
  agent(agent: Job['agent']): number;
  nextHop(agent: Job['agent'], nextHop: string): number;
}

/** One message to one next hop: what a delivery agent is handed. */
export interface Job {
  readonly message: QueuedMessage;
  readonly recipients: readonly QueuedRecipient[];
  readonly agent: 'local' | 'remote';
  /** The account for `local`, the domain in A-label form for `remote`. */
  readonly nextHop: string;
}

/** What a delivery agent says of one recipient. */
export type Outcome = {
  readonly index: number;
  readonly reply: Reply;
  /** The name of the host that answered, for DSNs. */
  readonly remoteMta?: string;
  /** `mx.example.org[192.0.2.1]:25`, for the log. */
  readonly relay?: string;
  /** `TLSv1.3 TLS_AES_256_GCM_SHA384 verified`, or `none`, for the log. */
  readonly tls?: string;
} & (
  | { readonly is: 'delivered' }
  /** Handed to a host that does not do DSN (RFC 3461 5.2.2): `relayed`. */
  | { readonly is: 'relayed' }
  /** Final delivery made several new messages of it (RFC 3461 5.2.7.3). */
  | { readonly is: 'expanded' }
  | { readonly is: 'deferred'; readonly retryAt?: number }
  | { readonly is: 'failed' }
);

/** The state the scheduler gives a recipient after an attempt. */
export interface Settlement {
  readonly index: number;
  readonly state: RecipientState;
}

/** Implemented in delivery/: remote (SMTP) and local (the store). Throws only on a bug. */
export interface DeliveryAgent {
  readonly name: Job['agent'];
  deliver(job: Job, raw: RawMessage, signal: AbortSignal): Promise<readonly Outcome[]>;
}

/** The disk has no room: 452 4.3.1. */
export class QueueFull extends Error {
  override readonly name = 'QueueFull';
}
