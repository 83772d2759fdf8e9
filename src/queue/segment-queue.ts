import { join } from 'node:path';
import type { AccountId } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import { type DurableFiles, diskFiles } from '../lib/durable-file.ts';
import type { Logger } from '../lib/logger.ts';
import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import { claimJobs } from './claims.ts';
import { Compaction, readBody } from './compaction.ts';
import { DRAFTS_LIMIT, type DraftBody, DraftBudget, INLINE_LIMIT, QueueDraft } from './draft.ts';
import { Entry, isFinal } from './entry.ts';
import type { Journal, NewRecord } from './journal.ts';
import type { Live } from './live.ts';
import { nextHops } from './next-hop.ts';
import type {
  Capacity,
  Draft,
  Job,
  NewMessage,
  QueuedMessage,
  QueueId,
  QueueStore,
  RecipientState,
  Settlement,
} from './queue.ts';
import { QueueIds } from './queue-id.ts';
import type { QueueIndex } from './queue-index.ts';
import { Ready } from './ready.ts';
import { GONE, goneParts, MESSAGE, messageParts, STATES, statesParts } from './record.ts';
import { type QueueParts, recover } from './recovery.ts';
import { Room } from './room.ts';

export interface SegmentQueueOptions {
  /** Holds journal/, spool/ and index.sqlite; made if need be. */
  readonly directory: string;
  readonly segmentSize?: number;
  readonly inlineLimit?: number;
  readonly draftsLimit?: number;
}

export interface SegmentQueueDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly files?: DurableFiles;
}

/** One life of a journal file: big enough that turning to the next is rare, small enough for a small disk. */
const SEGMENT_SIZE = 16 * 1024 * 1024;
/** Changes go into the index in groups this far apart. */
const INDEX_MS = 300;

/**
 * The queue in a journal: a message is durable by one record, mostly shared by one sync with others; the way to a
 * mailbox here is that record, a claim from memory and a record that it is done. See README.md for what is on the disk
 * after each step.
 */
export class SegmentQueue implements QueueStore {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #files: DurableFiles;
  readonly #journal: Journal;
  readonly #index: QueueIndex;
  readonly #live: Live;
  readonly #spool: string;
  readonly #ids: QueueIds;
  readonly #ready = new Ready();
  readonly #compaction: Compaction;
  readonly #budget: DraftBudget;
  readonly #listeners: (() => void)[] = [];
  readonly #closing = new AbortController();
  #ticking = false;

  private constructor(
    options: SegmentQueueOptions,
    deps: Required<SegmentQueueDeps>,
    parts: QueueParts,
    ids: QueueIds,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#files = deps.files;
    this.#journal = parts.journal;
    this.#index = parts.index;
    this.#live = parts.live;
    this.#spool = parts.spool;
    this.#ids = ids;
    this.#budget = new DraftBudget(options.inlineLimit ?? INLINE_LIMIT, options.draftsLimit ?? DRAFTS_LIMIT);
    this.#compaction = new Compaction(this.#journal, this.#live, this.#index, this.#log);
  }

  /**
   * Opens the queue and recovers what was accepted before.
   * @throws NewerFormat
   */
  static async open(options: SegmentQueueOptions, deps: SegmentQueueDeps): Promise<SegmentQueue> {
    const ids = new QueueIds(deps.clock);
    const all = { files: diskFiles, ...deps };
    const recovery = { directory: options.directory, segmentSize: options.segmentSize ?? SEGMENT_SIZE };
    const parts = await recover(recovery, all, ids);
    return new SegmentQueue(options, all, parts, ids);
  }

  draft(): Draft {
    return new QueueDraft(this.#ids.next(), {
      spool: this.#spool,
      files: this.#files,
      budget: this.#budget,
      accept: (id, message, body) => this.#accept(id, message, body),
    });
  }

  async claim(now: number, lease: number, limit: number, capacity?: Capacity): Promise<readonly Job[]> {
    const sources = { live: this.#live, index: this.#index, ready: this.#ready };
    return claimJobs(sources, { now, until: lease }, limit, new Room(limit, capacity));
  }

  async settle(job: Job, outcomes: readonly Settlement[]): Promise<void> {
    const { id } = job.message;
    const entry = this.#live.load(id);
    // Removed by an administrator meanwhile.
    if (!entry) return;
    const lease = entry.leases.find((one) => one.job === job);
    if (lease) this.#live.endLease(lease);
    const changed = entry.apply(
      outcomes
        .filter(({ index, state }) => isFinal(state) || (lease && !isHeld(entry, index)))
        .map(({ index, state }) => [index, state] as const),
    );
    // Nobody waits for the record of mail that is in a mailbox here: a second delivery would find it there.
    const here = job.agent === 'local' && outcomes.every(({ state }) => state.is === 'delivered');
    const durable = entry.finished
      ? this.#end(entry, here ? 'lazy' : 'now')
      : this.#settled(entry, job, changed);
    if (here)
      durable.catch((error: unknown) => this.#log.error({ qid: id, err: error }, 'cannot note a delivery'));
    else await durable;
  }

  async get(id: QueueId): Promise<QueuedMessage | undefined> {
    const entry = this.#live.load(id);
    if (entry) this.#live.evict(entry);
    return entry?.message;
  }

  async raw(id: QueueId): Promise<RawMessage> {
    const entry = this.#live.load(id);
    if (!entry) throw new Error(`no message ${id} in the queue`);
    if (entry.body) return rawMessage([entry.body]);
    if (entry.spooled) {
      this.#live.evict(entry);
      return rawMessage([{ path: join(this.#spool, id), start: 0, end: entry.message.size }]);
    }
    entry.pins++;
    try {
      return rawMessage([await readBody(this.#journal, entry)]);
    } finally {
      entry.pins--;
      this.#live.evict(entry);
    }
  }

  async *list(
    filter: { readonly domain?: string; readonly account?: AccountId } = {},
  ): AsyncGenerator<QueuedMessage> {
    // What changes meanwhile may be missed or told of; nothing is told of twice.
    const inMemory = this.#live.ids();
    let next = 0;
    let after = '';
    for (;;) {
      const page = this.#index.ids(after, filter);
      const last = page.at(-1);
      const known = new Set(page);
      while (next < inMemory.length && (last === undefined || (inMemory[next] ?? '') <= last))
        known.add(inMemory[next++] as QueueId);
      for (const id of [...known].sort()) {
        const message = await this.get(id);
        if (message && matches(message, filter)) yield message;
      }
      if (last === undefined) return;
      after = last;
    }
  }

  async retry(id?: QueueId): Promise<number> {
    const now = this.#clock.now().getTime();
    let count = 0;
    for (const one of id === undefined ? this.#live.ids() : [id]) {
      const entry = this.#live.load(one);
      if (!entry) continue;
      // Not in the journal: after a crash the old times are good enough.
      const later = waiting(entry).filter(
        ({ index, state }) => state.nextAttempt > now && !entry.leased(index),
      );
      count += later.length;
      entry.apply(later.map(({ index, state }) => [index, { ...state, nextAttempt: now }]));
      if (later.length > 0) this.#live.changed(entry, this.#journal.tail, 'soon');
      else this.#live.evict(entry);
    }
    if (id === undefined) {
      while (this.#live.flush('ripe'));
      count += this.#index.retryAll(now);
      this.#live.recountDue();
    }
    this.#tick();
    this.#announce();
    return count;
  }

  async hold(id: QueueId, reason: string): Promise<boolean> {
    const entry = this.#live.load(id);
    if (!entry) return false;
    const held = waiting(entry).map(({ index, state: { attempts, last } }) => {
      const state: RecipientState = { is: 'held', attempts, reason, ...(last && { last }) };
      return [index, state] as const;
    });
    await this.#change(entry, held);
    return true;
  }

  async release(id: QueueId): Promise<boolean> {
    const entry = this.#live.load(id);
    if (!entry) return false;
    const nextAttempt = this.#clock.now().getTime();
    const released: [number, RecipientState][] = [];
    for (const { index, state } of entry.message.recipients) {
      if (state.is !== 'held') continue;
      const { attempts, last } = state;
      released.push([index, { is: 'waiting', attempts, nextAttempt, ...(last && { last }) }]);
    }
    await this.#change(entry, released);
    this.#announce();
    return true;
  }

  async remove(id: QueueId): Promise<boolean> {
    const entry = this.#live.load(id);
    if (!entry) return false;
    await this.#end(entry, 'now');
    return true;
  }

  async nextDue(): Promise<number | undefined> {
    if (!this.#ready.empty) return this.#clock.now().getTime();
    const { nextDue } = this.#live;
    return Number.isFinite(nextDue) ? nextDue : undefined;
  }

  /** Messages held in memory, for the metrics. */
  get inMemory(): number {
    return this.#live.size;
  }

  onReady(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Everything known is on the disk when this resolves. Nothing may be called afterwards. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#compaction.close();
    await this.#journal.close();
    try {
      while (this.#live.dirty > 0) this.#live.flush('all');
      this.#index.close();
    } catch (error) {
      // The journal has it all.
      this.#log.warn({ err: error }, 'cannot complete the queue index');
      this.#index.abandon();
    }
  }

  async #accept(id: QueueId, message: NewMessage, body: DraftBody): Promise<void> {
    const queuedAt = this.#clock.now().getTime();
    const queued: QueuedMessage = {
      ...message,
      id,
      queuedAt,
      size: body.size,
      finalTrace: message.finalTrace ?? 0,
      recipients: message.recipients.map((recipient, index) => ({
        ...recipient,
        index,
        state: { is: 'waiting', attempts: 0, nextAttempt: queuedAt },
      })),
    };
    const inline = body.is === 'inline' ? body.chunks : 'spooled';
    await this.#live.arrive(async () => {
      const { position, length } = await this.#journal.append({
        type: MESSAGE,
        parts: messageParts(queued, inline),
        // A bounce is about mail that we already have, and lets it go.
        purpose: message.source === 'dsn' ? 'state' : 'new',
        live: true,
      });
      const spooled = body.is === 'spooled';
      const entry = new Entry(queued, { base: position, length, spooled }, 'no');
      this.#live.add(entry, body.is === 'inline' ? Buffer.concat(body.chunks) : undefined);
      const lined = this.#live.line(entry);
      this.#live.changed(entry, position, lined ? 'later' : 'soon');
      if (lined) for (const hop of nextHops(queued)) this.#ready.add(entry, hop);
    });
    this.#tick();
    this.#announce();
  }

  /** After an attempt at some recipients, while others wait, or these again. */
  #settled(entry: Entry, job: Job, changed: readonly (readonly [number, RecipientState])[]): Promise<void> {
    const done = changed.every(([, state]) => isFinal(state));
    // In line it stays when only some are done: the others have their turn soon.
    if (changed.length < job.recipients.length && entry.lined)
      this.#ready.add(entry, { agent: job.agent, name: job.nextHop });
    this.#live.changed(entry, this.#journal.tail, entry.lined && done ? 'later' : 'soon');
    this.#tick();
    return this.#note(entry, changed, job.agent === 'local' && done ? 'lazy' : 'now');
  }

  async #change(entry: Entry, states: readonly (readonly [number, RecipientState])[]): Promise<void> {
    const changed = entry.apply(states);
    // Marked before the record is written: the index is not to count beyond it without the change.
    if (changed.length > 0) this.#live.changed(entry, this.#journal.tail, 'soon');
    else this.#live.evict(entry);
    this.#tick();
    await this.#note(entry, changed, 'now');
  }

  /** Writes changed states; resolves when they are durable. */
  async #note(
    entry: Entry,
    changed: readonly (readonly [number, RecipientState])[],
    urgency: 'now' | 'lazy',
  ): Promise<void> {
    if (changed.length === 0) return;
    const parts = statesParts(entry.message.id, changed);
    await this.#append({ type: STATES, parts, purpose: 'state' }, urgency);
  }

  /** Finished or removed: resolves when that is durable, and only then the spool file goes. */
  async #end(entry: Entry, urgency: 'now' | 'lazy'): Promise<void> {
    const { id } = entry.message;
    this.#live.gone(entry);
    if (entry.indexed === 'indexed') this.#tick();
    await this.#append({ type: GONE, parts: goneParts(id), purpose: 'state' }, urgency);
    if (entry.spooled) await this.#files.unlink(join(this.#spool, id));
  }

  #append(record: NewRecord, urgency: 'now' | 'lazy'): Promise<unknown> {
    return urgency === 'now' ? this.#journal.append(record) : this.#journal.appendLazily(record);
  }

  #announce(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Writes the index, and compacts, after a while. */
  #tick(): void {
    if (this.#ticking || this.#closing.signal.aborted) return;
    this.#ticking = true;
    this.#clock.sleep(INDEX_MS, this.#closing.signal).then(
      () => this.#work(),
      () => undefined,
    );
  }

  async #work(): Promise<void> {
    try {
      while (!this.#closing.signal.aborted && this.#live.flush('ripe'))
        await new Promise<void>((resolve) => setImmediate(resolve));
    } catch (error) {
      // Everything stays in memory and in the journal until it works again.
      this.#log.error({ err: error }, 'cannot write the queue index');
    }
    this.#ticking = false;
    if (this.#closing.signal.aborted) return;
    void this.#compaction.start();
    if (this.#live.dirty > 0) this.#tick();
  }
}

function waiting(
  entry: Entry,
): { readonly index: number; readonly state: Extract<RecipientState, { is: 'waiting' }> }[] {
  return entry.message.recipients.flatMap(({ index, state }) =>
    state.is === 'waiting' ? [{ index, state }] : [],
  );
}

/** Held while it was being delivered: a later attempt must not follow from that. */
function isHeld(entry: Entry, index: number): boolean {
  return entry.message.recipients[index]?.state.is === 'held';
}

function matches(
  message: QueuedMessage,
  { domain, account }: { readonly domain?: string; readonly account?: AccountId },
): boolean {
  const { recipients, from } = message;
  if (
    domain !== undefined &&
    from?.domain !== domain &&
    !recipients.some((one) => one.address.domain === domain)
  )
    return false;
  return (
    account === undefined || message.account === account || recipients.some((one) => one.account === account)
  );
}
