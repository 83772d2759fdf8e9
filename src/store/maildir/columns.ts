import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import type { UidSet } from './uid-set.ts';

/** Columns of the index beside a set of UIDs: one value each, read as a whole where that is quicker. */

type Table = 'messages' | 'keys' | 'sort_keys';

/** Up to so many rows are asked for one by one. */
const FEW = 500;

export class Columns {
  readonly #account: MaildirAccount;
  readonly #folder: Folder;
  readonly #uids: UidSet;
  /** Where each row of a table stands in `#uids`, -1 for none; undefined: they are the same. */
  readonly #places = new Map<Table, Int32Array | undefined>();

  constructor(account: MaildirAccount, folder: Folder, uids: UidSet) {
    this.#account = account;
    this.#folder = folder;
    this.#uids = uids;
  }

  numbers(table: Table, column: string): Float64Array {
    const values = new Float64Array(this.#uids.length);
    this.#read<number | null>(table, column, (at, value) => {
      values[at] = value ?? 0;
    });
    return values;
  }

  texts(table: Table, column: string): string[] {
    const values = new Array<string>(this.#uids.length).fill('');
    this.#read<string>(table, column, (at, value) => {
      values[at] = value;
    });
    return values;
  }

  /** Of References: most messages have none. */
  references(): (readonly number[] | undefined)[] {
    const values = new Array<readonly number[] | undefined>(this.#uids.length).fill(undefined);
    this.#read<string | null>('keys', 'refs', (at, value) => {
      if (value !== null) values[at] = numbersIn(value);
    });
    return values;
  }

  #read<T>(table: Table, column: string, put: (at: number, value: T) => void): void {
    const { index } = this.#account;
    if (this.#uids.length <= FEW) {
      this.#uids.forEach((uid, at) => {
        const [value] = index.column<T>(`SELECT ${column} FROM ${table} WHERE id = ?`, this.#folder.id(uid));
        if (value !== undefined) put(at, value);
      });
      return;
    }
    const places = this.#placesOf(table);
    const values = index.column<T>(
      `SELECT ${column} FROM ${table} WHERE id BETWEEN ? AND ? ORDER BY id`,
      this.#folder.firstId,
      this.#folder.lastId,
    );
    for (let row = 0; row < values.length; row++) {
      const at = places ? (places[row] ?? -1) : row;
      if (at >= 0) put(at, values[row] as T);
    }
  }

  #placesOf(table: Table): Int32Array | undefined {
    if (this.#places.has(table)) return this.#places.get(table);
    const { index } = this.#account;
    const { firstId, lastId, total } = this.#folder;
    const [count] = index.column(`SELECT count(*) FROM ${table} WHERE id BETWEEN ? AND ?`, firstId, lastId);
    let places: Int32Array | undefined;
    if (count !== total || this.#uids.length !== total) {
      const ids = index.column(
        `SELECT id FROM ${table} WHERE id BETWEEN ? AND ? ORDER BY id`,
        firstId,
        lastId,
      );
      places = new Int32Array(ids.length).fill(-1);
      let at = 0;
      for (let row = 0; row < ids.length && at < this.#uids.length; row++) {
        const uid = this.#folder.uidOf(ids[row] ?? 0);
        while ((this.#uids[at] ?? 0) < uid && at < this.#uids.length) at++;
        if (this.#uids[at] === uid) places[row] = at;
      }
    }
    this.#places.set(table, places);
    return places;
  }
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
