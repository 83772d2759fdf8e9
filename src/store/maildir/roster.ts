import { AT, type PackedMessages, packRows, STRIDE } from '../packed-messages.ts';
import type { StoredChange } from './account.ts';
import { SEEN } from './flags.ts';
import type { Folder } from './folder.ts';
import { type Index, StrangeIndex } from './index.ts';

/**
 * What sessions are told of a folder's messages, kept in memory while they ask: the UIDs of all, and, from the lowest
 * on as far as somebody wanted them, rows ready to be sent. Equal to the table `messages` at any time: filled from it,
 * and changed by each committed change as it is announced. Who changes rows without announcing it drops the roster.
 */

type Added = Extract<StoredChange, { readonly messages: PackedMessages }>;

/** Rows read from the index in one go. */
const STRETCH = 5000;
/** For fewer messages than this the index is asked, too; but not more often than this. */
const FEW = 64;
const OFTEN = 3;
/** From this many messages beyond the rows that are here, the index is asked instead. */
const FAR = 2 * STRETCH;
/** Bytes of a thread's rosters together: the rows of a million messages; of more only the UIDs are kept. */
const MAX_BYTES = 72 * 1024 * 1024;

/** Rosters grow as they are read; what they take together is looked at once in so many uses. */
const LOOK = 16;

type Numbers = [number, number, number, number, number, number, number, number];
const ROWS =
  'SELECT id, modseq, flags, internal_date, saved_date, size, email_high, email_low FROM messages ' +
  'WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?';

export class Roster {
  readonly #index: Index;
  readonly #folder: Folder;
  #uids: Uint32Array<ArrayBuffer>;
  #count: number;
  /** Of the first `#loaded` messages. */
  #rows: Float64Array<ArrayBuffer> = new Float64Array(0);
  #loaded = 0;
  /** So often the index was asked for a few. */
  #few = 0;
  /** 0: there is none. */
  #firstUnseen: number | 'unknown' = 'unknown';

  constructor(index: Index, folder: Folder) {
    this.#index = index;
    this.#folder = folder;
    const ids = index
      .prepare<[number]>('SELECT id FROM messages WHERE id BETWEEN ? AND ? ORDER BY id')
      .all(folder.firstId, folder.lastId);
    this.#count = ids.length;
    this.#uids = new Uint32Array(ids.length);
    ids.forEach(([id], at) => {
      this.#uids[at] = folder.uidOf(id);
    });
  }

  get bytes(): number {
    return this.#uids.byteLength + this.#rows.byteLength;
  }

  /** 0 when there is no message. */
  get highestUid(): number {
    return this.#count === 0 ? 0 : (this.#uids[this.#count - 1] ?? 0);
  }

  uids(): Uint32Array<ArrayBuffer> {
    return this.#uids.slice(0, this.#count);
  }

  /** Of all messages. */
  columns(): {
    readonly uids: Uint32Array<ArrayBuffer>;
    readonly sizes: Float64Array<ArrayBuffer>;
    readonly seen: Uint8Array<ArrayBuffer>;
  } {
    const uids = this.uids();
    const sizes = new Float64Array(uids.length);
    const seen = new Uint8Array(uids.length);
    for (let from = 0; from < uids.length; from += STRETCH) {
      const to = Math.min(from + STRETCH, uids.length);
      const rows = this.#stretch(from, to);
      for (let at = from; at < to; at++) {
        const row = (at - from) * STRIDE;
        sizes[at] = rows[row + AT.size] ?? 0;
        seen[at] = (rows[row + AT.flags] ?? 0) & SEEN ? 1 : 0;
      }
    }
    return { uids, sizes, seen };
  }

  /** The lowest UID without \Seen; 0 when there is none. */
  firstUnseen(): number {
    if (this.#folder.unseen === 0) return 0;
    if (this.#firstUnseen !== 'unknown') return this.#firstUnseen;
    let found = 0;
    for (let at = 0; at < this.#loaded && found === 0; at++)
      if (!((this.#rows[at * STRIDE + AT.flags] ?? 0) & SEEN)) found = this.#uids[at] ?? 0;
    if (found === 0 && this.#loaded < this.#count) {
      const row = this.#index
        .prepare<[number]>(
          `SELECT id FROM messages WHERE id BETWEEN ? AND ? AND NOT flags & ${SEEN} ORDER BY id LIMIT 1`,
        )
        .get(this.#folder.id(this.#uids[this.#loaded] ?? 0), this.#folder.lastId);
      found = row ? this.#folder.uidOf(row[0]) : 0;
    }
    this.#firstUnseen = found;
    return found;
  }

  /**
   * Messages of ascending ranges that do not touch, with UIDs above `after` and a MODSEQ above `since`; at most `limit`.
   * `after` of the answer: where to go on; null when there are no more.
   */
  read(
    ranges: readonly { readonly first: number; readonly last: number }[],
    { since, after, limit }: { readonly since: number; readonly after: number; readonly limit: number },
  ): { readonly messages: PackedMessages; readonly after: number | null } {
    const stretches: Float64Array<ArrayBuffer>[] = [];
    let found = 0;
    let reached: number | null = null;
    for (const { first, last } of ranges) {
      if (last <= after) continue;
      const from = this.#position(Math.max(first, after + 1));
      const to = this.#position(last + 1);
      for (let at = from; at < to && reached === null; ) {
        const end = Math.min(to, at + (since < 0 ? limit - found : STRETCH));
        const rows = newer(this.#stretch(at, end), since, limit - found);
        stretches.push(rows);
        found += rows.length / STRIDE;
        at = end;
        if (found >= limit) reached = rows[rows.length - STRIDE] ?? last;
      }
      if (reached !== null) break;
    }
    return { messages: packRows(this.#folder, joined(stretches)), after: reached };
  }

  /** The rows of those of `uids` that are there, ascending. */
  rowsOf(uids: readonly number[]): Float64Array<ArrayBuffer> {
    const stretches: Float64Array<ArrayBuffer>[] = [];
    const wanted = Uint32Array.from(uids).sort();
    for (let next = 0; next < wanted.length; ) {
      const from = this.#position(wanted[next] ?? 0);
      if (from === this.#count) break;
      let to = from;
      // Neighbours here, whatever UIDs lie between them.
      for (; next < wanted.length && to < this.#count; next++) {
        const uid = wanted[next] ?? 0;
        if (uid > (this.#uids[to] ?? 0)) break;
        if (uid === this.#uids[to]) to++;
      }
      if (to > from) stretches.push(this.#stretch(from, to));
    }
    return joined(stretches);
  }

  /** False: what happened is more than can be followed here; the table must be read again. */
  follow(change: StoredChange): boolean {
    this.#firstUnseen = 'unknown';
    switch (change.type) {
      case 'added':
        return this.#add(change.messages.rows);
      case 'flags':
        return this.#flag(change.messages.rows);
      case 'expunged':
        this.#remove(change.uids);
        return true;
      case 'mailbox':
      case 'annotated':
      case 'acl':
        return true;
    }
  }

  #add(rows: Added['messages']['rows']): boolean {
    for (let from = 0; from < rows.length; from += STRIDE) {
      const uid = rows[from + AT.uid] ?? 0;
      if (uid <= this.highestUid) return false;
      if (this.#count === this.#uids.length) {
        const larger = new Uint32Array(Math.ceil(this.#count * 1.2) + 64);
        larger.set(this.#uids);
        this.#uids = larger;
      }
      if (this.#loaded === this.#count && holds(this.#count + 1)) {
        this.#makeRoom(this.#count + 1);
        this.#rows.set(rows.subarray(from, from + STRIDE), this.#loaded * STRIDE);
        this.#loaded++;
      }
      this.#uids[this.#count++] = uid;
    }
    return true;
  }

  #flag(rows: Added['messages']['rows']): boolean {
    for (let from = 0; from < rows.length; from += STRIDE) {
      const uid = rows[from + AT.uid] ?? 0;
      const at = this.#position(uid);
      if (this.#uids[at] !== uid || at >= this.#count) return false;
      if (at < this.#loaded) this.#rows.set(rows.subarray(from, from + STRIDE), at * STRIDE);
    }
    return true;
  }

  #remove(uids: readonly number[]): void {
    const gone = new Set(uids);
    const loaded = this.#loaded;
    let kept = this.#position(uids.reduce((lowest, uid) => Math.min(lowest, uid), Number.POSITIVE_INFINITY));
    for (let at = kept; at < this.#count; at++) {
      const uid = this.#uids[at] ?? 0;
      if (gone.has(uid)) {
        if (at < loaded) this.#loaded--;
        continue;
      }
      this.#uids[kept] = uid;
      if (at < loaded) this.#rows.copyWithin(kept * STRIDE, at * STRIDE, (at + 1) * STRIDE);
      kept++;
    }
    this.#count = kept;
  }

  /** The rows of the messages `from` to `to` (excluded), by their position. */
  #stretch(from: number, to: number): Float64Array<ArrayBuffer> {
    const isFar = from > this.#loaded + FAR;
    const areFew = to > this.#loaded && to - from < FEW && ++this.#few <= OFTEN;
    if (isFar || areFew || !holds(to)) return this.#readRows(from, to);
    while (this.#loaded < to) {
      const end = Math.min(Math.max(to, this.#loaded + STRETCH), this.#count);
      const rows = this.#readRows(this.#loaded, end);
      this.#makeRoom(end);
      this.#rows.set(rows, this.#loaded * STRIDE);
      this.#loaded = end;
    }
    return this.#rows.slice(from * STRIDE, to * STRIDE);
  }

  #readRows(from: number, to: number): Float64Array<ArrayBuffer> {
    const folder = this.#folder;
    const first = folder.id(this.#uids[from] ?? 0);
    const last = folder.id(this.#uids[to - 1] ?? 0);
    const found = this.#index.prepare<Numbers>(ROWS).all(first, last, to - from);
    if (found.length !== to - from)
      throw new StrangeIndex('what is known of a mailbox is not what its index says');
    const rows = new Float64Array(found.length * STRIDE);
    found.forEach((row, at) => {
      row[AT.uid] = folder.uidOf(row[AT.uid]);
      rows.set(row, at * STRIDE);
    });
    return rows;
  }

  #makeRoom(count: number): void {
    if (count * STRIDE <= this.#rows.length) return;
    const larger = new Float64Array(Math.min(Math.ceil(count * 1.5), count + 100_000) * STRIDE);
    larger.set(this.#rows.subarray(0, this.#loaded * STRIDE));
    this.#rows = larger;
  }

  /** The first message whose UID is not below `uid`. */
  #position(uid: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#uids[middle] ?? 0) < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Whether the rows of so many messages are kept. */
function holds(count: number): boolean {
  return count * (STRIDE + 1) * Float64Array.BYTES_PER_ELEMENT <= MAX_BYTES;
}

function newer(rows: Float64Array<ArrayBuffer>, since: number, limit: number): Float64Array<ArrayBuffer> {
  if (since < 0) return rows;
  let kept = 0;
  for (let at = 0; at < rows.length && kept < limit * STRIDE; at += STRIDE) {
    if ((rows[at + AT.modSeq] ?? 0) <= since) continue;
    rows.copyWithin(kept, at, at + STRIDE);
    kept += STRIDE;
  }
  return rows.slice(0, kept);
}

function joined(stretches: readonly Float64Array<ArrayBuffer>[]): Float64Array<ArrayBuffer> {
  const [only] = stretches;
  if (only && stretches.length === 1) return only;
  const all = new Float64Array(stretches.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const rows of stretches) {
    all.set(rows, at);
    at += rows.length;
  }
  return all;
}

/** The rosters of one thread: those used last, as far as there is room. */
export class Rosters {
  readonly #rosters = new Map<Folder, Roster>();
  #asked = 0;

  of(index: Index, folder: Folder): Roster {
    let roster = this.#rosters.get(folder);
    // Last used, last to go.
    if (roster) this.#rosters.delete(folder);
    roster ??= new Roster(index, folder);
    this.#rosters.set(folder, roster);
    if (++this.#asked % LOOK === 0) this.#makeRoom();
    return roster;
  }

  follow(folder: Folder, change: StoredChange): void {
    const roster = this.#rosters.get(folder);
    if (roster && !roster.follow(change)) this.#rosters.delete(folder);
  }

  drop(folder: Folder): void {
    this.#rosters.delete(folder);
  }

  #makeRoom(): void {
    let bytes = 0;
    for (const roster of this.#rosters.values()) bytes += roster.bytes;
    for (const [folder, roster] of this.#rosters) {
      if (bytes <= MAX_BYTES || this.#rosters.size === 1) return;
      this.#rosters.delete(folder);
      bytes -= roster.bytes;
    }
  }
}
