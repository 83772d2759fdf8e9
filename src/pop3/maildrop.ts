import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import type { Part } from '../message/structure.ts';
import { type AccountStore, type Columns, type Mailbox, StoreError, type Uid } from '../store/store.ts';
import { parseUidlFormat, type UidlFormat } from '../store/uidl-format.ts';
import { Pop3Error, Pop3SyntaxError } from './errors.ts';
import { ReadAhead } from './read-ahead.ts';
import { uidlFormatOf } from './uidl.ts';

/**
 * The INBOX as it was when the session began: numbers and sizes never change under a client (RFC 1939 4). Nothing is
 * removed before update(), so a connection that is lost deletes nothing (RFC 1939 6).
 */

export interface Entry {
  /** From 1. */
  readonly number: number;
  readonly uid: Uid;
  readonly size: number;
}

/** Messages expunged or flagged by one call of the store. */
const BATCH = 1000;

export class Maildrop {
  readonly #store: AccountStore;
  readonly #inbox: Mailbox;
  readonly #uidl: UidlFormat;
  /** Unique ids that messages brought along, by UID. */
  readonly #kept: ReadonlyMap<number, string>;
  /** Columns, not objects: a maildrop may have a hundred thousand messages. */
  readonly #uids: Uint32Array;
  readonly #sizes: Float64Array;
  readonly #seen: Uint8Array;
  readonly #deleted: Uint8Array;
  readonly #retrieved: Uint8Array;
  #count: number;
  #octets = 0;
  readonly #ahead: ReadAhead;

  private constructor(store: AccountStore, inbox: Mailbox, uidls: Uidls, columns: Columns) {
    this.#store = store;
    this.#inbox = inbox;
    this.#uidl = uidls.format;
    this.#kept = uidls.kept;
    this.#uids = columns.uids;
    this.#sizes = columns.sizes;
    this.#seen = columns.seen;
    this.#count = this.#uids.length;
    this.#deleted = new Uint8Array(this.#count);
    this.#retrieved = new Uint8Array(this.#count);
    for (const size of this.#sizes) this.#octets += size;
    this.#ahead = new ReadAhead(
      (some) => store.contents(inbox.id, some),
      (number) => (number <= this.#uids.length ? this.#at(number - 1) : undefined),
    );
  }

  /** Looks at the disk first: programs such as procmail put mail into a Maildir without telling anybody. */
  static async open(store: AccountStore, uidl: string): Promise<Maildrop> {
    const opened = await store.open('INBOX', 'look', () => {});
    if (!opened) throw new StoreError('not-found', 'the account has no INBOX');
    opened.close();
    const inbox = opened.mailbox;
    const columns = await store.columns(inbox.id);
    return new Maildrop(store, inbox, await uidlsOf(store, inbox, uidl, columns.uids), columns);
  }

  /** Messages not marked as deleted. */
  get count(): number {
    return this.#count;
  }

  /** Of those. */
  get octets(): number {
    return this.#octets;
  }

  /** Those not marked as deleted, in order. */
  *entries(): Generator<Entry> {
    for (let index = 0; index < this.#uids.length; index++)
      if (this.#deleted[index] === 0) yield this.#at(index);
  }

  /** The message of that number. Throws Pop3Error when there is none, or it is marked as deleted. */
  entry(text: string): Entry {
    if (!/^\d{1,10}$/.test(text)) throw new Pop3SyntaxError('a message number is missing');
    const index = Number(text) - 1;
    if (this.#deleted[index] === undefined) throw new Pop3Error('no such message');
    if (this.#deleted[index] === 1) throw new Pop3Error(`message ${index + 1} is marked as deleted`);
    return this.#at(index);
  }

  uidl(entry: Entry): string {
    const { uidValidity } = this.#inbox;
    return this.#kept.get(entry.uid) ?? this.#uidl.expand({ uid: entry.uid, uidValidity });
  }

  async raw(entry: Entry): Promise<RawMessage> {
    const bytes = await this.#ahead.take(entry);
    return bytes ? rawMessage([bytes]) : this.#store.raw(this.#inbox.id, entry.uid);
  }

  /** Where its headers are. */
  structure(entry: Entry): Promise<Part> {
    return this.#store.structure(this.#inbox.id, entry.uid);
  }

  markDeleted(entry: Entry): void {
    this.#deleted[entry.number - 1] = 1;
    this.#count--;
    this.#octets -= entry.size;
  }

  markRetrieved(entry: Entry): void {
    this.#retrieved[entry.number - 1] = 1;
  }

  /** RSET: nothing is marked as deleted any more. */
  reset(): void {
    for (let index = 0; index < this.#uids.length; index++)
      if (this.#deleted[index] === 1) {
        this.#deleted[index] = 0;
        this.#count++;
        this.#octets += this.#sizes[index] ?? 0;
      }
  }

  /** The UPDATE state: removes what is marked, and marks as seen what was retrieved and stays. Returns how many went. */
  async update(options: {
    readonly seen: 'mark' | 'leave';
    readonly deleted: 'expunge' | 'trash';
  }): Promise<number> {
    const id = this.#inbox.id;
    if (options.seen === 'mark') {
      const seen = this.#pick(
        (index) => this.#retrieved[index] === 1 && this.#seen[index] === 0 && this.#deleted[index] === 0,
      );
      for (const uids of batches(seen))
        await this.#store.setFlags(id, uids, { mode: 'add', flags: ['\\Seen'] });
    }
    let removed = 0;
    const doomed = this.#pick((index) => this.#deleted[index] === 1);
    const trash = options.deleted === 'trash' && doomed.length > 0 ? await this.#trash() : undefined;
    for (const uids of batches(doomed))
      removed += (await (trash ? this.#store.move(id, uids, trash.id) : this.#store.expunge(id, uids)))
        .length;
    return removed;
  }

  /** The mailbox that says it is for deleted mail (RFC 6154), or else the one of that name; made where there is none. */
  async #trash(): Promise<Mailbox> {
    const all = await this.#store.mailboxes();
    const found =
      all.find((mailbox) => mailbox.specialUse === 'trash') ?? all.find(({ path }) => path === 'Trash');
    return found ?? this.#store.create('Trash', 'trash');
  }

  #at(index: number): Entry {
    return {
      number: index + 1,
      uid: (this.#uids[index] ?? 0) as Uid,
      size: this.#sizes[index] ?? 0,
    };
  }

  #pick(wanted: (index: number) => boolean): Uid[] {
    const uids: Uid[] = [];
    this.#uids.forEach((uid, index) => {
      if (wanted(index)) uids.push(uid as Uid);
    });
    return uids;
  }
}

interface Uidls {
  readonly format: UidlFormat;
  readonly kept: ReadonlyMap<number, string>;
}

/** An account that came from another server goes on as it was there, whatever the settings say. */
async function uidlsOf(store: AccountStore, inbox: Mailbox, uidl: string, uids: Uint32Array): Promise<Uidls> {
  const present = new Set(uids);
  const kept = new Map<number, string>();
  let format: UidlFormat | undefined;
  for await (const piece of store.keptUidls(inbox.id)) {
    format ??= parseUidlFormat(piece.format);
    for (const { uid, uniqueId } of piece.ids) if (present.has(uid)) kept.set(uid, uniqueId);
  }
  return { format: format ?? uidlFormatOf(uidl), kept };
}

function* batches(uids: readonly Uid[]): Generator<readonly Uid[]> {
  for (let at = 0; at < uids.length; at += BATCH) yield uids.slice(at, at + BATCH);
}
