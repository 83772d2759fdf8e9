import type { Position } from './journal.ts';
import { goesTo, MAX_JOB_RECIPIENTS, type NextHop } from './next-hop.ts';
import type { Job, QueuedMessage, QueuedRecipient, RecipientState } from './queue.ts';
import type { IndexEntry } from './queue-index.ts';

/** A lease: these recipients are being delivered to. */
export interface Lease {
  readonly entry: Entry;
  readonly job: Job;
  readonly numbers: readonly number[];
  readonly until: number;
}

/** A message that the queue holds in memory: new, being delivered, or changed and not yet in the index. */
export class Entry implements IndexEntry {
  message: QueuedMessage;
  /** Where its last whole record stands in the journal. */
  base: Position;
  length: number;
  readonly spooled: boolean;
  /** Small bodies of new messages, as long as the cache has room. */
  body: Buffer | undefined;
  /** Whether the index has a row of it, be it an older one. */
  indexed: 'indexed' | 'no';
  /** Something here is not in the index: since this place in the journal, and this time. */
  dirty: { readonly since: Position; readonly at: number; urgent: boolean } | undefined;
  gone = false;
  /** It stands in a line of Ready. */
  lined = false;
  /** Work in progress that needs it to stay in memory. */
  pins = 0;
  readonly leases: Lease[] = [];

  constructor(
    message: QueuedMessage,
    place: Pick<IndexEntry, 'base' | 'length' | 'spooled'>,
    indexed: Entry['indexed'],
  ) {
    this.message = message;
    this.base = place.base;
    this.length = place.length;
    this.spooled = place.spooled;
    this.indexed = indexed;
  }

  leased(number: number): Lease | undefined {
    return this.leases.find((lease) => lease.numbers.includes(number));
  }

  /** For the index: when the recipient may be claimed; null when it does not wait. */
  due(recipient: QueuedRecipient): number | null {
    if (recipient.state.is !== 'waiting') return null;
    return this.leased(recipient.index)?.until ?? recipient.state.nextAttempt;
  }

  /** Leases what is due at the next hop; undefined when nothing is. */
  claim(hop: NextHop, now: number, until: number): Lease | undefined {
    const due: QueuedRecipient[] = [];
    for (const recipient of this.message.recipients) {
      if (due.length === MAX_JOB_RECIPIENTS) break;
      if (recipient.state.is !== 'waiting' || recipient.state.nextAttempt > now) continue;
      if (this.leases.length > 0 && this.leased(recipient.index)) continue;
      if (this.message.recipients.length > 1 && !goesTo(recipient, hop)) continue;
      due.push(recipient);
    }
    if (due.length === 0) return undefined;
    const job: Job = { message: this.message, recipients: due, agent: hop.agent, nextHop: hop.name };
    const lease = { entry: this, job, numbers: due.map((recipient) => recipient.index), until };
    this.leases.push(lease);
    return lease;
  }

  /** Takes over new states; recipients that are already finished stay so. @returns those that changed */
  apply(states: Iterable<readonly [number, RecipientState]>): readonly (readonly [number, RecipientState])[] {
    const wanted = new Map(states);
    const changed: [number, RecipientState][] = [];
    const recipients = this.message.recipients.map((recipient) => {
      const state = wanted.get(recipient.index);
      if (!state || isFinal(recipient.state)) return recipient;
      changed.push([recipient.index, state]);
      return { ...recipient, state };
    });
    if (changed.length > 0) this.message = { ...this.message, recipients };
    return changed;
  }

  /** Takes over states as the journal tells them. */
  restore(states: readonly (readonly [number, RecipientState])[]): void {
    const told = new Map(states);
    const recipients = this.message.recipients.map((recipient) => {
      const state = told.get(recipient.index);
      return state ? { ...recipient, state } : recipient;
    });
    this.message = { ...this.message, recipients };
  }

  get finished(): boolean {
    return this.message.recipients.every((recipient) => isFinal(recipient.state));
  }
}

export function isFinal(state: RecipientState): boolean {
  return state.is !== 'waiting' && state.is !== 'held';
}
