import type { Clock } from '../lib/clock.ts';
import type { DurableFiles } from '../lib/durable-file.ts';
import type { Logger } from '../lib/logger.ts';
import { isDiskFull } from '../lib/sqlite.ts';
import { QueueFull } from './queue.ts';
import {
  HEADER_SIZE,
  RECORD_HEAD,
  readRecord,
  type SegmentHeader,
  scanRecords,
  sealRecord,
  writeHeader,
} from './segment.ts';
import { randomEpoch, type SegmentFile, SegmentFiles } from './segment-files.ts';

/**
 * An append-only journal of records in preallocated segments. What waits is written in one go and synced once; then,
 * and only then, all its writers hear that it is durable. After a failed write or sync nothing of that group counts
 * and the file is never written again. Segments are given back oldest first, when no live record is in them.
 */
export interface JournalOptions {
  readonly directory: string;
  readonly segmentSize: number;
}

export interface JournalDeps {
  readonly files: DurableFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A record's place for ever, in the order of writing: segment number and offset in one number. */
export type Position = number;

export interface JournalRecord {
  readonly type: number;
  readonly payload: Buffer;
  readonly position: Position;
  /** With its head, as it counts for the segment. */
  readonly length: number;
}

export interface NewRecord {
  readonly type: number;
  readonly parts: readonly Uint8Array[];
  /** `new` mail fails at once when the disk does; `state` of mail that we have goes on in a fresh segment. */
  readonly purpose: 'new' | 'state';
  /** A live record holds its segment until drop(). */
  readonly live?: true;
}

export interface Written {
  readonly position: Position;
  readonly length: number;
}

interface Waiting {
  readonly record: NewRecord;
  readonly length: number;
  urgency: 'now' | 'lazy';
  readonly done: Promise<Written>;
  attempts: number;
  resolve(written: Written): void;
  reject(error: unknown): void;
}

interface Segment extends SegmentFile {
  readonly header: SegmentHeader;
  /** Up to here all is acknowledged. */
  end: number;
  /** After a failed sync the file may hold anything (or nothing) behind `end`, and is not used again. */
  trust: 'good' | 'bad';
  /** Taken from the reserve: not for new mail. */
  reserve: boolean;
  live: number;
  liveBytes: number;
}

/** Offsets take 27 bits of a position, the segment number the 26 above: 67 million segments. */
const OFFSET_RANGE = 2 ** 27;
/** More than this is not collected for one write. */
const MAX_GROUP = 8 * 1024 * 1024;
/** How long a record that nobody waits for may wait for company. */
const LAZY_MS = 50;
const STATE_ATTEMPTS = 3;
/** Written by the journal itself: all segments before the number in it are given back. */
const RELEASED = 0;

export function segmentOf(position: Position): number {
  return Math.floor(position / OFFSET_RANGE);
}

/** All positions in a segment are from here … */
export function segmentStart(segment: number): Position {
  return positionOf(segment, 0);
}

/** … to before here. */
export function segmentEnd(segment: number): Position {
  return positionOf(segment + 1, 0);
}

function positionOf(segment: number, offset: number): Position {
  return segment * OFFSET_RANGE + offset;
}

export class Journal {
  readonly #files: SegmentFiles;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** In use, oldest first; the last one is written to. */
  readonly #segments: Segment[] = [];
  #active: Segment | undefined;
  #lastNumber = 0;
  /** Given back so far: segments before this one. */
  #first = 1;
  readonly #released: Segment[] = [];
  #waiting: Waiting[] = [];
  /** How many of them somebody is waiting for. */
  #urgent = 0;
  #inFlight: readonly Waiting[] = [];
  /** Where replay is; undefined once appending may begin. */
  #replayed: Position | undefined = 0;
  #full = false;
  #running: Promise<void> | undefined;
  #lazy: AbortController | undefined;
  #group: Buffer = Buffer.alloc(256 * 1024);
  #closed = false;

  private constructor(files: SegmentFiles, deps: JournalDeps) {
    this.#files = files;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  /**
   * Opens the journal in its directory, made if need be. Then comes replay(), retain() for what lives, ready(); before
   * that nothing may be appended.
   * @throws NewerFormat
   */
  static async open(options: JournalOptions, deps: JournalDeps): Promise<Journal> {
    if (options.segmentSize > OFFSET_RANGE) throw new RangeError('segmentSize is over 128 MB');
    const files = new SegmentFiles(options.directory, options.segmentSize, deps.files, deps.log);
    const journal = new Journal(files, deps);
    for (const found of await files.open()) {
      // What a killed process left in the page cache counts as written: make it so before acting on it.
      await found.file.datasync();
      journal.#segments.push({
        ...found,
        end: HEADER_SIZE,
        trust: 'good',
        reserve: false,
        live: 0,
        liveBytes: 0,
      });
      journal.#lastNumber = found.header.number;
    }
    return journal;
  }

  /**
   * All records behind `after`, in the order of writing. Whether a segment was given back may be told later than its
   * old records are: when it is over, what stands before `firstPosition` does not count.
   */
  async *replay(after: Position): AsyncGenerator<JournalRecord> {
    // Should the journal be younger than the index (restored, lost), its new records must still come after it.
    if (!this.#segment(after)) {
      const used = after % OFFSET_RANGE > HEADER_SIZE ? 0 : 1;
      this.#lastNumber = Math.max(this.#lastNumber, segmentOf(after) - used);
    }
    for (const [index, segment] of this.#segments.entries()) {
      const next = this.#segments[index + 1];
      const known = next?.header.number === segment.header.number + 1;
      const limit = known ? next.header.previousEnd : segment.size;
      const from = segmentOf(after) === segment.header.number ? after % OFFSET_RANGE : HEADER_SIZE;
      if (segment.header.number < segmentOf(after)) {
        segment.end = limit;
        continue;
      }
      yield* this.#replaySegment(segment, Math.min(limit, segment.size), from);
      if (known && segment.end < limit) this.#damaged(segment, segment.end, limit);
    }
  }

  async *#replaySegment(segment: Segment, limit: number, from: number): AsyncGenerator<JournalRecord> {
    const bytes = Buffer.alloc(limit);
    await segment.file.read(bytes, 0);
    segment.end = Math.max(from, HEADER_SIZE);
    const damaged = (start: number, end: number): void => this.#damaged(segment, start, end);
    for (const record of scanRecords(bytes, segment.end, segment.header, damaged)) {
      segment.end = record.end;
      if (record.type === RELEASED) {
        this.#first = Math.max(this.#first, Number(record.payload.readBigUInt64LE()));
        continue;
      }
      const position = positionOf(segment.header.number, record.start);
      this.#replayed = position;
      yield { type: record.type, payload: record.payload, position, length: record.end - record.start };
    }
  }

  #damaged(segment: Segment, start: number, end: number): void {
    segment.trust = 'bad';
    const { path, header } = segment;
    this.#log.error({ segment: header.number, path, start, end }, 'damaged stretch in the queue journal');
  }

  /** The oldest segment that was not given back: live records stand in it or later. */
  get first(): number {
    return Math.max(this.#first, this.#segments[0]?.header.number ?? 1);
  }

  /** What stood before this place is given back. */
  get firstPosition(): Position {
    return positionOf(this.first, 0);
  }

  /** After replay: says which records live. */
  retain(position: Position, bytes: number, count = 1): void {
    const segment = this.#segment(position);
    if (!segment) return;
    segment.live += count;
    segment.liveBytes += bytes;
  }

  /** The record is not needed any more; its segment may go. */
  drop(position: Position, bytes: number): void {
    // During replay nothing is counted yet.
    if (this.#replayed !== undefined) return;
    const segment = this.#segment(position);
    if (!segment) return;
    segment.live--;
    segment.liveBytes -= bytes;
    if (segment.live === 0) this.#release();
  }

  /** Replay is over and retain() was told of all that lives: appending may begin. */
  async ready(): Promise<void> {
    this.#replayed = undefined;
    for (const segment of this.#segments.filter((old) => old.header.number < this.first)) {
      this.#segments.splice(this.#segments.indexOf(segment), 1);
      await this.#files.recycle(segment, segment.trust);
    }
    const last = this.#segments.at(-1);
    // Behind a damaged stretch or a torn end we do not write on.
    if (last && last.trust === 'good' && last.end < last.size) this.#active = last;
    this.#release();
  }

  /** Resolves when the record is durable. @throws QueueFull, or what the disk said */
  append(record: NewRecord): Promise<Written> {
    return this.#enqueue(record, 'now');
  }

  /** As append, but nobody is waiting for it: goes along with others, soon. */
  appendLazily(record: NewRecord): Promise<Written> {
    return this.#enqueue(record, 'lazy');
  }

  /** Resolves when all that was appended before is durable, or was refused. */
  async flush(): Promise<void> {
    for (const one of this.#waiting) one.urgency = 'now';
    this.#urgent = this.#waiting.length;
    const all = [...this.#inFlight, ...this.#waiting];
    if (this.#urgent > 0) void this.#start();
    await Promise.allSettled(all.map((one) => one.done));
  }

  /** Nothing that is appended from now on will stand before this place; during replay, nothing that is still to come. */
  get tail(): Position {
    if (this.#replayed !== undefined) return this.#replayed;
    return this.#active ? positionOf(this.#active.header.number, this.#active.end) : this.#nextPosition();
  }

  #nextPosition(): Position {
    return positionOf(this.#lastNumber + 1, HEADER_SIZE);
  }

  /** The payload of a record that is still there. @throws when its segment is gone or it is damaged */
  async read(position: Position, length: number): Promise<Buffer> {
    const segment = this.#segment(position);
    if (!segment) throw new Error(`journal record ${position} is gone`);
    const buffer = Buffer.allocUnsafeSlow(length);
    await segment.file.read(buffer, position % OFFSET_RANGE);
    const record = readRecord(buffer, 0, segment.header);
    if (!record) throw new Error(`journal record ${position} is damaged or gone`);
    return record.payload;
  }

  /**
   * The segment whose live records should be written anew, so that the journal stays below twice what lives in it
   * plus a few segments; undefined when all is well.
   */
  toCompact(slack: number): number | undefined {
    const [oldest] = this.#segments;
    if (!oldest || oldest === this.#active || this.#segments.length <= slack || this.#files.short)
      return undefined;
    let bytes = 0;
    let live = 0;
    for (const segment of this.#segments) {
      bytes += segment.size;
      live += segment.liveBytes;
    }
    const average = bytes / this.#segments.length;
    return bytes - slack * average > 2 * live ? oldest.header.number : undefined;
  }

  /** How many segments are in use. */
  get segments(): number {
    return this.#segments.length;
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    // What releasing segments appended meanwhile.
    await this.flush();
    await this.#running;
    this.#lazy?.abort();
    await this.#files.close();
    for (const segment of [...this.#segments, ...this.#released]) await segment.file.close();
  }

  #segment(position: Position): Segment | undefined {
    const number = segmentOf(position);
    const [oldest] = this.#segments;
    if (!oldest) return undefined;
    const guess = this.#segments[number - oldest.header.number];
    return guess?.header.number === number
      ? guess
      : this.#segments.find((segment) => segment.header.number === number);
  }

  #enqueue(record: NewRecord, urgency: 'now' | 'lazy'): Promise<Written> {
    if (this.#closed) return Promise.reject(new Error('the journal is closed'));
    let length = RECORD_HEAD;
    for (const part of record.parts) length += part.length;
    if (length > OFFSET_RANGE / 2) return Promise.reject(new RangeError('record too large for the journal'));
    const { promise, resolve, reject } = Promise.withResolvers<Written>();
    this.#waiting.push({ record, length, urgency, done: promise, attempts: 0, resolve, reject });
    if (urgency === 'lazy') this.#startLazily();
    else {
      this.#urgent++;
      void this.#start();
    }
    return promise;
  }

  #startLazily(): void {
    if (this.#running || this.#lazy) return;
    this.#lazy = new AbortController();
    this.#clock.sleep(LAZY_MS, this.#lazy.signal).then(
      () => this.#start(),
      () => undefined,
    );
  }

  #start(): Promise<void> {
    this.#lazy?.abort();
    this.#lazy = undefined;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#urgent > 0) void this.#start();
      else if (this.#waiting.length > 0) this.#startLazily();
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    // Whoever commits in this turn of the event loop shares the first write.
    await new Promise<void>((resolve) => setImmediate(resolve));
    do {
      const [first] = this.#waiting;
      const segment = first && (await this.#room(first));
      if (segment) await this.#writeGroup(segment);
    } while (this.#urgent > 0);
  }

  /** The segment that the next group goes to; undefined when there is none and somebody was told so. */
  async #room(first: Waiting): Promise<Segment | undefined> {
    const { purpose } = first.record;
    const active = this.#active;
    try {
      if (active && active.end + first.length <= active.size) {
        if (purpose === 'state' || !active.reserve) return active;
        // The reserve stays untouched by new mail until there is another one.
        await this.#files.restore();
        active.reserve = false;
        return active;
      }
      const file = await this.#files.take(purpose, HEADER_SIZE + first.length);
      if (this.#full && !this.#files.short) this.#log.info({}, 'the queue has room again');
      this.#full = this.#files.short;
      return this.#begin(file);
    } catch (error) {
      if (!this.#full) this.#log.error({ err: error }, 'no room for new mail in the queue');
      this.#full = true;
      // New mail is refused together; what concerns mail we have may still fit into the reserve.
      this.#refuse(this.#waiting, purpose === 'new' ? 'new' : 'all', refusal(error));
      return undefined;
    }
  }

  #begin(file: SegmentFile): Segment {
    const header: SegmentHeader = {
      number: ++this.#lastNumber,
      epoch: randomEpoch(),
      previousEnd: this.#segments.at(-1)?.end ?? 0,
    };
    const reserve = this.#files.short;
    const segment: Segment = { ...file, header, end: 0, trust: 'good', reserve, live: 0, liveBytes: 0 };
    this.#segments.push(segment);
    this.#active = segment;
    return segment;
  }

  #refuse(waiting: readonly Waiting[], which: 'new' | 'all', error: Error): void {
    this.#waiting = [];
    this.#urgent = 0;
    for (const one of waiting) {
      if (which === 'all' || one.record.purpose === 'new') one.reject(error);
      else {
        this.#waiting.push(one);
        if (one.urgency === 'now') this.#urgent++;
      }
    }
  }

  async #writeGroup(segment: Segment): Promise<void> {
    const start = segment.end;
    let end = start === 0 ? HEADER_SIZE : start;
    let count = 0;
    for (const { length, record, urgency } of this.#waiting) {
      if (end + length > segment.size || (count > 0 && end + length - start > MAX_GROUP)) break;
      if (segment.reserve && record.purpose === 'new') break;
      end += length;
      count++;
      if (urgency === 'now') this.#urgent--;
    }
    const group = this.#waiting.splice(0, count);
    this.#inFlight = group;
    const bytes = this.#fill(group, segment, start, end);
    try {
      await segment.file.write(bytes, start);
      await segment.file.datasync();
    } catch (error) {
      this.#inFlight = [];
      this.#failed(group, segment, error);
      return;
    }
    this.#inFlight = [];
    segment.end = end;
    let at = start === 0 ? HEADER_SIZE : start;
    for (const one of group) {
      if (one.record.live) {
        segment.live++;
        segment.liveBytes += one.length;
      }
      one.resolve({ position: positionOf(segment.header.number, at), length: one.length });
      at += one.length;
    }
    // A segment whose records all died while a later one was begun has nobody else to release it.
    if (start === 0) this.#release();
  }

  /** Header, where it is the first write, and all records of the group as one run of bytes. */
  #fill(group: readonly Waiting[], segment: Segment, start: number, end: number): Buffer {
    if (this.#group.length < end - start)
      this.#group = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(end - start)));
    const bytes = this.#group.subarray(0, end - start);
    let at = 0;
    if (start === 0) {
      writeHeader(bytes, segment.header);
      at = HEADER_SIZE;
    }
    for (const { record, length } of group) {
      let to = at + RECORD_HEAD;
      for (const part of record.parts) {
        bytes.set(part, to);
        to += part.length;
      }
      sealRecord(bytes, at, record.type, length - RECORD_HEAD, segment.header);
      at = to;
    }
    return bytes;
  }

  /**
   * After a failed sync the kernel may have dropped the pages and call the next sync a success: the segment is left
   * as it was before this group, and its successor's header says so (`previousEnd`).
   */
  #failed(group: readonly Waiting[], segment: Segment, error: unknown): void {
    this.#log.error({ err: error, path: segment.path }, 'cannot write the queue journal');
    segment.trust = 'bad';
    this.#active = undefined;
    const refused = refusal(error);
    const again: Waiting[] = [];
    for (const one of group) {
      if (one.record.purpose === 'new' || ++one.attempts >= STATE_ATTEMPTS) one.reject(refused);
      else again.push(one);
    }
    this.#waiting.unshift(...again);
    this.#urgent += again.filter((one) => one.urgency === 'now').length;
  }

  /** Gives back the oldest segments in which nothing lives. */
  #release(): void {
    let given = false;
    for (;;) {
      const [oldest] = this.#segments;
      if (!oldest || oldest.live > 0 || oldest === this.#active || this.#segments.length === 1) break;
      this.#segments.shift();
      this.#released.push(oldest);
      given = true;
    }
    if (!given || this.#closed) return;
    const first = Buffer.alloc(8);
    first.writeBigUInt64LE(BigInt(this.first));
    const files = [...this.#released];
    // The file is used again only when it is durable that its records are dead: else a later power cut in the middle
    // of that could leave an old record alive whose end was in a segment already overwritten.
    this.appendLazily({ type: RELEASED, parts: [first], purpose: 'state' }).then(
      () => this.#recycle(files),
      (error: unknown) => this.#log.warn({ err: error }, 'cannot release journal segments'),
    );
  }

  async #recycle(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      const index = this.#released.indexOf(segment);
      if (index < 0 || this.#closed) continue;
      this.#released.splice(index, 1);
      try {
        await this.#files.recycle(segment, segment.trust);
      } catch (error) {
        this.#log.warn({ err: error, path: segment.path }, 'cannot recycle a journal segment');
      }
    }
  }
}

function refusal(error: unknown): Error {
  return isDiskFull(error)
    ? new QueueFull('no room for the queue journal', { cause: error })
    : new Error('the queue journal cannot be written', { cause: error });
}
