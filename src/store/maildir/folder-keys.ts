import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { type Index, onwards } from './index.ts';
import type { UidSet } from './uid-set.ts';

/**
 * The keys of a folder's messages as columns of numbers: what most searches, sorts and threads need of them. Read from
 * the index once and kept while they are used; later messages are added to them.
 */

/** Rows read in one go. */
const STRETCH = 4000;

type Row = [
  id: number,
  doc: number,
  date: number,
  sent: number,
  subject: number,
  node: number,
  thread: number,
  refs: string | null,
];

export class FolderKeys {
  readonly #index: Index;
  #uidNext = 0;
  #total = -1;
  #version = -1;
  #rows = 0;
  #uids = new Uint32Array(0);
  docs: Float64Array = new Float64Array(0);
  dates: Float64Array = new Float64Array(0);
  sent: Float64Array = new Float64Array(0);
  subjects: Float64Array = new Float64Array(0);
  nodes: Float64Array = new Float64Array(0);
  threads: Float64Array = new Float64Array(0);
  /** Of References; most messages have none. */
  references: (readonly number[] | undefined)[] = [];
  #referenced = 0;
  #byDoc: { readonly rows: number; readonly places: Int32Array } | undefined;

  constructor(index: Index) {
    this.#index = index;
  }

  get bytes(): number {
    return this.#uids.length * 60 + this.#referenced * 16 + (this.#byDoc?.places.byteLength ?? 0);
  }

  /** Messages that have keys, ascending; the columns have a value for each. */
  get uids(): UidSet {
    return this.#uids.subarray(0, this.#rows);
  }

  /** For each text, the place of the last message that has it, from 1; 0: none here. */
  get placesByDoc(): Int32Array {
    if (this.#byDoc?.rows !== this.#rows) {
      let highest = 0;
      for (let at = 0; at < this.#rows; at++) highest = Math.max(highest, this.docs[at] ?? 0);
      const places = new Int32Array(highest + 1);
      for (let at = 0; at < this.#rows; at++) places[this.docs[at] ?? 0] = at + 1;
      places[0] = 0;
      this.#byDoc = { rows: this.#rows, places };
    }
    return this.#byDoc.places;
  }

  isOf(account: MaildirAccount, folder: Folder): boolean {
    return (
      this.#index === account.index &&
      this.#uidNext === folder.uidNext &&
      this.#total === folder.total &&
      this.#version === account.indexer.version
    );
  }

  /** Reads what came since, or all when something went. False: nothing here is of use any more. */
  *read(account: MaildirAccount, folder: Folder): Generator<null, boolean> {
    const { index } = account;
    const { uidNext, total } = folder;
    const { version } = account.indexer;
    if (index !== this.#index) return false;
    const [count = 0] = index.column(
      'SELECT count(*) FROM keys WHERE id BETWEEN ? AND ?',
      folder.firstId,
      folder.lastId,
    );
    const statement = index.prepare<Row>(
      `SELECT id, doc, date, sent, subject, node, thread, refs FROM keys
        WHERE id > ? AND id <= ? ORDER BY id LIMIT ${STRETCH}`,
    );
    for (;;) {
      const last = this.#rows === 0 ? folder.firstId : folder.id(this.#uids[this.#rows - 1] ?? 0);
      const rows = statement.all(last, folder.lastId);
      if (rows.length === 0) break;
      this.#room(this.#rows + rows.length, count);
      let before = last;
      for (const row of rows) {
        before = onwards(before, row[0]);
        this.#add(folder, row);
      }
      yield null;
      if (account.index !== this.#index) return false;
    }
    this.#uidNext = uidNext;
    this.#total = total;
    this.#version = version;
    // Something went from the midst.
    return this.#rows === count || account.indexer.version !== version || folder.uidNext !== uidNext;
  }

  #add(folder: Folder, [id, doc, date, sent, subject, node, thread, refs]: Row): void {
    const at = this.#rows++;
    this.#uids[at] = folder.uidOf(id);
    this.docs[at] = doc;
    this.dates[at] = date;
    this.sent[at] = sent;
    this.subjects[at] = subject;
    this.nodes[at] = node;
    this.threads[at] = thread;
    const references = refs === null ? undefined : numbersIn(refs);
    this.references.push(references);
    this.#referenced += 2 + (references?.length ?? 0);
  }

  #room(wanted: number, count: number): void {
    if (wanted <= this.#uids.length) return;
    const size = Math.max(count, Math.ceil(wanted * 1.1));
    const uids = new Uint32Array(size);
    uids.set(this.uids);
    this.#uids = uids;
    for (const column of ['docs', 'dates', 'sent', 'subjects', 'nodes', 'threads'] as const) {
      const longer = new Float64Array(size);
      longer.set(this[column].subarray(0, this.#rows));
      this[column] = longer;
    }
  }
}

/** The keys as they are now. */
export function* folderKeys(account: MaildirAccount, folder: Folder): Generator<null, FolderKeys> {
  const { memory } = account.indexer;
  const known = memory.get(folder, FolderKeys);
  if (known?.isOf(account, folder)) return known;
  if (known && (yield* known.read(account, folder))) {
    memory.keep(account, folder, known);
    return known;
  }
  const keys = new FolderKeys(account.index);
  yield* keys.read(account, folder);
  memory.keep(account, folder, keys);
  return keys;
}

/** Digits and blanks, as we wrote them. */
function numbersIn(text: string): number[] {
  const numbers: number[] = [];
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x20) {
      numbers.push(value);
      value = 0;
    } else value = value * 10 + code - 0x30;
  }
  numbers.push(value);
  return numbers;
}
