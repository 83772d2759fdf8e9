import { type RawMessage, rawMessage } from '../../mail/raw-message.ts';
import {
  type AccountStore,
  type MailboxId,
  type Message,
  type NewMessage,
  StoreError,
  type Uid,
  type UidPair,
} from '../../store/store.ts';

/**
 * COPY where the store cannot do it by itself: from one account into another, or with other flags than the messages
 * have. All or nothing (RFC 9051 6.4.7): what was copied of it is taken back when the rest fails.
 */

/** Messages, and octets, that are appended at once: small ones pass through memory. */
const LOT = 1000;
const LOT_BYTES = 32 * 1024 * 1024;
/** Messages that are looked for at the same time. */
const AT_ONCE = 16;
/** The store reads files by itself, by the names they have; where one has just got another, we read them all. */
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
): Promise<readonly UidPair[]> {
  const messages = await find(source, uids);
  if (messages.length === 0) return [];
  const bytes = messages.reduce((sum, { size }) => sum + size, 0);
  await target.store.admit(target.id, bytes, { messages: messages.length });
  const pairs: UidPair[] = [];
  try {
    for (const lot of lots(messages)) pairs.push(...(await copyLot(source, lot, target)));
  } catch (error) {
    if (pairs.length > 0)
      await target.takeBack(
        target.id,
        pairs.map(({ to }) => to),
      );
    throw error;
  }
  return pairs;
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

async function copyLot(source: Source, lot: readonly Message[], target: Target): Promise<UidPair[]> {
  for (let attempt = 1; ; attempt++) {
    const found = await read(source, lot, attempt === 1 ? 'on disk' : 'in memory');
    if (found.length === 0) return [];
    try {
      const stored = await target.store.appendAll(
        target.id,
        found.map(({ message }) => message),
      );
      return found.flatMap(({ from }, at) => {
        const to = stored[at]?.uid;
        return to === undefined ? [] : [{ from, to }];
      });
    } catch (error) {
      if (error instanceof StoreError || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Those that are still there. */
async function read(
  { store, id }: Source,
  lot: readonly Message[],
  where: 'on disk' | 'in memory',
): Promise<readonly { readonly from: Uid; readonly message: NewMessage }[]> {
  const found: { readonly from: Uid; readonly message: NewMessage }[] = [];
  for (let at = 0; at < lot.length; at += AT_ONCE) {
    const some = await Promise.all(
      lot.slice(at, at + AT_ONCE).map(async ({ uid, flags, internalDate }) => {
        try {
          const stored = await store.raw(id, uid);
          const raw = where === 'on disk' ? stored : await inMemory(stored);
          return { from: uid, message: { raw, flags, internalDate } };
        } catch (error) {
          if (error instanceof StoreError && error.kind === 'expunged') return null;
          throw error;
        }
      }),
    );
    for (const one of some) if (one) found.push(one);
  }
  return found;
}

/** Once it is open it can be read to its end, whatever its name is then. */
async function inMemory(stored: RawMessage): Promise<RawMessage> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stored.read()) chunks.push(chunk);
  return rawMessage(chunks);
}
