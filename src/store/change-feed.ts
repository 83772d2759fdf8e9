import type { AccountId } from '../directory/directory.ts';
import type { Logger } from '../lib/logger.ts';
import type { StoredChange } from './maildir/account.ts';
import { unpack } from './packed-messages.ts';
import type { Change, MailboxId } from './store.ts';

/**
 * Who hears of what: each committed change of an account goes once to everyone who listens to its mailbox, or to the
 * whole account, in the order in which the store committed them. The store is told of the first that listens and of the
 * last that stops, so that it watches the disk for as long, and no longer. A listener costs its place in a set.
 */

type Listener = (change: Change) => void;

/** null is the account as a whole. */
type Scope = MailboxId | null;

export interface FeedCalls {
  watch(account: AccountId, mailbox: Scope): void;
  unwatch(account: AccountId, mailbox: Scope): void;
}

export class ChangeFeed {
  readonly #calls: FeedCalls;
  readonly #log: Logger;
  readonly #accounts = new Map<AccountId, Map<Scope, Set<Listener>>>();

  constructor(calls: FeedCalls, log: Logger) {
    this.#calls = calls;
    this.#log = log;
  }

  /** Nothing that is committed after this returns is missed. Returns how to stop. */
  watch(account: AccountId, listener: Listener, mailbox: Scope): () => void {
    let scopes = this.#accounts.get(account);
    if (!scopes) {
      scopes = new Map();
      this.#accounts.set(account, scopes);
      this.#calls.watch(account, null);
    }
    let listeners = scopes.get(mailbox);
    if (!listeners) {
      listeners = new Set();
      scopes.set(mailbox, listeners);
      if (mailbox !== null) this.#calls.watch(account, mailbox);
    }
    // The same function may listen twice.
    const own: Listener = (change) => listener(change);
    listeners.add(own);
    return () => this.#stop(account, mailbox, own);
  }

  /** From the store. */
  announce(account: AccountId, stored: StoredChange): void {
    const scopes = this.#accounts.get(account);
    if (!scopes) return;
    const audiences = [scopes.get(null), scopes.get(stored.mailbox)].filter((set) => set !== undefined);
    if (audiences.length === 0) return;
    const change = toChange(stored);
    // Who comes while this is told has not missed it; who goes hears no more.
    for (const audience of audiences)
      for (const listener of [...audience]) if (audience.has(listener)) this.#tell(account, listener, change);
  }

  /** The account is gone: nobody hears of it any more. */
  forget(account: AccountId): void {
    this.#accounts.delete(account);
  }

  close(): void {
    this.#accounts.clear();
  }

  #tell(account: AccountId, listener: Listener, change: Change): void {
    try {
      listener(change);
    } catch (error) {
      // One session's mistake is not the next one's.
      this.#log.error({ err: error, account }, 'a listener to mailbox changes failed');
    }
  }

  #stop(account: AccountId, mailbox: Scope, own: Listener): void {
    const scopes = this.#accounts.get(account);
    const listeners = scopes?.get(mailbox);
    if (!scopes || !listeners?.delete(own) || listeners.size > 0) return;
    scopes.delete(mailbox);
    if (mailbox !== null) this.#calls.unwatch(account, mailbox);
    if (scopes.size > 0) return;
    this.#accounts.delete(account);
    this.#calls.unwatch(account, null);
  }
}

function toChange(stored: StoredChange): Change {
  switch (stored.type) {
    case 'added':
    case 'flags':
      return { type: stored.type, mailbox: stored.mailbox, messages: unpack(stored.messages) };
    case 'expunged':
    case 'mailbox':
    case 'annotated':
    case 'acl':
      return stored;
  }
}
