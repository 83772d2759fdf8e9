import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import { ImapNo } from './errors.ts';

/**
 * Where a message that a client uploads waits until the store has it: small ones in memory, others in a file. Line ends
 * become CRLF on the way, for a store holds nothing else, unless more has to be known of a message before. A crash leaves
 * files behind; the next start removes them.
 */

/** Messages up to this size stay in memory. */
const IN_MEMORY = 128 * 1024;
/** All that one command has in memory. */
export const MAX_IN_MEMORY: number = 1024 * 1024;
const PREFIX = 'append-';
/** Files of this process: those of others are left from a crash, for one process owns the directory. */
const OURS = `${PREFIX}${process.pid}-${Math.round(performance.timeOrigin)}-`;
const CR = 0x0d;
const LF = 0x0a;

export interface SpooledMessage {
  readonly raw: RawMessage;
  readonly refusal: ImapNo | null;
  readonly discard: () => Promise<void>;
}

export type Composed = Omit<SpooledMessage, 'refusal'>;

export class Spool {
  readonly #directory: string;
  #ready: Promise<void> | null = null;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Takes all of `octets`, whatever they are: the connection must be read to the literal's end.
   * @param how 'octets': as they are
   * @param room so much may stay in memory
   */
  async keep(
    size: number,
    octets: AsyncIterable<Buffer>,
    how: 'lines' | 'octets' = 'lines',
    room: number = IN_MEMORY,
  ): Promise<SpooledMessage> {
    const ends = how === 'lines' ? new LineEnds() : AS_THEY_ARE;
    if (size <= Math.min(IN_MEMORY, room)) {
      const chunks: Buffer[] = [];
      for await (const chunk of octets) chunks.push(Buffer.from(ends.normalise(chunk)));
      return { raw: rawMessage([Buffer.concat(chunks)]), refusal: ends.refusal, discard: async () => {} };
    }
    const path = join(this.#directory, `${OURS}${randomUUID()}`);
    const discard = (): Promise<void> => rm(path, { force: true });
    let written = 0;
    let failure: unknown;
    const file = await this.#create(path).catch((error: unknown) => {
      failure = error;
      return null;
    });
    try {
      for await (const chunk of octets) {
        // The literal is read to its end all the same, or what is left of it would be taken for commands.
        if (!file || failure !== undefined || ends.refusal) continue;
        const bytes = ends.normalise(chunk);
        try {
          await file.writeFile(bytes);
          written += bytes.length;
        } catch (error) {
          failure = error;
        }
      }
    } catch (error) {
      await discard();
      throw error;
    } finally {
      await file?.close();
    }
    const refusal = failure === undefined ? ends.refusal : noRoom(failure);
    return { raw: rawMessage([{ path, start: 0, end: written }]), refusal, discard };
  }

  /**
   * Puts a message together of what is read elsewhere, which may fail: the reader's error is thrown. Line ends become CRLF.
   * @param limit its size; throws ImapNo when it would be more, or holds NUL
   */
  async compose(
    octets: AsyncIterable<Uint8Array>,
    how: 'lines' | 'octets',
    limit: number,
  ): Promise<Composed> {
    const ends = how === 'lines' ? new LineEnds() : AS_THEY_ARE;
    const path = join(this.#directory, `${OURS}${randomUUID()}`);
    const first: Buffer[] = [];
    let size = 0;
    let file: FileHandle | null = null;
    const discard = (): Promise<void> => (file ? rm(path, { force: true }) : Promise.resolve());
    try {
      for await (const chunk of octets) {
        const bytes = ends.normalise(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
        size += bytes.length;
        if (size > limit) throw new ImapNo(`Messages may have ${limit} octets`, 'TOOBIG');
        if (ends.refusal) throw ends.refusal;
        if (size <= IN_MEMORY) {
          first.push(Buffer.from(bytes));
          continue;
        }
        file ??= await unlessFull(this.#create(path));
        await unlessFull(file.writeFile(Buffer.concat([...first.splice(0), bytes])));
      }
      await file?.close();
    } catch (error) {
      await file?.close();
      await discard();
      throw error;
    }
    return { raw: rawMessage(file ? [{ path, start: 0, end: size }] : [Buffer.concat(first)]), discard };
  }

  async #create(path: string): Promise<FileHandle> {
    this.#ready ??= this.#clean();
    try {
      await this.#ready;
    } catch (error) {
      this.#ready = null;
      throw error;
    }
    return open(path, 'wx', 0o600);
  }

  async #clean(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of await readdir(this.#directory))
      if (name.startsWith(PREFIX) && !name.startsWith(OURS))
        await rm(join(this.#directory, name), { force: true });
  }
}

const AS_THEY_ARE: Pick<LineEnds, 'refusal' | 'normalise'> = { refusal: null, normalise: (chunk) => chunk };

function noRoom(failure: unknown): ImapNo {
  return new ImapNo('No room for the message at the moment, try again later', 'UNAVAILABLE', failure);
}

async function unlessFull<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw noRoom(error);
  }
}

/** Makes every line end CRLF, chunk by chunk; notices NUL, which no message may hold (RFC 9051 4.3.1, RFC 5322 2.2). */
class LineEnds {
  #nul = false;
  #last = 0;

  get refusal(): ImapNo | null {
    return this.#nul ? new ImapNo('The message contains NUL, which cannot be stored', 'UNKNOWN-CTE') : null;
  }

  normalise(chunk: Buffer): Buffer {
    if (chunk.includes(0)) this.#nul = true;
    let bare = 0;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1))
      if ((at === 0 ? this.#last : chunk[at - 1]) !== CR) bare++;
    const previous = this.#last;
    this.#last = chunk.at(-1) ?? previous;
    if (bare === 0) return chunk;
    const out = Buffer.allocUnsafe(chunk.length + bare);
    let to = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (byte === LF && (at === 0 ? previous : chunk[at - 1]) !== CR) out[to++] = CR;
      out[to++] = byte;
    }
    return out;
  }
}
