import type { Clock } from '../lib/clock.ts';
import { Entry, type Lease } from './entry.ts';
import { type Journal, type Position, segmentOf } from './journal.ts';
import type { QueueId } from './queue.ts';
import type { QueueIndex } from './queue-index.ts';

/** Small bodies of new messages are kept for their first delivery up to this sum; others are read again. */
export const BODY_CACHE: number = 32 * 1024 * 1024;
/** So many new messages wait for their first attempt in memory; what comes on top waits in the index. */
export const MAX_LINED = 10_000;
/** A message that is still there after this goes into the index: a later start need not read so much journal. */
const INDEX_AFTER = 30_000;
/** Messages written into the index at once: some 10 ms of work. */
const BATCH = 100;

/**
 * The messages that are in memory, and their way into the index. There is one Entry for a message or none; what is
 * changed goes into the index in groups, and what finishes before its turn never touches it.
 */
export class Live {
  readonly #entries = new Map<QueueId, Entry>();
  readonly #dirty = new Map<QueueId, Entry>();
  /** Whole messages on their way to the disk: the index is not complete beyond the first of them. */
  readonly #arriving = new Set<{ readonly since: Position }>();
  readonly #leases = new Set<Lease>();
  readonly #journal: Journal;
  readonly #index: QueueIndex;
  readonly #clock: Clock;
  #cached = 0;
  #lined = 0;
  /** The earliest attempt among messages that are not in the index as they are. */
  #parkedDue = Number.POSITIVE_INFINITY;
  #indexDue: number;
  #position = -1;
  /** The highest id so far. The store knows deliveries by it for days: it must not come again. */
  #newest: QueueId | undefined;
  /** The index could not be written: what it says of leases is not true. */
  indexFull = false;

  constructor(journal: Journal, index: QueueIndex, clock: Clock) {
    this.#journal = journal;
    this.#index = index;
    this.#clock = clock;
    this.#indexDue = index.nextDue() ?? Number.POSITIVE_INFINITY;
  }

  /** The message if it is in memory or in the index. It stays in memory until evict() finds nothing to keep it for. */
  load(id: QueueId): Entry | undefined {
    const entry = this.#entries.get(id);
    if (entry) return entry.gone ? undefined : entry;
    if (this.#dirty.get(id)?.gone) return undefined;
    const found = this.#index.get(id);
    if (!found) return undefined;
    const loaded = new Entry(found.message, found, 'indexed');
    this.#entries.set(id, loaded);
    return loaded;
  }

  /** Only looks into memory. */
  peek(id: QueueId): Entry | undefined {
    return this.#entries.get(id);
  }

  /** Ids above `after` of what is in memory, ascending. */
  ids(): readonly QueueId[] {
    return [...this.#entries.keys()].sort();
  }

  /** Messages in memory whose journal record stands in this segment. */
  *based(segment: number): Generator<Entry> {
    for (const entry of this.#entries.values())
      if (!entry.gone && segmentOf(entry.base) === segment) yield entry;
  }

  /** Journal writing of a whole message: until `work` has told about it, the index does not count beyond. */
  async arrive<T>(work: () => Promise<T>): Promise<T> {
    const arriving = { since: this.#journal.tail };
    this.#arriving.add(arriving);
    try {
      return await work();
    } finally {
      this.#arriving.delete(arriving);
    }
  }

  add(entry: Entry, body: Buffer | undefined): void {
    const { id } = entry.message;
    this.#entries.set(id, entry);
    if (this.#newest === undefined || id > this.#newest) this.#newest = id;
    if (!body || this.#cached + body.length > BODY_CACHE) return;
    entry.body = body;
    this.#cached += body.length;
  }

  /** Whether there is room to wait in memory for the first attempt. */
  line(entry: Entry): boolean {
    if (this.#lined >= MAX_LINED) return false;
    this.#lined++;
    entry.lined = true;
    return true;
  }

  unline(entry: Entry): void {
    if (!entry.lined) return;
    entry.lined = false;
    this.#lined--;
  }

  /**
   * The message is not in the index as it is now.
   * @param since a place in the journal not behind the record that tells of the change
   */
  changed(entry: Entry, since: Position, urgency: 'soon' | 'later'): void {
    const { id, recipients } = entry.message;
    entry.dirty ??= { since, at: this.#clock.now().getTime(), urgent: false };
    this.#dirty.set(id, entry);
    if (urgency === 'later') return;
    entry.dirty.urgent = true;
    for (const recipient of recipients) {
      const due = entry.due(recipient);
      if (due !== null) this.#parkedDue = Math.min(this.#parkedDue, due);
    }
  }

  /** Finished or removed. */
  gone(entry: Entry): void {
    const { id } = entry.message;
    entry.gone = true;
    this.#entries.delete(id);
    this.unline(entry);
    for (const lease of entry.leases.splice(0)) this.#leases.delete(lease);
    this.#dropBody(entry);
    if (entry.indexed === 'no') {
      entry.dirty = undefined;
      this.#dirty.delete(id);
    } else this.changed(entry, this.#journal.tail, 'soon');
    this.#journal.drop(entry.base, entry.length);
  }

  addLease(lease: Lease): void {
    this.#leases.add(lease);
  }

  endLease(lease: Lease): void {
    this.#leases.delete(lease);
    const { leases } = lease.entry;
    const index = leases.indexOf(lease);
    if (index >= 0) leases.splice(index, 1);
  }

  /** Leases that ran out: their recipients can be claimed again. */
  expireLeases(now: number): void {
    for (const lease of this.#leases) {
      // All leases are about equally long: those granted later end later.
      if (lease.until > now) return;
      this.endLease(lease);
      this.changed(lease.entry, this.#journal.tail, 'soon');
    }
  }

  get leases(): number {
    return this.#leases.size;
  }

  /** Forgets a message that the index knows as it is and nobody works on. */
  evict(entry: Entry): void {
    if (entry.dirty || entry.leases.length > 0 || entry.pins > 0 || entry.indexed === 'no') return;
    this.unline(entry);
    this.#dropBody(entry);
    this.#entries.delete(entry.message.id);
  }

  get size(): number {
    return this.#entries.size;
  }

  get dirty(): number {
    return this.#dirty.size;
  }

  /** Whether something that the index does not know is due. */
  parkedDue(now: number): boolean {
    return this.#parkedDue <= now;
  }

  indexDue(now: number): boolean {
    return this.#indexDue <= now;
  }

  recountDue(): void {
    this.#indexDue = this.#index.nextDue() ?? Number.POSITIVE_INFINITY;
  }

  get nextDue(): number {
    const [lease] = this.#leases;
    return Math.min(this.#parkedDue, this.#indexDue, lease?.until ?? Number.POSITIVE_INFINITY);
  }

  /**
   * Writes a group of changes into the index. `all` also takes those whose time has not come.
   * @returns whether there is more to write now
   */
  flush(which: 'ripe' | 'all', limit: number = BATCH): boolean {
    const now = this.#clock.now().getTime();
    const entries: Entry[] = [];
    const gone: QueueId[] = [];
    let more = false;
    // What is left out, and what comes after this moment, will have to be read from the journal at the next start.
    let position = this.#journal.tail;
    for (const { since } of this.#arriving) position = Math.min(position, since);
    for (const entry of this.#dirty.values()) {
      if (!entry.dirty) continue;
      const ripe = which === 'all' || entry.dirty.urgent || now - entry.dirty.at >= INDEX_AFTER;
      if (!ripe || entries.length + gone.length >= limit) {
        more ||= ripe;
        position = Math.min(position, entry.dirty.since);
      } else if (entry.gone) gone.push(entry.message.id);
      else entries.push(entry);
    }
    if (entries.length + gone.length > 0 || position !== this.#position)
      this.#index.write(entries, gone, position, this.#newest);
    this.#position = position;
    this.indexFull = false;
    for (const id of gone) this.#dirty.delete(id);
    for (const entry of entries) {
      this.#dirty.delete(entry.message.id);
      entry.dirty = undefined;
      entry.indexed = 'indexed';
      this.evict(entry);
    }
    if (!more) this.#parkedDue = Number.POSITIVE_INFINITY;
    this.recountDue();
    return more;
  }

  #dropBody(entry: Entry): void {
    this.#cached -= entry.body?.length ?? 0;
    entry.body = undefined;
  }
}
