import type { AccountId } from '../../directory/directory.ts';
import { type Acl, ALL_RIGHTS, NO_RIGHTS, type Rights, rightsOf, type Visitor } from '../../store/acl.ts';
import { type Change, type Mailbox, type MailboxId, type Message, StoreError } from '../../store/store.ts';
import type { Lent } from './accounts.ts';
import { identifierOf } from './identifiers.ts';
import { asSeen, SeenUids } from './seen.ts';

/** What one user may do in one account, and what they have seen there. Remembered until the store announces a change. */

/** MYRIGHTS answers to whoever has one of these (RFC 4314 4); to others the mailbox is not there. */
const ANY_OF = ['l', 'r', 'i', 'k', 'x', 'a'];

const NOBODY: Acl = new Map();

export class Guard {
  readonly visitor: Visitor;
  readonly #lent: Lent;
  readonly #reader: AccountId;
  readonly #seen = new Map<MailboxId, Promise<SeenUids>>();
  /** As last asked: of a mailbox that has gone since, nobody else knows. */
  readonly #known = new Map<MailboxId, Rights>();
  readonly #stop: () => void;

  constructor(lent: Lent, reader: AccountId) {
    this.#lent = lent;
    this.#reader = reader;
    const is = lent.store.account === reader ? 'owner' : 'other';
    this.visitor = { account: identifierOf(reader), is };
    this.#stop = lent.store.watch((change) => this.#hear(change));
  }

  get isOwner(): boolean {
    return this.visitor.is === 'owner';
  }

  stop(): void {
    this.#stop();
  }

  /** Throws 'not-found'. */
  async rights(id: MailboxId): Promise<Rights> {
    try {
      const rights = rightsOf(await this.#lent.acl(id), this.visitor);
      this.#known.set(id, rights);
      return rights;
    } catch (error) {
      // A name above others has no list; an owner may do with it what can be done.
      if (this.isOwner && error instanceof StoreError && error.kind === 'not-found') return ALL_RIGHTS;
      throw error;
    }
  }

  /** As `rights`; none when there is nothing to have any on. */
  async rightsIfAny(id: MailboxId): Promise<Rights> {
    try {
      return await this.rights(id);
    } catch (error) {
      if (error instanceof StoreError) return NO_RIGHTS;
      throw error;
    }
  }

  /** Throws 'no-permission'; to whom the mailbox is not listed it is not there at all: 'not-found' (RFC 4314 6). */
  async require(id: MailboxId, ...needed: readonly string[]): Promise<Rights> {
    const rights = await this.rights(id);
    if (needed.every((right) => rights.has(right))) return rights;
    throw rights.has('l') ? noPermission() : noSuchMailbox();
  }

  /** Whether there is such a mailbox, for this user. */
  async isThere({ id, selectable }: Mailbox): Promise<boolean> {
    if (this.isOwner) return true;
    if (!selectable) return false;
    const rights = await this.rightsIfAny(id);
    return ANY_OF.some((right) => rights.has(right));
  }

  /** Those that LIST may name. */
  async listed(mailboxes: readonly Mailbox[]): Promise<readonly Mailbox[]> {
    if (this.isOwner) return mailboxes;
    const acls = await this.#lent.acls();
    return mailboxes.filter(({ id, selectable }) => {
      if (!selectable) return false;
      const rights = rightsOf(acls.get(id) ?? NOBODY, this.visitor);
      this.#known.set(id, rights);
      return rights.has('l');
    });
  }

  /** What the user, who is not the owner, has seen. */
  seen(id: MailboxId): Promise<SeenUids> {
    let seen = this.#seen.get(id);
    if (!seen) {
      const asked = this.#lent.store.seenBy(id, this.#reader).then((uids) => new SeenUids(uids));
      seen = asked;
      this.#seen.set(id, asked);
      asked.catch(() => {
        if (this.#seen.get(id) === asked) this.#seen.delete(id);
      });
    }
    return seen;
  }

  /** They have just seen more, or less, which is not announced yet. */
  forgetSeen(id: MailboxId): void {
    this.#seen.delete(id);
  }

  /** As the user sees them. */
  async shown(id: MailboxId, messages: readonly Message[]): Promise<readonly Message[]> {
    if (this.isOwner) return messages;
    const seen = await this.seen(id);
    return messages.map((message) => asSeen(message, seen));
  }

  /**
   * Passes on what concerns this user, as they see it, in its order; what has to be asked for comes a moment later.
   * @param only the mailbox that is watched; undefined for all that are listed (RFC 5465 5)
   */
  told(listener: (change: Change) => void, only?: MailboxId): (change: Change) => void {
    let before: Promise<void> | null = null;
    return (change) => {
      if (only !== undefined && change.mailbox !== only) return;
      if (this.isOwner && !before) {
        listener(change);
        return;
      }
      const mine: Promise<void> = (before ?? Promise.resolve())
        .then(() => this.#shownChange(change, only !== undefined))
        .then((shown) => shown && listener(shown))
        // The mailbox is gone; that is announced too.
        .catch(() => undefined)
        .then(() => {
          if (before === mine) before = null;
        });
      before = mine;
    };
  }

  async #shownChange(change: Change, isOpen: boolean): Promise<Change | null> {
    const known = this.#known.get(change.mailbox) ?? NO_RIGHTS;
    const rights = await this.rightsIfAny(change.mailbox);
    // Who has a mailbox open and may no longer read it is sent away: until then its changes must not be missing.
    const mayLook = isOpen || (rights.has('r') && rights.has('l'));
    switch (change.type) {
      case 'added':
      case 'flags':
        return mayLook ? { ...change, messages: await this.shown(change.mailbox, change.messages) } : null;
      case 'expunged':
        return mayLook ? change : null;
      case 'mailbox':
        return isOpen || rights.has('l') || known.has('l') ? change : null;
      case 'acl':
        return isOpen || rights.has('l') || known.has('l') ? change : null;
      case 'annotated': {
        if (this.isOwner) return change;
        const entries = change.entries.filter((name) => !isPrivate(name));
        return rights.has('l') && entries.length > 0 ? { ...change, entries } : null;
      }
    }
  }

  #hear(change: Change): void {
    // Whose flags have changed is not said; and a copy has been seen by whoever has seen what it was made of.
    if (change.type === 'flags' || change.type === 'added') this.#seen.delete(change.mailbox);
    if (change.type === 'mailbox' && change.what === 'deleted') this.#seen.delete(change.mailbox);
  }
}

/** `/private` annotations are the owner's own (RFC 5464 3.3). */
export function isPrivate(entry: string): boolean {
  return /^\/private(\/|$)/i.test(entry);
}

export function noPermission(): StoreError {
  return new StoreError('no-permission', 'You have no right to do that');
}

export function noSuchMailbox(): StoreError {
  return new StoreError('not-found', 'There is no such mailbox');
}
