import { randomInt } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DurableFiles, OpenFile } from '../lib/durable-file.ts';
import type { Logger } from '../lib/logger.ts';
import { isDiskFull } from '../lib/sqlite.ts';
import { HEADER_SIZE, readHeader, type SegmentHeader } from './segment.ts';

/**
 * The files of the journal: in use, free, and being prepared. A file is written full of zeros once, so that later
 * syncs carry data and no metadata, and then used again and again; its name means nothing, its header says which
 * segment it is. One free file is always kept back for records about mail that we already have.
 */
export interface SegmentFile {
  readonly path: string;
  readonly file: OpenFile;
  readonly size: number;
}

/** A file with the header it was found with. */
export interface FoundSegment extends SegmentFile {
  readonly header: SegmentHeader;
}

/** Kept free: one ready for the next turn, and one in reserve for when the disk is full. */
const FREE = 2;
const RESERVE = 1;
/** The very first segment is small, so that the first start does not wait for the disk. */
const FIRST_SIZE = 2 * 1024 * 1024;
const MIN_SIZE = 1024 * 1024;
/** A new segment takes at most this share of what the disk has left. */
const DISK_SHARE = 16;
const ZEROS = Buffer.alloc(1024 * 1024);

export class SegmentFiles {
  readonly #directory: string;
  readonly #size: number;
  readonly #files: DurableFiles;
  readonly #log: Logger;
  readonly #free: SegmentFile[] = [];
  #nextName = 1;
  #preparing: Promise<void> | undefined;
  #closed = false;

  constructor(directory: string, size: number, files: DurableFiles, log: Logger) {
    this.#directory = directory;
    this.#size = size;
    this.#files = files;
    this.#log = log;
  }

  /**
   * Opens what is there; files without a header are free.
   * @returns the others, oldest segment first
   */
  async open(): Promise<readonly FoundSegment[]> {
    await mkdir(this.#directory, { recursive: true });
    const found: FoundSegment[] = [];
    for (const name of await readdir(this.#directory)) {
      const number = /^(\d{1,9})\.segment$/.exec(name)?.[1];
      if (number === undefined) {
        // A file that was still being prepared.
        if (name.endsWith('.new')) await this.#files.unlink(join(this.#directory, name));
        continue;
      }
      this.#nextName = Math.max(this.#nextName, Number(number) + 1);
      const path = join(this.#directory, name);
      const file = await this.#files.open(path, 'update');
      const size = await file.size();
      const head = Buffer.alloc(HEADER_SIZE);
      const header = (await file.read(head, 0)) === HEADER_SIZE ? readHeader(head) : undefined;
      if (header) found.push({ path, file, size, header });
      else this.#free.push({ path, file, size });
    }
    return found.sort((a, b) => a.header.number - b.header.number);
  }

  /**
   * A file of at least `size` bytes for the next segment. For `new` mail one more than the reserve must be there, or
   * be prepared first; what concerns mail we have (`state`) may take the last one.
   * @throws what the disk says when there is none and none can be made
   */
  async take(purpose: 'new' | 'state', size: number): Promise<SegmentFile> {
    await this.#preparing;
    const first = Math.min(FIRST_SIZE, this.#size);
    const kept = purpose === 'new' ? RESERVE : 0;
    try {
      while (this.#free.length <= RESERVE || !this.#free.some((file) => file.size >= size))
        await this.#prepare(Math.max(this.#nextName <= FREE ? first : this.#size, size), size);
    } catch (error) {
      if (this.#free.length <= kept || !this.#free.some((file) => file.size >= size)) throw error;
      this.#log.warn({ err: error }, 'the queue uses its reserve: no room for another journal segment');
    }
    const [file] = this.#free.splice(
      this.#free.findIndex((candidate) => candidate.size >= size),
      1,
    );
    if (!file) throw new Error('no journal segment');
    this.#prepareSoon();
    return file;
  }

  /** Makes sure that a reserve is there. @throws what the disk says */
  async restore(): Promise<void> {
    await this.#preparing;
    while (this.#free.length < RESERVE) await this.#prepare(this.#size);
  }

  /** True when not even the reserve is left. */
  get short(): boolean {
    return this.#free.length < RESERVE;
  }

  /** Takes back a file that no live record needs any more. Surplus and untrustworthy ones are removed. */
  async recycle(file: SegmentFile, trust: 'good' | 'bad'): Promise<void> {
    if (trust === 'good' && this.#free.length < FREE + 1 && !this.#closed) {
      this.#free.push(file);
      return;
    }
    await file.file.close();
    await this.#files.unlink(file.path);
    // A removed file must not come back after a power cut when later segments, which say it is released, are gone.
    await this.#files.syncDirectory(this.#directory);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#preparing;
    for (const file of this.#free.splice(0)) await file.file.close();
  }

  #prepareSoon(): void {
    if (this.#preparing || this.#closed || this.#free.length >= FREE) return;
    this.#preparing = this.#prepare(this.#size)
      .catch((error: unknown) => {
        // The next take() tries again and then tells its caller.
        if (!isDiskFull(error)) this.#log.warn({ err: error }, 'cannot prepare a journal segment');
      })
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  async #prepare(wanted: number, atLeast = 0): Promise<void> {
    const free = await this.#files.free(this.#directory);
    const share = Math.max(Math.floor(free / DISK_SHARE), MIN_SIZE);
    const size = Math.min(wanted, Math.max(share, atLeast));
    // Asked first: on a full disk every attempt would write until it fails.
    if (free < size) throw Object.assign(new Error(`ENOSPC: ${free} bytes left`), { code: 'ENOSPC' });
    const path = join(this.#directory, `${this.#nextName++}.segment`);
    const unfinished = `${path}.new`;
    await this.#files.unlink(unfinished);
    const file = await this.#files.open(unfinished, 'create');
    try {
      for (let at = 0; at < size; at += ZEROS.length)
        await file.write(ZEROS.subarray(0, Math.min(ZEROS.length, size - at)), at);
      await file.datasync();
      await this.#files.rename(unfinished, path);
      await this.#files.syncDirectory(this.#directory);
    } catch (error) {
      await file.close();
      await this.#files.unlink(unfinished);
      await this.#files.unlink(path);
      throw error;
    }
    this.#free.push({ path, file, size });
  }
}

/** A number that no earlier life of a file is likely to have had; never 0. */
export function randomEpoch(): number {
  return randomInt(1, 0x1_0000_0000);
}
