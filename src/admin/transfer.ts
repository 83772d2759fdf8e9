import type { AccountId } from '../directory/directory.ts';
import type { Piece } from '../lib/pieces.ts';
import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import {
  type FlagChange,
  type MailboxId,
  type MailStore,
  type SpecialUse,
  STORE_KINDS,
  StoreError,
  type Uid,
  type UidPair,
} from '../store/store.ts';
import {
  type Delivered,
  type FilingAccount,
  type Incoming,
  type Listed,
  localAccount,
  type Place,
} from '../transfer/account.ts';
import type { Spool } from '../transfer/spool.ts';
import type { ControlClient, ControlHandler } from './control.ts';

/**
 * Import and export beside a running daemon. The command line reads and writes the mail, in its own process; the daemon
 * is asked for what belongs to its store, a few words a message: contents lie in files that its workers read themselves.
 */

/** Names change with flags; more often than this between two looks they do not. */
const ATTEMPTS = 5;
/** Below what a request may have. */
const MAX_WORDS = 40 * 1024;

interface To {
  readonly account: AccountId;
}
type In = To & { readonly mailbox: MailboxId };
type Across = In & { readonly uids: readonly Uid[]; readonly to: MailboxId };

/** In JSON there are no octets: a message that the store has in memory goes as base64. */
type Sent =
  | { readonly path: string; readonly start: number; readonly end: number }
  | { readonly base64: string };

/** A StoreError crosses as a value. */
type Answer<T> = { readonly ok: T } | { readonly refused: StoreError['kind']; readonly reason: string };

/** The daemon's answers to RemoteTransfer. */
export function transferHandlers(store: MailStore): Readonly<Record<string, ControlHandler>> {
  const on = <A extends To, T>(work: (account: FilingAccount, argument: A) => Promise<T>): ControlHandler => {
    return async (argument) => {
      const given = argument as A;
      return answer(async () => work(await localAccount(store, given.account), given));
    };
  };
  return {
    'transfer.mailboxes': on((account) => account.mailboxes()),
    'transfer.create': on((account, { path, use }: To & { path: string; use: SpecialUse | null }) =>
      account.create(path, use),
    ),
    'transfer.subscribe': on((account, { path }: To & { path: string }) => account.subscribe(path)),
    'transfer.subscriptions': on((account) => account.subscriptions()),
    'transfer.deliver': on((account, { batch }: To & { batch: readonly Incoming[] }) =>
      account.deliver(batch),
    ),
    'transfer.flags': on(
      (account, { mailbox, uids, change }: In & { uids: readonly Uid[]; change: FlagChange }) =>
        account.setFlags(mailbox, uids, change),
    ),
    'transfer.uids': on(async (account, { mailbox }: In) => Array.from(await account.uids(mailbox))),
    'transfer.messages': on((account, { mailbox, first, last }: In & { first: number; last: number }) =>
      account.messages(mailbox, first, last),
    ),
    'transfer.annotations': on((account, { mailbox }: In) => account.annotations(mailbox)),
    'transfer.copy': on((account, { mailbox, uids, to }: Across) => account.copy(mailbox, uids, to)),
    'transfer.move': on((account, { mailbox, uids, to }: Across) => account.move(mailbox, uids, to)),
    'transfer.expunge': on((account, { mailbox, uids }: In & { uids: readonly Uid[] }) =>
      account.expunge(mailbox, uids),
    ),
    'transfer.remove': on((account, { mailbox, path }: In & { path: string }) =>
      account.remove(mailbox, path),
    ),
    'transfer.raws': on(async (account, { mailbox, uids }: In & { uids: readonly Uid[] }) =>
      (await account.raws(mailbox, uids)).map((raw) => raw?.pieces.map(toSent) ?? null),
    ),
  };
}

async function answer<T>(work: () => Promise<T>): Promise<Answer<T | null>> {
  try {
    return { ok: (await work()) ?? null };
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return { refused: error.kind, reason: error.message };
  }
}

function toSent(piece: Piece): Sent {
  if (!(piece instanceof Uint8Array)) return piece;
  return { base64: Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('base64') };
}

/** An account of the running daemon. */
export class RemoteTransfer implements FilingAccount {
  readonly #client: ControlClient;
  readonly #account: AccountId;
  readonly #spool: Spool | null;
  /** One request at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param spool where contents lie until the daemon has taken them; null where nothing is delivered */
  constructor(client: ControlClient, account: AccountId, spool: Spool | null) {
    this.#client = client;
    this.#account = account;
    this.#spool = spool;
  }

  mailboxes(): Promise<readonly Place[]> {
    return this.#call('mailboxes');
  }

  create(path: string, use: SpecialUse | null): Promise<void> {
    return this.#call('create', { path, use });
  }

  subscribe(path: string): Promise<void> {
    return this.#call('subscribe', { path });
  }

  subscriptions(): Promise<readonly string[]> {
    return this.#call('subscriptions');
  }

  async deliver(batch: readonly Incoming[]): Promise<readonly Delivered[]> {
    if (batch.length === 0) return [];
    if (!this.#spool) throw new Error('nothing can be delivered without a spool');
    const { pieces, release } = this.#spool.together(batch.map(({ content }) => content));
    try {
      const answers: Delivered[] = [];
      let words = 0;
      let part: Incoming[] = [];
      const send = async (): Promise<void> => {
        if (part.length > 0) answers.push(...(await this.#call<Delivered[]>('deliver', { batch: part })));
        part = [];
        words = 0;
      };
      for (const [at, incoming] of batch.entries()) {
        const one = { ...incoming, content: pieces[at] ?? [] };
        const length = Buffer.byteLength(JSON.stringify(one));
        if (words + length > MAX_WORDS) await send();
        part.push(one);
        words += length;
      }
      await send();
      return answers;
    } finally {
      release();
    }
  }

  setFlags(mailbox: MailboxId, uids: readonly Uid[], change: FlagChange): Promise<void> {
    return this.#call('flags', { mailbox, uids, change });
  }

  uids(mailbox: MailboxId): Promise<ArrayLike<number>> {
    return this.#call('uids', { mailbox });
  }

  messages(mailbox: MailboxId, first: number, last: number): Promise<readonly Listed[]> {
    return this.#call('messages', { mailbox, first, last });
  }

  annotations(mailbox: MailboxId): Promise<readonly (readonly [entry: string, value: string])[]> {
    return this.#call('annotations', { mailbox });
  }

  copy(mailbox: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    return this.#call('copy', { mailbox, uids, to });
  }

  move(mailbox: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    return this.#call('move', { mailbox, uids, to });
  }

  expunge(mailbox: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]> {
    return this.#call('expunge', { mailbox, uids });
  }

  remove(mailbox: MailboxId, path: string): Promise<void> {
    return this.#call('remove', { mailbox, path });
  }

  async raws(mailbox: MailboxId, uids: readonly Uid[]): Promise<readonly (RawMessage | null)[]> {
    const found = await this.#call<readonly (readonly Sent[] | null)[]>('raws', { mailbox, uids });
    const again = async (uid: Uid): Promise<readonly Piece[] | null> => {
      const [sent] = await this.#call<readonly (readonly Sent[] | null)[]>('raws', { mailbox, uids: [uid] });
      return sent?.map(toPiece) ?? null;
    };
    return found.map((sent, at) => {
      const uid = uids[at];
      return sent && uid !== undefined ? new MovingMessage(sent.map(toPiece), () => again(uid)) : null;
    });
  }

  async #call<T>(method: string, argument: object = {}): Promise<T> {
    const before = this.#last;
    const asked = (async () => {
      await before.catch(() => undefined);
      return this.#client.call(`transfer.${method}`, { account: this.#account, ...argument });
    })();
    this.#last = asked;
    const answered = (await asked) as Answer<T>;
    if ('ok' in answered) return answered.ok;
    const kind = STORE_KINDS.find((known) => known === answered.refused);
    throw new StoreError(kind ?? 'busy', answered.reason);
  }
}

function toPiece(sent: Sent): Piece {
  return 'base64' in sent ? Buffer.from(sent.base64, 'base64') : sent;
}

/** A message whose file may have another name by the time it is read: its flags are in there. */
class MovingMessage implements RawMessage {
  readonly size: number;
  #pieces: readonly Piece[];
  readonly #locate: () => Promise<readonly Piece[] | null>;

  constructor(pieces: readonly Piece[], locate: () => Promise<readonly Piece[] | null>) {
    this.size = rawMessage(pieces).size;
    this.#pieces = pieces;
    this.#locate = locate;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  async *read(range?: { readonly start: number; readonly end: number }): AsyncGenerator<Uint8Array> {
    for (let attempt = 1; ; attempt++) {
      let begun = false;
      try {
        for await (const chunk of rawMessage(this.#pieces).read(range)) {
          begun = true;
          yield chunk;
        }
        return;
      } catch (error) {
        const gone = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!gone || begun || attempt === ATTEMPTS) throw error;
        const pieces = await this.#locate();
        if (!pieces) throw new StoreError('expunged', 'This message is gone');
        this.#pieces = pieces;
      }
    }
  }
}
