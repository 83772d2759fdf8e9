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

/** How many sessions one account has at once. Shared with the servers before and after a reload. */
export class AccountSessions {
  readonly #open = new Map<string, number>();

  /** Counts a session; returns how to end it, once, or undefined where the account has `most` already. */
  take(account: string, most: number): (() => void) | undefined {
    const count = this.#open.get(account) ?? 0;
    if (count >= most) return undefined;
    this.#open.set(account, count + 1);
    let taken = true;
    return () => {
      if (!taken) return;
      taken = false;
      const left = (this.#open.get(account) ?? 0) - 1;
      if (left <= 0) this.#open.delete(account);
      else this.#open.set(account, left);
    };
  }
}
