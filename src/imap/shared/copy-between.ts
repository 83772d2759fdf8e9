import type { RawMessage } from '../../mail/raw-message.ts';
import {
  type AccountStore,
  type MailboxId,
  type Message,
  type NewMessage,
  StoreError,
  type Uid,
  type UidPair,
} from '../../store/store.ts';
import { ImapNo, toImapNo } from '../errors.ts';
import { MAX_IN_MEMORY, type Spool } from '../spool.ts';

/**
 * COPY where the store cannot do it by itself: from one account into another, or with other flags than the messages
 * have. All or nothing (RFC 9051 6.4.7): what was copied of it is taken back when the rest fails.
 */

/** Messages, and octets, that are appended at once; of their octets no more than MAX_IN_MEMORY are in memory. */
const LOT = 1000;
const LOT_BYTES = 32 * 1024 * 1024;
/** Messages that are looked for at the same time. */
const AT_ONCE = 16;
/** The store reads files by itself, by the names they have; where one has just got another, we make copies of our own. */
const ATTEMPTS = 3;

export interface Source {
  readonly store: AccountStore;
  readonly id: MailboxId;
}

export interface Target extends Source {
  /** Removes what was just put there, whatever the user may do. */
  takeBack(id: MailboxId, uids: readonly Uid[]): Promise<unknown>;
}

/** Flags and dates are those that the source shows; which flags are kept, the target says. */
export async function copyBetween(
  source: Source,
  uids: readonly Uid[],
  target: Target,
  spool: Spool,
): Promise<readonly UidPair[]> {
  const messages = await find(source, uids);
  if (messages.length === 0) return [];
  const bytes = messages.reduce((sum, { size }) => sum + size, 0);
  await target.store.admit(target.id, bytes, { messages: messages.length });
  const pairs: UidPair[] = [];
  try {
    for (const lot of lots(messages)) pairs.push(...(await copyLot(source, lot, target, spool)));
  } catch (error) {
    if (pairs.length > 0) await takeBack(target, pairs, error);
    throw error;
  }
  return pairs;
}

/** When that fails as well, the client is still told why the copy did, and the log both. */
async function takeBack(target: Target, pairs: readonly UidPair[], why: unknown): Promise<void> {
  try {
    await target.takeBack(
      target.id,
      pairs.map(({ to }) => to),
    );
  } catch (error) {
    const { message, code } = toImapNo(why);
    const what = `${pairs.length} messages could not be taken back after a failed copy`;
    throw new ImapNo(message, code, new AggregateError([why, error], what));
  }
}

/** In the order of UIDs, as the store's own COPY. */
async function find({ store, id }: Source, uids: readonly Uid[]): Promise<readonly Message[]> {
  const wanted = [...uids].sort((a, b) => a - b).map((uid) => ({ first: uid, last: uid }));
  const found: Message[] = [];
  for await (const batch of store.messages(id, wanted)) for (const message of batch) found.push(message);
  return found;
}

function* lots(messages: readonly Message[]): Generator<readonly Message[]> {
  let lot: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (lot.length > 0 && (lot.length >= LOT || bytes + message.size > LOT_BYTES)) {
      yield lot;
      lot = [];
      bytes = 0;
    }
    lot.push(message);
    bytes += message.size;
  }
  if (lot.length > 0) yield lot;
}

async function copyLot(
  source: Source,
  lot: readonly Message[],
  target: Target,
  spool: Spool,
): Promise<UidPair[]> {
  for (let attempt = 1; ; attempt++) {
    const copies = attempt === 1 ? null : new Copies(spool);
    try {
      const found = await read(source, lot, copies);
      if (found.length === 0) return [];
      const stored = await target.store.appendAll(
        target.id,
        found.map(({ message }) => message),
      );
      return found.flatMap(({ from }, at) => {
        const to = stored[at]?.uid;
        return to === undefined ? [] : [{ from, to }];
      });
    } catch (error) {
      if (error instanceof StoreError || error instanceof ImapNo || attempt === ATTEMPTS) throw error;
    } finally {
      await copies?.discard();
    }
  }
}

/** Those that are still there. */
async function read(
  { store, id }: Source,
  lot: readonly Message[],
  copies: Copies | null,
): Promise<readonly { readonly from: Uid; readonly message: NewMessage }[]> {
  const found: { readonly from: Uid; readonly message: NewMessage }[] = [];
  for (let at = 0; at < lot.length; at += AT_ONCE) {
    // All have ended before an error goes on: what they have copied is to be thrown away.
    const some = await Promise.allSettled(
      lot.slice(at, at + AT_ONCE).map(async ({ uid, flags, internalDate }) => {
        try {
          const stored = await store.raw(id, uid);
          const raw = copies ? await copies.make(stored) : stored;
          return { from: uid, message: { raw, flags, internalDate } };
        } catch (error) {
          if (error instanceof StoreError && error.kind === 'expunged') return null;
          throw error;
        }
      }),
    );
    for (const one of some) {
      if (one.status === 'rejected') throw one.reason;
      if (one.value) found.push(one.value);
    }
  }
  return found;
}

/** Copies of messages that nobody else gives other names: a few small ones in memory, the others in files. */
class Copies {
  readonly #spool: Spool;
  readonly #discards: (() => Promise<void>)[] = [];
  #room = MAX_IN_MEMORY;

  constructor(spool: Spool) {
    this.#spool = spool;
  }

  /** Once a file is open it can be read to its end, whatever its name is then. Throws ImapNo where there is no room. */
  async make(stored: RawMessage): Promise<RawMessage> {
    const room = this.#room;
    this.#room = Math.max(room - stored.size, 0);
    const copy = await this.#spool.keep(stored.size, octets(stored), 'octets', room);
    this.#discards.push(copy.discard);
    if (copy.refusal) throw copy.refusal;
    return copy.raw;
  }

  async discard(): Promise<void> {
    for (const discard of this.#discards) await discard();
  }
}

async function* octets(stored: RawMessage): AsyncGenerator<Buffer> {
  for await (const { buffer, byteOffset, length } of stored.read())
    yield Buffer.from(buffer, byteOffset, length);
}
