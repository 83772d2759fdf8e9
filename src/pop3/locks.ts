import type { AccountId } from '../directory/directory.ts';

/** One POP3 session an account (RFC 1939 4): message numbers would mean different things to two that delete. */
export class MaildropLocks {
  readonly #locked = new Set<AccountId>();

  /** Returns how to unlock, or undefined when another session has the maildrop. */
  lock(id: AccountId): (() => void) | undefined {
    if (this.#locked.has(id)) return undefined;
    this.#locked.add(id);
    return () => this.#locked.delete(id);
  }
}
