import type { AccountId } from '../directory/directory.ts';
import type { Piece } from '../lib/pieces.ts';
import type { RawMessage } from '../mail/raw-message.ts';
import {
  type AccountStore,
  type EmailId,
  type Flag,
  type FlagChange,
  type Mailbox,
  type MailboxId,
  type MailStore,
  type SpecialUse,
  StoreError,
  type Uid,
  type UidPair,
} from '../store/store.ts';

/**
 * What a transfer needs of an account: of the store itself where no daemon runs, else of the daemon's through its
 * control socket (admin/transfer.ts). Everything here can be said in JSON, but bytes.
 */
export interface TransferAccount {
  mailboxes(): Promise<readonly Place[]>;
  /** No error when it exists. */
  create(path: string, specialUse: SpecialUse | null): Promise<void>;
  subscribe(path: string): Promise<void>;
  subscriptions(): Promise<readonly string[]>;
  /** Together, so that syncs are shared. An answer for each: durable, or why not. */
  deliver(batch: readonly Incoming[]): Promise<readonly Delivered[]>;
  setFlags(mailbox: MailboxId, uids: readonly Uid[], change: FlagChange): Promise<void>;
  /** Ascending. */
  uids(mailbox: MailboxId): Promise<ArrayLike<number>>;
  /** Those with UIDs from `first` to `last`, ascending. */
  messages(mailbox: MailboxId, first: number, last: number): Promise<readonly Listed[]>;
  /** In the order of the UIDs; null for one that is expunged. */
  raws(mailbox: MailboxId, uids: readonly Uid[]): Promise<readonly (RawMessage | null)[]>;
}

/** What moving mail within an account needs beside (filing.ts). */
export interface FilingAccount extends TransferAccount {
  annotations(mailbox: MailboxId): Promise<readonly (readonly [entry: string, value: string])[]>;
  copy(mailbox: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]>;
  move(mailbox: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]>;
  expunge(mailbox: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]>;
  /** Deletes a mailbox, with its subscription. */
  remove(mailbox: MailboxId, path: string): Promise<void>;
}

export interface Place {
  readonly id: MailboxId;
  readonly path: string;
  readonly selectable: boolean;
  readonly uidValidity: number;
  readonly total: number;
  readonly size: number;
  readonly specialUse: SpecialUse | null;
}

export interface Incoming {
  readonly mailbox: string;
  readonly key: string;
  readonly flags: readonly Flag[];
  readonly internalDate: number;
  readonly content: readonly Piece[];
  /** `ignored`: whatever the account may hold. */
  readonly quota: 'kept' | 'ignored';
}

export type Delivered =
  | { readonly mailbox: MailboxId; readonly uid: Uid }
  | { readonly refused: StoreError['kind']; readonly reason: string };

export interface Listed {
  readonly uid: Uid;
  readonly emailId: EmailId;
  readonly flags: readonly Flag[];
  readonly internalDate: number;
  readonly size: number;
}

export async function localAccount(store: MailStore, id: AccountId): Promise<FilingAccount> {
  const account = await store.account(id);
  return {
    mailboxes: async () => (await account.mailboxes()).map(placeOf),
    create: (path, use) => createOnce(account, path, use),
    subscribe: (path) => account.subscribe(path, 'yes'),
    subscriptions: () => account.subscriptions(),
    deliver: (batch) =>
      Promise.all(
        batch.map(async ({ quota, ...incoming }): Promise<Delivered> => {
          try {
            return await store.deliver({
              ...incoming,
              account: id,
              ...(quota === 'ignored' && { limits: 'ignored' as const }),
            });
          } catch (error) {
            if (!(error instanceof StoreError)) throw error;
            return { refused: error.kind, reason: error.message };
          }
        }),
      ),
    setFlags: async (mailbox, uids, change) => void (await account.setFlags(mailbox, uids, change)),
    uids: (mailbox) => account.uids(mailbox),
    messages: (mailbox, first, last) => list(account, mailbox, first, last),
    raws: (mailbox, uids) =>
      Promise.all(uids.map((uid) => account.raw(mailbox, uid).catch(nullWhenExpunged))),
    annotations: async (mailbox) => [...(await account.annotations(mailbox))],
    copy: (mailbox, uids, to) => account.copy(mailbox, uids, to),
    move: (mailbox, uids, to) => account.move(mailbox, uids, to),
    expunge: (mailbox, uids) => account.expunge(mailbox, uids),
    async remove(mailbox, path) {
      await account.delete(mailbox);
      await account.subscribe(path, 'no');
    },
  };
}

function nullWhenExpunged(error: unknown): null {
  if (error instanceof StoreError && error.kind === 'expunged') return null;
  throw error;
}

async function createOnce(account: AccountStore, path: string, use: SpecialUse | null): Promise<void> {
  const found = await account.mailbox(path);
  if (found?.selectable) return;
  await account.create(path, use ?? undefined);
}

async function list(
  account: AccountStore,
  mailbox: MailboxId,
  first: number,
  last: number,
): Promise<Listed[]> {
  const listed: Listed[] = [];
  for await (const batch of account.messages(mailbox, [{ first, last }]))
    for (const { uid, emailId, flags, internalDate, size } of batch)
      listed.push({ uid, emailId, flags, internalDate, size });
  return listed;
}

function placeOf({ id, path, selectable, uidValidity, total, size, specialUse }: Mailbox): Place {
  return { id, path, selectable, uidValidity, total, size, specialUse };
}
