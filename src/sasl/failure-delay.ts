import type { Clock } from '../lib/clock.ts';
import { normaliseIp, peerKey } from '../lib/ip.ts';

/**
 * The first failure from an address is answered this long after it was asked, however long the check took: so the
 * time of a failure does not tell whether the account exists, nor how its password is kept.
 */
const FIRST_MS = 300;
/** Each further one a little later, for guessing to become slow; a person with a typing error hardly feels it. */
const STEP_MS = 50;
/** Never longer: clients give up, and whoever can make us wait holds a connection of ours. */
const MAX_MS = 1500;
/** Failures are forgotten after this long without another. */
const FORGET_MS = 10 * 60_000;
/** Addresses remembered; the least recent go first. */
const MAX_PEERS = 10_000;

/** Delays the answer to failed attempts. Never refuses: the next attempt with the right password passes at once. */
export class FailureDelay {
  readonly #clock: Clock;
  readonly #peers = new Map<string, { failures: number; at: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts a failure of `ip` and resolves when it may be answered, at once when `signal` is aborted. */
  async wait(ip: string, startedAt: number, signal: AbortSignal | undefined): Promise<void> {
    const now = this.#clock.now().getTime();
    const total = Math.min(FIRST_MS + STEP_MS * this.#count(peerKey(normaliseIp(ip)), now), MAX_MS);
    const left = total - (now - startedAt);
    if (left <= 0) return;
    try {
      await this.#clock.sleep(left, signal);
    } catch (error) {
      // The peer is gone: its session will notice by itself.
      if (!signal?.aborted) throw error;
    }
  }

  /** How many failures came before this one. */
  #count(peer: string, now: number): number {
    const before = this.#peers.get(peer);
    const failures = before && now - before.at < FORGET_MS ? before.failures : 0;
    this.#peers.delete(peer);
    const [oldest] = this.#peers.keys();
    if (this.#peers.size >= MAX_PEERS && oldest !== undefined) this.#peers.delete(oldest);
    this.#peers.set(peer, { failures: failures + 1, at: now });
    return failures;
  }
}
