import type { Uid } from '../store/store.ts';
import type { Entry } from './maildrop.ts';

/**
 * Clients fetch one message after the other. Those that follow are read in windows, and the next window is asked for
 * while the client still takes this one, so it never waits for the disk. Whoever jumps about reads nothing ahead.
 */

/** What a window may have: so many messages, and so many octets. Two are held at most. */
const WINDOW = 32;
const WINDOW_BYTES = 64 * 1024;

type Messages = Map<Uid, Uint8Array>;

interface Window {
  /** Numbers up to this one were looked at. */
  readonly last: number;
  readonly messages: Promise<Messages>;
}

export class ReadAhead {
  readonly #read: (uids: readonly Uid[]) => AsyncIterable<Iterable<{ uid: Uid; bytes: Uint8Array }>>;
  /** The entry of that number; undefined behind the last one. */
  readonly #entry: (number: number) => Entry | undefined;
  #taken = 0;
  #window: Window | null = null;
  #next: Window | null = null;

  constructor(
    read: (uids: readonly Uid[]) => AsyncIterable<Iterable<{ uid: Uid; bytes: Uint8Array }>>,
    entry: (number: number) => Entry | undefined,
  ) {
    this.#read = read;
    this.#entry = entry;
  }

  /** The message, once; undefined where it is too big, gone, or not in turn, and must be read by itself. */
  async take(entry: Entry): Promise<Uint8Array | undefined> {
    const inTurn = entry.number === this.#taken + 1;
    this.#taken = entry.number;
    if (!inTurn) {
      this.#window = this.#next = null;
      return undefined;
    }
    if (!this.#window || entry.number > this.#window.last) {
      this.#window = this.#next ?? this.#open(entry.number);
      this.#next = this.#open(this.#window.last + 1);
    }
    const messages = await this.#window.messages;
    const bytes = messages.get(entry.uid);
    messages.delete(entry.uid);
    return bytes;
  }

  /** At least one number, however big its message is. */
  #open(first: number): Window {
    const uids: Uid[] = [];
    let bytes = 0;
    let number = first;
    for (; uids.length < WINDOW; number++) {
      const entry = this.#entry(number);
      if (!entry) break;
      bytes += entry.size;
      if (bytes > WINDOW_BYTES) break;
      uids.push(entry.uid);
    }
    // Who then reads the message by itself hears what is wrong.
    const messages = this.#all(uids).catch((): Messages => new Map());
    return { last: Math.max(first, number - 1), messages };
  }

  async #all(uids: readonly Uid[]): Promise<Messages> {
    const messages: Messages = new Map();
    if (uids.length === 0) return messages;
    for await (const batch of this.#read(uids)) for (const { uid, bytes } of batch) messages.set(uid, bytes);
    return messages;
  }
}
