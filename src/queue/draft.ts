import { join } from 'node:path';
import type { DurableFiles, OpenFile } from '../lib/durable-file.ts';
import type { Piece } from '../lib/pieces.ts';
import { isDiskFull } from '../lib/sqlite.ts';
import { type Draft, type NewMessage, QueueFull, type QueueId } from './queue.ts';

/** A message up to this size stays in memory and goes into the journal whole; a bigger one gets a spool file. */
export const INLINE_LIMIT: number = 256 * 1024;
/** What all drafts together may hold in memory; beyond it they go to spool files whatever their size. */
export const DRAFTS_LIMIT: number = 64 * 1024 * 1024;
/** A spool file is written in runs of about this size. */
const SPOOL_RUN = 256 * 1024;

/** Counts the memory that all drafts hold. */
export class DraftBudget {
  readonly inlineLimit: number;
  readonly limit: number;
  used = 0;

  constructor(inlineLimit: number, limit: number) {
    this.inlineLimit = inlineLimit;
    this.limit = limit;
  }
}

/** A body as it goes into the queue: bytes for the journal, or the size of the spool file, which is durable. */
export type DraftBody =
  | { readonly is: 'inline'; readonly chunks: readonly Uint8Array[]; readonly size: number }
  | { readonly is: 'spooled'; readonly size: number };

export interface DraftHome {
  readonly spool: string;
  readonly files: DurableFiles;
  readonly budget: DraftBudget;
  /** Makes the message durable; the draft's work ends there. */
  accept(id: QueueId, message: NewMessage, body: DraftBody): Promise<void>;
}

interface Spool {
  readonly file: OpenFile;
  readonly path: string;
  end: number;
  closed: boolean;
}

/** A message that is being received. It may be aborted until commit() has begun. */
export class QueueDraft implements Draft {
  readonly id: QueueId;
  readonly #home: DraftHome;
  #chunks: Uint8Array[] = [];
  #held = 0;
  #size = 0;
  #spool: Spool | undefined;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #state: 'open' | 'committing' | 'done' = 'open';

  constructor(id: QueueId, home: DraftHome) {
    this.id = id;
    this.#home = home;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#state !== 'open') throw new Error('the draft is closed');
    if (this.#failure) return Promise.reject(this.#failure);
    const { budget } = this.#home;
    this.#chunks.push(chunk);
    this.#held += chunk.length;
    this.#size += chunk.length;
    budget.used += chunk.length;
    const mayStay = !this.#spool && this.#held <= budget.inlineLimit && budget.used <= budget.limit;
    if (mayStay || (this.#spool && this.#held < SPOOL_RUN)) return undefined;
    return this.#write();
  }

  async pieces(): Promise<readonly Piece[]> {
    if (this.#writing === undefined) return [...this.#chunks];
    await this.#write();
    return this.#spool ? [{ path: this.#spool.path, start: 0, end: this.#spool.end }] : [];
  }

  async commit(message: NewMessage): Promise<void> {
    if (this.#state !== 'open') throw new Error('the draft is closed');
    this.#state = 'committing';
    try {
      if (this.#failure) throw this.#failure;
      const body = this.#writing !== undefined ? await this.#finish() : this.#inline();
      await this.#home.accept(this.id, message, body).catch((error: unknown) => {
        // When the disk failed, the record may be there after all at the next start, and then needs its body; if it
        // is not, that start removes the file.
        if (!(refusal(error) instanceof QueueFull)) this.#spool = undefined;
        throw error;
      });
    } catch (error) {
      this.#state = 'open';
      await this.abort();
      throw refusal(error);
    }
    this.#state = 'done';
    this.#forget();
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'done';
    this.#forget();
    await this.#writing?.catch(() => undefined);
    if (!this.#spool) return;
    const { file, path, closed } = this.#spool;
    this.#spool = undefined;
    if (!closed) await file.close().catch(() => undefined);
    await this.#home.files.unlink(path);
  }

  #inline(): DraftBody {
    return { is: 'inline', chunks: this.#chunks, size: this.#size };
  }

  #forget(): void {
    this.#home.budget.used -= this.#held;
    this.#held = 0;
    this.#chunks = [];
  }

  /** One write at a time; what comes meanwhile goes with the next. */
  #write(): Promise<void> {
    this.#writing = (this.#writing ?? Promise.resolve()).then(() => this.#writeHeld());
    // Told to whoever awaits this call, and again to the next one: it must not be lost when nobody does.
    this.#writing.catch((error: unknown) => {
      this.#failure ??= refusal(error);
    });
    return this.#writing;
  }

  async #writeHeld(): Promise<void> {
    if (this.#held === 0) return;
    const bytes = Buffer.concat(this.#chunks);
    this.#forget();
    try {
      this.#spool ??= await this.#open();
      const spool = this.#spool;
      await spool.file.write(bytes, spool.end);
      spool.end += bytes.length;
    } catch (error) {
      throw refusal(error);
    }
  }

  async #open(): Promise<Spool> {
    const path = join(this.#home.spool, this.id);
    return { file: await this.#home.files.open(path, 'create'), path, end: 0, closed: false };
  }

  /** The spool file, whole and durable with its name. */
  async #finish(): Promise<DraftBody> {
    await this.#write();
    const spool = this.#spool;
    if (!spool) throw new Error('the draft has no spool file');
    await spool.file.datasync();
    await this.#home.files.syncDirectory(this.#home.spool);
    spool.closed = true;
    await spool.file.close();
    return { is: 'spooled', size: spool.end };
  }
}

function refusal(error: unknown): unknown {
  return isDiskFull(error) ? new QueueFull('no room for the message', { cause: error }) : error;
}
