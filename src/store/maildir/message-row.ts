import type { UidRange } from '../store.ts';
import type { Folder, Place } from './folder.ts';
import type { Index } from './index.ts';

/** A message as the index has it. */
export interface MessageRow {
  readonly id: number;
  readonly uid: number;
  readonly flags: number;
  readonly modSeq: number;
  readonly internalDate: number;
  readonly savedDate: number;
  readonly size: number;
  readonly emailHigh: number;
  readonly emailLow: number;
  readonly place: Place;
  /** 1 when the file has bare LFs and is converted as it is read. */
  readonly lf: 0 | 1;
  readonly info: string | null;
  readonly base: string;
}

const COLUMNS =
  'id, flags, modseq, internal_date, saved_date, size, email_high, email_low, place, lf, info, base';

type Columns = [
  id: number,
  flags: number,
  modSeq: number,
  internalDate: number,
  savedDate: number,
  size: number,
  emailHigh: number,
  emailLow: number,
  place: Place,
  lf: 0 | 1,
  info: string | null,
  base: string,
];

/** So many statements are better than one with a list. */
const FEW = 8;
/** From this many UIDs on, reading the stretch they lie in is cheaper than asking for each. */
const MANY = 64;

export function rowOf(index: Index, folder: Folder, uid: number): MessageRow | undefined {
  const columns = index.prepare<Columns>(`SELECT ${COLUMNS} FROM messages WHERE id = ?`).get(folder.id(uid));
  return columns && read(folder, columns);
}

/** Those that are there, ascending. */
export function rowsOf(index: Index, folder: Folder, uids: readonly number[]): MessageRow[] {
  const wanted = [...new Set(uids)].sort((a, b) => a - b);
  const first = wanted[0] ?? 1;
  const last = wanted.at(-1) ?? 0;
  if (wanted.length < MANY || last - first > wanted.length * 8)
    return wanted.map((uid) => rowOf(index, folder, uid)).filter((row) => row !== undefined);
  const set = new Set(wanted);
  return rowsBetween(index, folder, first, last).filter((row) => set.has(row.uid));
}

/** Ascending, from `first` to `last`, both included; with a higher MODSEQ than `since`, at most `limit`. */
export function rowsBetween(
  index: Index,
  folder: Folder,
  first: number,
  last: number,
  since = -1,
  limit = -1,
): MessageRow[] {
  return index
    .prepare<Columns>(
      `SELECT ${COLUMNS} FROM messages WHERE id BETWEEN ? AND ? AND modseq > ? ORDER BY id LIMIT ?`,
    )
    .all(folder.id(first), folder.id(Math.min(last, 2 ** 32 - 1)), since, limit)
    .map((columns) => read(folder, columns));
}

const INSERT = `INSERT INTO messages (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

export function insertRow(index: Index, row: Omit<MessageRow, 'uid'>): void {
  index
    .prepare(INSERT)
    .run(
      row.id,
      row.flags,
      row.modSeq,
      row.internalDate,
      row.savedDate,
      row.size,
      row.emailHigh,
      row.emailLow,
      row.place,
      row.lf,
      row.info,
      row.base,
    );
}

/** Many ids as one parameter: one statement for ten thousand messages. */
const IN_LIST = '(SELECT value FROM json_each(?))';

/** A condition on `id` for a part of some ids, and its parameters. */
export type Stretch = readonly [where: string, ...values: (number | string)[]];

/** Neighbours in one go: half the work of a list, and most of what clients name at once are neighbours. Ascending. */
export function stretchesOf(ids: readonly number[]): Stretch[] {
  const stretches: Stretch[] = [];
  for (let at = 0; at < ids.length; ) {
    const first = ids[at] ?? 0;
    let last = first;
    while (ids[++at] === last + 1) last++;
    stretches.push(['id BETWEEN ? AND ?', first, last]);
    if (stretches.length > FEW && stretches.length * 8 > at)
      return [[`id IN ${IN_LIST}`, JSON.stringify(ids)]];
  }
  return stretches;
}

/** Ascending stretches that do not touch; '*' is `highest`, and a range may be written backwards (RFC 9051 9: seq-range). */
export function normaliseRanges(
  ranges: readonly UidRange[],
  highest: number,
): { readonly first: number; readonly last: number }[] {
  const sorted = ranges
    .map(({ first, last }) => {
      const end = last === '*' ? highest : last;
      return { first: Math.min(first, end), last: Math.max(first, end) };
    })
    .sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const range of sorted) {
    const previous = merged.at(-1);
    if (previous && range.first <= previous.last + 1) previous.last = Math.max(previous.last, range.last);
    else merged.push({ ...range });
  }
  return merged;
}

export function highestUid(index: Index, folder: Folder): number {
  const row = index
    .prepare<[number]>('SELECT id FROM messages WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1')
    .get(folder.firstId, folder.lastId);
  return row ? folder.uidOf(row[0]) : 0;
}

function read(folder: Folder, columns: Columns): MessageRow {
  const [id, flags, modSeq, internalDate, savedDate, size, emailHigh, emailLow, place, lf, info, base] =
    columns;
  const uid = folder.uidOf(id);
  return {
    id,
    uid,
    flags,
    modSeq,
    internalDate,
    savedDate,
    size,
    emailHigh,
    emailLow,
    place,
    lf,
    info,
    base,
  };
}
