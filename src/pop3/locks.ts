import type { AccountId } from '../directory/directory.ts';

/** Accounts whose last login is remembered; the least recent go first. */
const MAX_LOGINS = 100_000;

/** One POP3 session an account (RFC 1939 4): message numbers would mean different things to two that delete. */
export class MaildropLocks {
  readonly #locked = new Set<AccountId>();
  /** When each logged in last, in this order. */
  readonly #logins = new Map<AccountId, number>();

  /** Whether the last login was less than `delayMs` ago. */
  isTooSoon(id: AccountId, now: number, delayMs: number): boolean {
    const last = this.#logins.get(id);
    return last !== undefined && now - last < delayMs;
  }

  loggedIn(id: AccountId, now: number): void {
    this.#logins.delete(id);
    const [oldest] = this.#logins.keys();
    if (this.#logins.size >= MAX_LOGINS && oldest !== undefined) this.#logins.delete(oldest);
    this.#logins.set(id, now);
  }

  /** Returns how to unlock, or undefined when another session has the maildrop. */
  lock(id: AccountId): (() => void) | undefined {
    if (this.#locked.has(id)) return undefined;
    this.#locked.add(id);
    return () => this.#locked.delete(id);
  }
}
