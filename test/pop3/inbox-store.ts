import type { AccountId } from '../../src/directory/directory.ts';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import { scan } from '../../src/message/scan.ts';
import {
  type AccountStore,
  type FlagChange,
  type KeptUidls,
  type Mailbox,
  type MailboxId,
  type MailStore,
  StoreError,
  type Uid,
} from '../../src/store/store.ts';

/** An account with nothing but an INBOX in memory: what POP3 sees of a store. */
export class InboxStore {
  readonly uidValidity = 1_224_498_663;
  readonly messages: Map<number, { flags: Set<string>; raw: RawMessage }> = new Map();
  /** UIDs of each call of expunge. */
  readonly expunged: number[][] = [];
  /** UIDs of each call of move, with the mailbox they went to. */
  readonly moved: [string, number[]][] = [];
  readonly mailboxes: Mailbox[] = [];
  refreshed = 0;
  /** What came along from another server. */
  kept: readonly KeptUidls[] = [];
  failing: StoreError['kind'] | null = null;
  #nextUid = 1;

  add(content: string | RawMessage, flags: readonly string[] = []): number {
    const raw = typeof content === 'string' ? rawMessage([Buffer.from(content, 'latin1')]) : content;
    const uid = this.#nextUid++;
    this.messages.set(uid, { flags: new Set(flags), raw });
    return uid;
  }

  flags(uid: number): string[] {
    return [...(this.messages.get(uid)?.flags ?? [])];
  }

  store(account: AccountId): AccountStore {
    const id = 'inbox' as MailboxId;
    const check = (): void => {
      if (this.failing) throw new StoreError(this.failing, 'as the test wants it');
    };
    const used: Partial<AccountStore> = {
      account,
      open: async (path) => {
        check();
        this.refreshed++;
        const mailbox = { id, path, uidValidity: this.uidValidity } as Mailbox;
        const uids = Uint32Array.from(this.messages.keys());
        return path === 'INBOX'
          ? { mailbox, uids, firstUnseen: null, firstRecent: 1 as Uid, close() {} }
          : undefined;
      },
      columns: async () => ({
        uids: Uint32Array.from(this.messages.keys()),
        sizes: Float64Array.from(this.messages.values(), ({ raw }) => raw.size),
        seen: Uint8Array.from(this.messages.values(), ({ flags }) => (flags.has('\\Seen') ? 1 : 0)),
      }),
      // Half of them are taken for big ones.
      contents: async function* (this: InboxStore, _id: MailboxId, uids: readonly Uid[]) {
        for (const uid of uids) {
          const found = uid % 2 === 0 ? this.messages.get(uid) : undefined;
          if (found) yield [{ uid, bytes: await bytesOf(found.raw) }];
        }
      }.bind(this),
      keptUidls: async function* (this: InboxStore) {
        yield* this.kept;
      }.bind(this),
      raw: async (_id, uid) => {
        const found = this.messages.get(uid);
        if (!found) throw new StoreError('expunged', 'gone');
        return found.raw;
      },
      structure: async (_id, uid) => {
        const found = this.messages.get(uid);
        if (!found) throw new StoreError('expunged', 'gone');
        return scan(await bytesOf(found.raw));
      },
      setFlags: async (_id, uids, change: FlagChange) => {
        for (const uid of uids) for (const flag of change.flags) this.messages.get(uid)?.flags.add(flag);
        return { messages: [], conflicts: [] };
      },
      mailboxes: async () => this.mailboxes,
      create: async (path, specialUse) => {
        const made = { id: path as MailboxId, path, specialUse: specialUse ?? null } as Mailbox;
        this.mailboxes.push(made);
        return made;
      },
      move: async (_id, uids, to) => {
        check();
        this.moved.push([to, [...uids]]);
        return uids.flatMap((uid) => (this.messages.delete(uid) ? [{ from: uid, to: uid }] : []));
      },
      expunge: async (_id, uids) => {
        check();
        this.expunged.push([...uids]);
        return uids.filter((uid) => this.messages.delete(uid));
      },
    };
    return used as AccountStore;
  }
}

/** A store of such accounts, made at first use. */
export class InboxStores {
  readonly #inboxes = new Map<string, InboxStore>();

  inbox(account: string): InboxStore {
    const inbox = this.#inboxes.get(account) ?? new InboxStore();
    this.#inboxes.set(account, inbox);
    return inbox;
  }

  asMailStore(): MailStore {
    const used: Partial<MailStore> = { account: async (id) => this.inbox(id).store(id) };
    return used as MailStore;
  }
}

async function bytesOf(raw: RawMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of raw.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
