import type { EmailId, Flag, MailboxId, Message, ModSeq, Uid } from './store.ts';

/**
 * Messages on their way from the store's thread: one array of numbers that moves without a copy, flags once for each
 * combination. The other side reads them as `Message`s.
 */

/** uid, modseq, flag bits, internal date, saved date, size, and the two halves of the email id. */
export const STRIDE = 8;
/** Where in a row these are. */
export const AT: { readonly uid: 0; readonly modSeq: 1; readonly flags: 2; readonly size: 5 } = {
  uid: 0,
  modSeq: 1,
  flags: 2,
  size: 5,
};

export interface PackedMessages {
  readonly mailbox: MailboxId;
  readonly rows: Float64Array<ArrayBuffer>;
  readonly flagSets: readonly (readonly [bits: number, flags: readonly Flag[]])[];
}

export interface Packable {
  readonly uid: number;
  readonly modSeq: number;
  readonly flags: number;
  readonly internalDate: number;
  readonly savedDate: number;
  readonly size: number;
  readonly emailHigh: number;
  readonly emailLow: number;
}

export function pack(
  folder: { readonly mailbox: MailboxId; flagSet(bits: number): readonly Flag[] },
  messages: readonly Packable[],
): PackedMessages {
  const rows = new Float64Array(messages.length * STRIDE);
  let at = 0;
  for (const message of messages) {
    rows[at] = message.uid;
    rows[at + 1] = message.modSeq;
    rows[at + 2] = message.flags;
    rows[at + 3] = message.internalDate;
    rows[at + 4] = message.savedDate;
    rows[at + 5] = message.size;
    rows[at + 6] = message.emailHigh;
    rows[at + 7] = message.emailLow;
    at += STRIDE;
  }
  return packRows(folder, rows);
}

/** Rows that are numbers already. */
export function packRows(
  folder: { readonly mailbox: MailboxId; flagSet(bits: number): readonly Flag[] },
  rows: Float64Array<ArrayBuffer>,
): PackedMessages {
  const flagSets = new Map<number, readonly Flag[]>();
  for (let at = AT.flags, last = -1; at < rows.length; at += STRIDE) {
    const bits = rows[at] ?? 0;
    if (bits === last) continue;
    last = bits;
    if (!flagSets.has(bits)) flagSets.set(bits, folder.flagSet(bits));
  }
  return { mailbox: folder.mailbox, rows, flagSets: [...flagSets] };
}

export function unpack({ mailbox, rows, flagSets }: PackedMessages): Message[] {
  const flagsOf = new Map(flagSets);
  const messages: Message[] = [];
  for (let at = 0; at < rows.length; at += STRIDE)
    messages.push(new UnpackedMessage(mailbox, rows, at, flagsOf.get(rows[at + 2] ?? 0) ?? []));
  return messages;
}

class UnpackedMessage implements Message {
  readonly mailbox: MailboxId;
  readonly uid: Uid;
  readonly modSeq: ModSeq;
  readonly flags: readonly Flag[];
  readonly internalDate: number;
  readonly savedDate: number;
  readonly size: number;
  readonly #high: number;
  readonly #low: number;

  constructor(mailbox: MailboxId, rows: Float64Array, at: number, flags: readonly Flag[]) {
    this.mailbox = mailbox;
    this.uid = rows[at] as Uid;
    this.modSeq = rows[at + 1] as ModSeq;
    this.flags = flags;
    this.internalDate = rows[at + 3] ?? 0;
    this.savedDate = rows[at + 4] ?? 0;
    this.size = rows[at + 5] ?? 0;
    this.#high = rows[at + 6] ?? 0;
    this.#low = rows[at + 7] ?? 0;
  }

  get emailId(): EmailId {
    return emailId(this.#high, this.#low);
  }
}

export function emailId(high: number, low: number): EmailId {
  return `E${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}` as EmailId;
}
