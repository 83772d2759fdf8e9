import type { Logger } from '../lib/logger.ts';
import type { Entry } from './entry.ts';
import { type Journal, segmentEnd, segmentStart } from './journal.ts';
import type { Live } from './live.ts';
import type { QueueId } from './queue.ts';
import type { QueueIndex } from './queue-index.ts';
import { inlineBody, MESSAGE, messageParts } from './record.ts';

/** Segments that may be in use beyond twice what lives in them. */
const SLACK = 4;
/** Messages written anew at a time. */
const BATCH = 16;

/**
 * Keeps the journal short: when the oldest segment is held by a few messages that wait for long, these are written
 * anew, whole and as they are now, at the journal's end, and the segment is free. The journal stays below twice what
 * lives in it plus SLACK segments, so each byte that comes in is copied once at most on average.
 */
export class Compaction {
  readonly #journal: Journal;
  readonly #live: Live;
  readonly #index: QueueIndex;
  readonly #log: Logger;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(journal: Journal, live: Live, index: QueueIndex, log: Logger) {
    this.#journal = journal;
    this.#live = live;
    this.#index = index;
    this.#log = log;
  }

  /** Starts if there is something to do and it does not run already. */
  start(): Promise<void> {
    if (this.#running !== undefined) return this.#running;
    if (this.#closed || this.#journal.toCompact(SLACK) === undefined) return Promise.resolve();
    this.#running = this.#run()
      .catch((error: unknown) => this.#log.warn({ err: error }, 'cannot compact the queue journal'))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let segment = this.#journal.toCompact(SLACK); segment !== undefined; ) {
      const ids = this.#held(segment);
      if (this.#closed || ids.length === 0) return;
      await Promise.all(ids.map((id) => this.#move(id)));
      segment = this.#journal.toCompact(SLACK);
    }
  }

  /** Some of the messages that stand in the segment. */
  #held(segment: number): readonly QueueId[] {
    const ids = new Set<QueueId>();
    for (const entry of this.#live.based(segment)) {
      ids.add(entry.message.id);
      if (ids.size === BATCH) return [...ids];
    }
    const rows = this.#index.based(segmentStart(segment), segmentEnd(segment), BATCH * 2);
    for (const id of rows) {
      // Memory may have it elsewhere already, or know that it is gone: the index hears of both soon.
      if (!this.#live.peek(id) && this.#live.load(id)) ids.add(id);
      if (ids.size === BATCH) break;
    }
    return [...ids];
  }

  async #move(id: QueueId): Promise<void> {
    const entry = this.#live.load(id);
    if (!entry) return;
    entry.pins++;
    try {
      const body = entry.spooled ? 'spooled' : [await readBody(this.#journal, entry)];
      await this.#live.arrive(async () => {
        if (entry.gone) return;
        const parts = messageParts(entry.message, body);
        const written = await this.#journal.append({ type: MESSAGE, parts, purpose: 'state', live: true });
        if (entry.gone) {
          this.#journal.drop(written.position, written.length);
          return;
        }
        const { base, length } = entry;
        entry.base = written.position;
        entry.length = written.length;
        this.#live.changed(entry, written.position, 'soon');
        this.#journal.drop(base, length);
      });
    } finally {
      entry.pins--;
      this.#live.evict(entry);
    }
  }
}

/** The body of a message that stands in the journal. */
export async function readBody(journal: Journal, entry: Pick<Entry, 'base' | 'length'>): Promise<Buffer> {
  for (;;) {
    const { base, length } = entry;
    try {
      return inlineBody(await journal.read(base, length));
    } catch (error) {
      // It was written anew meanwhile, and its old place given away.
      if (entry.base === base) throw error;
    }
  }
}
