import type { AccountId } from '../directory/directory.ts';
import type { Piece } from '../lib/pieces.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import type { FieldSelection } from '../message/field-selector.ts';
import type { Accents } from '../message/fold.ts';
import type { SortKey } from '../message/sort.ts';
import type { Part } from '../message/structure.ts';
import type { ThreadAlgorithm } from '../message/threads.ts';
import type { Acl, AclChange } from './acl.ts';
import type { AnnotationChange, Annotations } from './annotations.ts';

/** OBJECTID (RFC 8474): never reused, stable across renames. */
export type MailboxId = string & { readonly __brand: 'MailboxId' };
export type EmailId = string & { readonly __brand: 'EmailId' };
export type ThreadId = string & { readonly __brand: 'ThreadId' };
export type Uid = number & { readonly __brand: 'Uid' };
export type ModSeq = number & { readonly __brand: 'ModSeq' };

export interface Mailbox {
  readonly id: MailboxId;
  /** Decoded, '/'-separated; "INBOX" always upper case. Modified UTF-7 lives in imap/ and in Maildir names only. */
  readonly path: string;
  /** False for a name that only exists as a parent of others (\NonExistent, \NoSelect). */
  readonly selectable: boolean;
  readonly uidValidity: number;
  readonly uidNext: Uid;
  readonly highestModSeq: ModSeq;
  readonly total: number;
  readonly unseen: number;
  /** Messages with UIDs from here on were in no session yet: \Recent (RFC 3501 2.3.2). */
  readonly firstRecent: Uid;
  /** Sum of RFC822.SIZE. */
  readonly size: number;
  readonly specialUse: SpecialUse | null;
  readonly subscribed: boolean;
  /** Keywords in use, for FLAGS and PERMANENTFLAGS. */
  readonly keywords: readonly Flag[];
  /** There are mailboxes below it. */
  readonly hasChildren: boolean;
}

/** Stands for the account itself where its annotations are meant; no mailbox has this id. */
export const ACCOUNT: MailboxId = '' as MailboxId;

/** Where a message was stored (RFC 4315 3). */
export interface Appended {
  readonly mailbox: MailboxId;
  readonly uidValidity: number;
  readonly uid: Uid;
}

/** A message to append. */
export interface NewMessage {
  readonly raw: RawMessage;
  readonly flags: readonly Flag[];
  /** Milliseconds since the epoch. */
  readonly internalDate: number;
}

/** The message that goes when another takes its place (RFC 8508). */
export interface Replaced {
  readonly mailbox: MailboxId;
  readonly uid: Uid;
}

export type SpecialUse = 'archive' | 'drafts' | 'junk' | 'sent' | 'trash' | 'flagged' | 'all';
/** `\Seen`, `\Answered`, … or a keyword; compared without case, kept as first written. Never `\Recent`. */
export type Flag = string;

export interface Message {
  readonly mailbox: MailboxId;
  readonly uid: Uid;
  readonly modSeq: ModSeq;
  readonly emailId: EmailId;
  /** Shared between messages with the same flags: never change it. */
  readonly flags: readonly Flag[];
  /** Milliseconds since the epoch. */
  readonly internalDate: number;
  readonly savedDate: number;
  /** RFC822.SIZE: octets with CRLF line ends. */
  readonly size: number;
}

/**
 * What IMAP prints about a message, computed once and kept in the index.
 * Strings of bytes ("latin1"), literals included, exactly as they go on the wire.
 */
export interface Summary {
  readonly uid: Uid;
  readonly envelope: string;
  /** BODY, without extension data. */
  readonly body: string;
  readonly bodyStructure: string;
}

export type SummaryPart = 'envelope' | 'body' | 'bodyStructure';
export const SUMMARY_PARTS: readonly SummaryPart[] = ['envelope', 'body', 'bodyStructure'];

/** One account's mail. UIDs only: sequence numbers belong to an IMAP session, not to the store. */
export interface AccountStore {
  readonly account: AccountId;

  mailboxes(): Promise<readonly Mailbox[]>;
  /** @param state 'known': counters may be behind what other programs have just done, which saves looking at the disk */
  mailbox(path: string, state?: 'now' | 'known'): Promise<Mailbox | undefined>;
  /** Creates missing parents too. Throws 'exists', 'invalid-name', 'limit'. */
  create(path: string, specialUse?: SpecialUse): Promise<Mailbox>;
  /** Children move along. Renaming INBOX moves its messages and leaves it empty (RFC 9051 6.3.6). */
  rename(id: MailboxId, path: string): Promise<void>;
  /** A mailbox with children loses its messages and stays as a name. Throws 'not-found'. */
  delete(id: MailboxId): Promise<void>;
  /** Subscriptions are names: they may be of mailboxes that do not exist (RFC 9051 6.3.7). */
  subscribe(path: string, subscribed: 'yes' | 'no'): Promise<void>;
  subscriptions(): Promise<readonly string[]>;

  /** What is noted on a mailbox, or on the account (`ACCOUNT`). Throws 'not-found'. */
  annotations(id: MailboxId): Promise<Annotations>;
  /** Resolves when it is durable; all or nothing. Throws 'not-found', 'limit', 'invalid-name' (a use of INBOX). */
  annotate(id: MailboxId, change: AnnotationChange): Promise<void>;

  /**
   * Who may do what with a mailbox besides its owner, as it is stored (acl.ts says what it grants); a list that is damaged
   * is empty. Throws 'not-found'.
   */
  acl(id: MailboxId): Promise<Acl>;
  /** Of all mailboxes that have a list. */
  acls(): Promise<ReadonlyMap<MailboxId, Acl>>;
  /**
   * Resolves when it is durable; all or nothing. An entry without rights is none: 'set' without any is DELETEACL. Throws
   * 'not-found', 'limit', 'invalid-name' (no identifier), 'read-only'.
   */
  setAcl(id: MailboxId, identifier: string, change: AclChange): Promise<void>;
  /** What a reader who is not the owner has seen: ascending UIDs, only of messages that are there. */
  seenBy(id: MailboxId, reader: AccountId): Promise<Uint32Array>;
  /**
   * Durable as flags are; the owner's stay. The MODSEQ of each message of which this reader's \Seen changed is raised, and
   * it is announced as 'flags'. With `unchangedSince` as `setFlags`. Throws 'not-found', 'limit'.
   */
  setSeenBy(
    id: MailboxId,
    reader: AccountId,
    uids: readonly Uid[],
    seen: 'yes' | 'no',
    unchangedSince?: ModSeq,
  ): Promise<FlagResult>;

  /** Resolves when the message is durable. Throws 'over-quota', 'not-found'. */
  append(
    id: MailboxId,
    raw: RawMessage,
    options: { readonly flags: readonly Flag[]; readonly internalDate: number },
  ): Promise<Message>;
  /** The same by name, for who would only ask for the id: one question instead of two. */
  appendTo(
    path: string,
    raw: RawMessage,
    options: { readonly flags: readonly Flag[]; readonly internalDate: number },
  ): Promise<Appended>;
  /**
   * All or nothing, whatever happens meanwhile: all are there with ascending UIDs and the message that they replace is
   * gone, or nothing has changed. Throws 'over-quota', 'not-found', 'expunged' (nothing there to replace).
   */
  appendAll(id: MailboxId, messages: readonly NewMessage[], replaces?: Replaced): Promise<readonly Message[]>;
  /** All UIDs of the mailbox, ascending. */
  uids(id: MailboxId): Promise<Uint32Array>;
  /**
   * All that SELECT asks for, with one question; undefined when there is no such mailbox. The disk is looked at first.
   * `claim`: as `claimRecent`. From that moment on `listener` is told as by `watch`, also of some changes before it, and
   * some of other mailboxes.
   */
  open(
    path: string,
    recent: 'claim' | 'look',
    listener: (change: Change) => void,
  ): Promise<Opened | undefined>;
  /** Of all messages, ascending by UID. */
  columns(id: MailboxId): Promise<Columns>;
  /** Ascending by UID, in batches; with `since`, only those with a higher MODSEQ. */
  messages(id: MailboxId, ranges: readonly UidRange[], since?: ModSeq): AsyncIterable<readonly Message[]>;
  /** Ascending by UID, in batches; UIDs that are gone are left out. Parts that are not asked for are empty. */
  summaries(
    id: MailboxId,
    uids: readonly Uid[],
    parts?: readonly SummaryPart[],
  ): AsyncIterable<readonly Summary[]>;
  /** The whole header block (with its blank line) of each, in batches; UIDs that are gone are left out. */
  headers(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncIterable<readonly { readonly uid: Uid; readonly header: Uint8Array }[]>;
  /**
   * Some fields of the header of each, as BODY[HEADER.FIELDS (...)] has them (field-selector.ts); ascending by UID, in
   * batches; UIDs that are gone are left out. Strings of bytes ("latin1").
   */
  headerFields(
    id: MailboxId,
    uids: readonly Uid[],
    selection: FieldSelection,
  ): AsyncIterable<readonly { readonly uid: Uid; readonly fields: string }[]>;
  /**
   * Small messages whole, many with one look; ascending by UID, in batches of bounded size, the next one on its way.
   * What is gone is left out, and what is too big for this, or cannot be had so at the moment: `raw` tells.
   */
  contents(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncIterable<readonly { readonly uid: Uid; readonly bytes: Uint8Array }[]>;
  /** The MIME tree with byte offsets into `raw`. Throws 'expunged'. */
  structure(id: MailboxId, uid: Uid): Promise<Part>;
  /** Throws 'expunged'. */
  raw(id: MailboxId, uid: Uid): Promise<RawMessage>;
  setFlags(id: MailboxId, uids: readonly Uid[], change: FlagChange): Promise<FlagResult>;
  /** All or nothing (RFC 9051 6.4.7). UIDs that are gone are left out of the result. */
  copy(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]>;
  move(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]>;
  /** Removes these messages, whatever their flags; resolves to those that were there. */
  expunge(id: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]>;
  /** UIDs gone since `since`: QRESYNC's VANISHED (RFC 7162 3.2.10). */
  vanished(id: MailboxId, since: ModSeq): Promise<readonly Uid[]>;
  /** Ascending UIDs. */
  search(id: MailboxId, criteria: SearchCriteria): Promise<readonly Uid[]>;
  /** Sorted by RFC 5256 and RFC 5957; equal ones ascend by UID. */
  sort(id: MailboxId, criteria: SearchCriteria, keys: readonly SortKey[]): Promise<readonly Uid[]>;
  /** RFC 5256 3; 'refs': as 'references' without subjects, the thread with the latest message last. */
  thread(id: MailboxId, criteria: SearchCriteria, algorithm: ThreadAlgorithm): Promise<UidThreads>;
  /** RFC 8474 5.2: once given, a message's never changes; those of which nothing can be known are left out. */
  threadIds(id: MailboxId, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, ThreadId>>;
  /** Resolves to the first UID that is \Recent for this session; later sessions start after the last one. */
  claimRecent(id: MailboxId): Promise<Uid>;
  /** Throws 'over-quota' when APPEND of so many octets (in one message, if nothing else is said) would be refused now. */
  admit(
    id: MailboxId,
    bytes: number,
    also?: { readonly messages?: number; readonly replaces?: Replaced },
  ): Promise<void>;
  /** Of the account; or of one mailbox, where only limits of its own count. */
  quota(mailbox?: MailboxId): Promise<Quota>;
  /**
   * POP3 unique ids that messages brought along from another server (RFC 1939 7), ascending by UID, in batches, and the
   * form of those that have none of their own; no batch at all when nothing was brought along.
   */
  keptUidls(id: MailboxId): AsyncIterable<KeptUidls>;
  /** Looks at the disk for changes made by other programs; resolves when they are in the index and announced. */
  refresh(id: MailboxId): Promise<void>;
  /**
   * Calls back after each committed change, ours and others', in MODSEQ order per mailbox. Returns how to stop.
   * With `id` only changes of that mailbox, and those that other programs make in it are looked for from now on;
   * without it of all, and of other programs those to the list of mailboxes.
   */
  watch(listener: (change: Change) => void, id?: MailboxId): () => void;
}

export interface Opened {
  readonly mailbox: Mailbox;
  /** All, ascending. */
  readonly uids: Uint32Array;
  /** The lowest UID without \Seen; null when there is none. */
  readonly firstUnseen: Uid | null;
  /** The first UID that is \Recent for this session. */
  readonly firstRecent: Uid;
  /** Ends what `listener` is told. */
  close(): void;
}

/** What there is to know of messages that are only listed; one element a message in each. */
export interface Columns {
  readonly uids: Uint32Array;
  readonly sizes: Float64Array;
  /** 1 with \Seen, else 0. */
  readonly seen: Uint8Array;
}

export interface KeptUidls {
  /** In the language of uidl-format.ts. */
  readonly format: string;
  readonly ids: readonly { readonly uid: number; readonly uniqueId: string }[];
}

export interface Quota {
  readonly usedBytes: number;
  /** null is no limit. */
  readonly limitBytes: number | null;
  readonly messages: number;
  /** null is no limit. */
  readonly limitMessages: number | null;
  /** Of an account only: how many mailboxes it has, and may have. */
  readonly mailboxes?: { readonly count: number; readonly limit: number | null };
}

export interface MailStore {
  /** Creates the account's tree at first use. */
  account(id: AccountId): Promise<AccountStore>;
  /**
   * Final delivery. Resolves when the message is durable; many deliveries at once share their syncs.
   * The same `key` twice delivers once, also after a crash. Throws 'over-quota', 'not-found' (mailbox).
   */
  deliver(delivery: Delivery): Promise<{ readonly mailbox: MailboxId; readonly uid: Uid }>;
  /** Throws 'over-quota' when a delivery of so many octets to INBOX would be refused now. */
  admit(account: AccountId, bytes: number): Promise<void>;
  /** Removes all mail of an account, and its name from the access control lists of others, with what it had seen there. */
  remove(id: AccountId): Promise<void>;
  /**
   * Accounts of which at least one mailbox may have a list that names one of these identifiers; one too many when lists
   * have changed, never one too few. The owner's own account may be among them.
   */
  sharers(identifiers: readonly string[]): Promise<readonly AccountId[]>;
  close(): Promise<void>;
}

export interface Delivery {
  readonly account: AccountId;
  /** Path; 'INBOX' always exists. */
  readonly mailbox: string;
  /** Names this delivery for ever: derived from queue id and recipient. Letters, digits, '-'; at most 64. */
  readonly key: string;
  readonly flags: readonly Flag[];
  /** Milliseconds since the epoch. */
  readonly internalDate: number;
  /**
   * The message, CRLF line ends. One piece that is a whole file is taken by hard link where the file system
   * allows it: the file must never change afterwards.
   */
  readonly content: readonly Piece[];
  /** Whatever quota and size limits say: an administrator brings this mail. */
  readonly limits?: 'ignored';
}

/** A forest in preorder. */
export interface UidThreads {
  /** 0 is a parent that is not there; only at level 0. */
  readonly uids: Uint32Array;
  readonly levels: Uint32Array;
}
export interface UidRange {
  readonly first: number;
  /** Inclusive; '*' is the highest UID. */
  readonly last: number | '*';
}
export interface UidPair {
  readonly from: Uid;
  readonly to: Uid;
}
export interface FlagChange {
  readonly mode: 'set' | 'add' | 'remove';
  readonly flags: readonly Flag[];
  /** Messages changed since are left alone and listed as conflicts (RFC 7162 3.1.3). */
  readonly unchangedSince?: ModSeq;
}
export interface FlagResult {
  /** Messages as they are now, also those that had the flags already. */
  readonly messages: readonly Message[];
  /** Those of them that were so already: their MODSEQ is that of an earlier change, maybe of somebody else. */
  readonly unchanged?: readonly Uid[];
  readonly conflicts: readonly Uid[];
}

export type Change =
  | { readonly type: 'added'; readonly mailbox: MailboxId; readonly messages: readonly Message[] }
  | { readonly type: 'flags'; readonly mailbox: MailboxId; readonly messages: readonly Message[] }
  | {
      readonly type: 'expunged';
      readonly mailbox: MailboxId;
      readonly uids: readonly Uid[];
      readonly modSeq: ModSeq;
    }
  | {
      readonly type: 'mailbox';
      readonly mailbox: MailboxId;
      readonly path: string;
      readonly what: 'created' | 'renamed' | 'deleted' | 'subscribed' | 'unsubscribed';
    }
  | {
      /** Annotations were set or removed; of the account: `ACCOUNT`, and no path. */
      readonly type: 'annotated';
      readonly mailbox: MailboxId;
      readonly path: string;
      readonly entries: readonly string[];
      /** As `annotate` was told. */
      readonly by: string;
    }
  | {
      /** The access control list is another one. */
      readonly type: 'acl';
      readonly mailbox: MailboxId;
      readonly path: string;
    };

export type SearchCriteria =
  | { readonly all: readonly SearchCriteria[] }
  | { readonly any: readonly SearchCriteria[] }
  | { readonly not: SearchCriteria }
  | { readonly flag: Flag }
  | { readonly uid: readonly UidRange[] }
  /** `contains` empty: the field is there. Decoded and compared with i;unicode-casemap (RFC 5051), accents or not. */
  | { readonly header: string; readonly contains: string; readonly accents?: Accents }
  | { readonly text: string; readonly in: 'body' | 'message'; readonly accents?: Accents }
  | { readonly size: 'larger' | 'smaller'; readonly bytes: number }
  /** `from` inclusive, `before` exclusive, ms since the epoch; 'sent' is the Date field without its zone (RFC 9051 6.4.4). */
  | { readonly date: 'internal' | 'sent' | 'saved'; readonly from?: number; readonly before?: number }
  | { readonly changedSince: ModSeq }
  | { readonly emailId: EmailId }
  | { readonly threadId: ThreadId };

export const STORE_KINDS = [
  'not-found',
  'exists',
  'invalid-name',
  'over-quota',
  'expunged',
  'read-only',
  'no-permission',
  'busy',
  'disk-full',
  'limit',
] as const;

/** Each protocol maps a kind to its own words once: imap/errors.ts, pop3/errors.ts, delivery/local.ts. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: (typeof STORE_KINDS)[number];

  constructor(kind: StoreError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
