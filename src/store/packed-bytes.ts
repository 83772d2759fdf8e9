import type { Uid } from './store.ts';

/**
 * Octets of many messages on their way from the store's thread: all in one buffer, because each one that moves costs its
 * own work.
 */
export interface PackedBytes {
  readonly uids: Uint32Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  /** One after the other; there may be room left at the end. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const FIRST = 64 * 1024;

/** Puts them together: who has octets asks for room, writes them there, and says how many they were. */
export class BytesPacker {
  readonly #uids: number[] = [];
  readonly #lengths: number[] = [];
  #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(room: number = FIRST) {
    this.#bytes = new Uint8Array(room);
  }

  /** Octets so far. */
  get size(): number {
    return this.#at;
  }

  /** Where the next octets go, with room for so many from `size` on; until the next call. */
  room(bytes: number): Uint8Array<ArrayBuffer> {
    if (this.#bytes.length - this.#at < bytes) {
      const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#at + bytes));
      grown.set(this.#bytes.subarray(0, this.#at));
      this.#bytes = grown;
    }
    return this.#bytes;
  }

  /** The octets up to `end` are this message's. */
  add(uid: number, end: number): void {
    this.#uids.push(uid);
    this.#lengths.push(end - this.#at);
    this.#at = end;
  }

  packed(): PackedBytes {
    return {
      uids: Uint32Array.from(this.#uids),
      lengths: Uint32Array.from(this.#lengths),
      bytes: this.#bytes,
    };
  }
}

/** What moves. */
export function buffersOf({ uids, lengths, bytes }: PackedBytes): ArrayBuffer[] {
  return [uids.buffer, lengths.buffer, bytes.buffer];
}

export function unpackBytes({ uids, lengths, bytes }: PackedBytes): { uid: Uid; bytes: Uint8Array }[] {
  const found: { uid: Uid; bytes: Uint8Array }[] = [];
  let at = 0;
  for (let i = 0; i < uids.length; i++) {
    const from = at;
    at += lengths[i] ?? 0;
    found.push({ uid: (uids[i] ?? 0) as Uid, bytes: bytes.subarray(from, at) });
  }
  return found;
}

/** As strings of bytes: one conversion for all. */
export function unpackFields({ uids, lengths, bytes }: PackedBytes): { uid: Uid; fields: string }[] {
  const size = lengths.reduce((sum, length) => sum + length, 0);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, size).toString('latin1');
  const found: { uid: Uid; fields: string }[] = [];
  let at = 0;
  for (let i = 0; i < uids.length; i++) {
    const from = at;
    at += lengths[i] ?? 0;
    found.push({ uid: (uids[i] ?? 0) as Uid, fields: text.slice(from, at) });
  }
  return found;
}
