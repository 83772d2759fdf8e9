import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { onwards } from './index.ts';
import type { UidSet } from './uid-set.ts';

/** Columns beside a set of UIDs: one value for each of them. */

/** Rows read in one go. */
const STRETCH = 4000;

export class Columns {
  readonly #account: MaildirAccount;
  readonly #folder: Folder;
  readonly #uids: UidSet;

  constructor(account: MaildirAccount, folder: Folder, uids: UidSet) {
    this.#account = account;
    this.#folder = folder;
    this.#uids = uids;
  }

  *numbers(table: 'messages', column: string): Generator<null, Float64Array> {
    const values = new Float64Array(this.#uids.length);
    yield* this.#read<number>(table, column, (at, value) => {
      values[at] = value;
    });
    return values;
  }

  *texts(table: 'sort_keys', column: string): Generator<null, string[]> {
    const values = new Array<string>(this.#uids.length).fill('');
    yield* this.#read<string>(table, column, (at, value) => {
      values[at] = value;
    });
    return values;
  }

  *#read<T>(table: string, column: string, put: (at: number, value: T) => void): Generator<null> {
    const { index } = this.#account;
    const statement = index.prepare<[id: number, value: T]>(
      `SELECT id, ${column} FROM ${table} WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?`,
    );
    for (let at = 0; at < this.#uids.length; yield null) {
      const before = at;
      const limit = Math.min(this.#uids.length - at, STRETCH);
      const rows = statement.all(this.#folder.id(this.#uids[at] ?? 0), this.#folder.lastId, limit);
      if (rows.length === 0) return;
      for (const [id, value] of rows) {
        const uid = this.#folder.uidOf(id);
        while (at < this.#uids.length && (this.#uids[at] ?? 0) < uid) at++;
        if (this.#uids[at] === uid) put(at++, value);
      }
      onwards(before, at);
      // A row that is not wanted ends the stretch: on from the next wanted one.
    }
  }
}

/** Of a column of keys, the values of these messages; 0 of those that have none. */
export function picked<T>(
  { uids }: { readonly uids: UidSet },
  column: ArrayLike<T>,
  wanted: UidSet,
  missing: T,
): ArrayLike<T> {
  // Mostly all of them are wanted; columns have some room at their end.
  if (wanted.length === uids.length && wanted.every((uid, at) => uids[at] === uid)) return column;
  const values = new Array<T>(wanted.length).fill(missing);
  let at = 0;
  wanted.forEach((uid, place) => {
    while (at < uids.length && (uids[at] ?? 0) < uid) at++;
    const value = uids[at] === uid ? column[at] : undefined;
    if (value !== undefined) values[place] = value;
  });
  return values;
}
