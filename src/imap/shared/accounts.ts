import type { AccountId } from '../../directory/directory.ts';
import { type Acl, ANYONE, OWNER } from '../../store/acl.ts';
import type { AccountStore, MailboxId, MailStore } from '../../store/store.ts';
import type { Spool } from '../spool.ts';
import { identifierOf } from './identifiers.ts';

/**
 * The accounts that people look into although they are not theirs, one for all sessions: opened when the first needs
 * one, let go of with the last. What their access control lists say is remembered until it changes.
 */

/** An account in which others have something to say. */
export interface Lent {
  readonly store: AccountStore;
  /** As it is now. Throws 'not-found'. */
  acl(id: MailboxId): Promise<Acl>;
  /** Of all mailboxes that have one. */
  acls(): Promise<ReadonlyMap<MailboxId, Acl>>;
  /** Somebody has just changed it, which is not announced yet. */
  forget(id: MailboxId): void;
  /** Whoever has borrowed it says so once. */
  giveBack(): void;
}

interface Kept {
  readonly store: AccountStore;
  readonly lists: Lists;
  readonly stop: () => void;
}

export class SharedAccounts {
  /** For what goes from one account to another. */
  readonly spool: Spool;
  /** Whose mailboxes are everybody's, as lists name it. */
  readonly #public: string | null;
  readonly #store: MailStore;
  /** Sessions of owners. */
  readonly #owners = new Map<AccountId, Set<() => Promise<void>>>();
  readonly #kept = new Map<AccountId, { readonly kept: Promise<Kept>; borrowers: number }>();

  /** @param publicAccount its address (`imap.publicAccount`) */
  constructor(store: MailStore, publicAccount: string | null, spool: Spool) {
    this.#store = store;
    this.spool = spool;
    this.#public = publicAccount === null ? null : identifierOf(publicAccount);
  }

  get hasPublic(): boolean {
    return this.#public !== null;
  }

  isPublic(account: AccountId): boolean {
    return this.#public !== null && identifierOf(account) === this.#public;
  }

  /** Accounts whose lists name this one, or everybody: those in which there may be something to see. */
  async sharersWith(reader: AccountId): Promise<readonly AccountId[]> {
    const found = await this.#store.sharers([identifierOf(reader), ANYONE]);
    return found.filter((account) => account !== reader);
  }

  /** Whether an owner's own lists say what the owner may do (RFC 4314 2): nearly nobody's do. */
  async isOwnerNamed(owner: AccountId): Promise<boolean> {
    const name = identifierOf(owner);
    const named = await this.#store.sharers([name, OWNER, `-${name}`, `-${OWNER}`, `-${ANYONE}`]);
    return named.includes(owner);
  }

  /** Only an account that is there, which `sharersWith` knows: it would be made otherwise. */
  async borrow(account: AccountId): Promise<Lent> {
    let entry = this.#kept.get(account);
    if (!entry) {
      entry = { kept: this.#open(account), borrowers: 0 };
      this.#kept.set(account, entry);
    }
    const mine = entry;
    mine.borrowers++;
    let given = false;
    const giveBack = (): void => {
      if (given) return;
      given = true;
      if (--mine.borrowers > 0) return;
      if (this.#kept.get(account) === mine) this.#kept.delete(account);
      void mine.kept.then(
        ({ stop }) => stop(),
        () => undefined,
      );
    };
    try {
      const { store, lists } = await mine.kept;
      return {
        store,
        acl: (id) => lists.one(id),
        acls: () => lists.all(),
        forget: (id) => lists.forget(id),
        giveBack,
      };
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  /** A list has just been changed. Resolves when everybody minds it who is logged in here. */
  async changed(account: AccountId, id: MailboxId): Promise<void> {
    const kept = await this.#kept.get(account)?.kept.catch(() => undefined);
    kept?.lists.forget(id);
    await Promise.all([...(this.#owners.get(account) ?? [])].map((hear) => hear()));
  }

  /** Calls back when a list of the owner's own mailboxes was changed. Returns how to stop. */
  joinOwner(account: AccountId, hear: () => Promise<void>): () => void {
    const owners = this.#owners.get(account) ?? new Set();
    this.#owners.set(account, owners.add(hear));
    return () => {
      owners.delete(hear);
      if (owners.size === 0 && this.#owners.get(account) === owners) this.#owners.delete(account);
    };
  }

  async #open(account: AccountId): Promise<Kept> {
    const store = await this.#store.account(account);
    const lists = new Lists(store);
    const stop = store.watch((change) => {
      if (change.type === 'acl' || change.type === 'mailbox') lists.forget(change.mailbox);
    });
    return { store, lists, stop };
  }
}

/** What was asked for before a change is not what is remembered after it. */
class Lists {
  readonly #store: AccountStore;
  readonly #one = new Map<MailboxId, Promise<Acl>>();
  #all: Promise<ReadonlyMap<MailboxId, Acl>> | null = null;

  constructor(store: AccountStore) {
    this.#store = store;
  }

  one(id: MailboxId): Promise<Acl> {
    let acl = this.#one.get(id);
    if (!acl) {
      const asked = this.#store.acl(id);
      acl = asked;
      this.#one.set(id, asked);
      asked.catch(() => {
        if (this.#one.get(id) === asked) this.#one.delete(id);
      });
    }
    return acl;
  }

  all(): Promise<ReadonlyMap<MailboxId, Acl>> {
    if (!this.#all) {
      const asked = this.#store.acls();
      this.#all = asked;
      asked.catch(() => {
        if (this.#all === asked) this.#all = null;
      });
    }
    return this.#all;
  }

  forget(id: MailboxId): void {
    this.#one.delete(id);
    this.#all = null;
  }
}
