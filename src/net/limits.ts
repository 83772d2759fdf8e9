import { peerKey } from '../lib/ip.ts';

/** How many connections at once: in all, and from one address. One object may be shared by several listeners. */

export type Refusal = 'too-many-connections' | 'too-many-from-address';

export class ConnectionLimits {
  readonly #max: number;
  readonly #maxPerIp: number;
  readonly #perPeer = new Map<string, number>();
  #total = 0;

  constructor(limits: { readonly maxConnections: number; readonly maxConnectionsPerIp: number }) {
    this.#max = limits.maxConnections;
    this.#maxPerIp = limits.maxConnectionsPerIp;
  }

  get total(): number {
    return this.#total;
  }

  /** Whether another connection, from whomever, is too many. Asked before anything is read from it. */
  get full(): boolean {
    return this.#total >= this.#max;
  }

  /** Counts a connection; each one entered must leave() once. The addresses of a proxy are not counted. */
  enter(): void {
    this.#total++;
  }

  leave(): void {
    this.#total--;
  }

  /** Counts a connection from `ip` unless it is one too many; each one taken is given back once. */
  take(ip: string): boolean {
    const key = peerKey(ip);
    const count = this.#perPeer.get(key) ?? 0;
    if (count >= this.#maxPerIp) return false;
    this.#perPeer.set(key, count + 1);
    return true;
  }

  giveBack(ip: string): void {
    const key = peerKey(ip);
    const count = this.#perPeer.get(key) ?? 0;
    // The map holds connected peers only, so it cannot grow with those of the past.
    if (count <= 1) this.#perPeer.delete(key);
    else this.#perPeer.set(key, count - 1);
  }
}

/** The sessions that each account has at the moment. Shared with the servers before and after a reload. */
export class AccountSessions {
  readonly #open = new Map<string, Set<(reason: string) => void>>();

  /**
   * Counts a session; `end` ends it when the account may no longer have any. Returns how to leave, or undefined where
   * the account has `most` already.
   */
  take(account: string, most: number, end: (reason: string) => void): (() => void) | undefined {
    const sessions = this.#open.get(account) ?? new Set();
    if (sessions.size >= most) return undefined;
    this.#open.set(account, sessions);
    sessions.add(end);
    return () => {
      sessions.delete(end);
      if (sessions.size === 0 && this.#open.get(account) === sessions) this.#open.delete(account);
    };
  }

  /** All that have a session. */
  accounts(): readonly string[] {
    return [...this.#open.keys()];
  }

  /** Ends all that the account has; returns how many. */
  end(account: string, reason: string): number {
    const sessions = [...(this.#open.get(account) ?? [])];
    for (const end of sessions) end(reason);
    return sessions.length;
  }
}
