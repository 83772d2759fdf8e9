import { closeSync, readSync } from 'node:fs';
import { FieldSelector } from '../../message/field-selector.ts';
import { BytesPacker, type PackedBytes } from '../packed-bytes.ts';
import { StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { openRegular } from './disk.ts';
import type { Folder } from './folder.ts';
import { type MessageRow, rowsOf } from './message-row.ts';
import { readMessage, SMALL } from './read.ts';

/** Many messages in one answer: what FETCH wants of a mailbox is not asked for one by one. */

/** An answer with so many octets is long enough; the last message may go beyond. */
const CONTENTS = 1024 * 1024;

export interface Contents {
  readonly packed: PackedBytes;
  /** So many of the wanted UIDs were looked at. */
  readonly looked: number;
}

/**
 * Small messages with CRLF line ends, in the order of `uids` (ascending). What is gone or big is left out. Yields after
 * each message.
 */
export function* readContents(
  account: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
): Generator<null, Contents> {
  const rows = rowsOf(account.index, folder, uids).filter((row) => row.size <= SMALL);
  const expected = rows.reduce((sum, row) => sum + row.size + 1, 0);
  const packer = new BytesPacker(Math.min(expected, CONTENTS + SMALL + 1));
  for (const row of rows) {
    if (packer.size >= CONTENTS) return { packed: packer.packed(), looked: uids.indexOf(row.uid) };
    if (!readInto(packer, account, folder, row)) readChanged(packer, account, folder, row.uid);
    yield null;
  }
  return { packed: packer.packed(), looked: uids.length };
}

/** The usual case: the file is where the index says, and what it says. */
function readInto(packer: BytesPacker, account: MaildirAccount, folder: Folder, row: MessageRow): boolean {
  if (row.lf === 1) return false;
  let fd: number;
  try {
    fd = openRegular(account.fileOf(folder, row));
  } catch {
    return false;
  }
  try {
    // One more than there should be, to see that there is not.
    const bytes = readSync(fd, packer.room(row.size + 1), packer.size, row.size + 1, 0);
    if (bytes !== row.size) return false;
    packer.add(row.uid, packer.size + bytes);
    return true;
  } catch {
    return false;
  } finally {
    closeSync(fd);
  }
}

/** Renamed, converted, changed: with all care. */
function readChanged(packer: BytesPacker, account: MaildirAccount, folder: Folder, uid: number): void {
  try {
    const { bytes } = readMessage(account, folder, uid);
    if (!bytes) return;
    packer.room(bytes.length).set(bytes, packer.size);
    packer.add(uid, packer.size + bytes.length);
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === 'expunged')) throw error;
  }
}

/** Selects from the headers that are in the index; `uids` ascend. Returns those of which there is none. */
export function selectKnown(
  account: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
  selector: FieldSelector,
  packer: BytesPacker,
): number[] {
  const first = uids[0] ?? 0;
  const last = uids.at(-1) ?? -1;
  // Reading a stretch costs less than asking for each, unless most of it is not wanted.
  const known =
    last - first < uids.length * 2
      ? headersBetween(account, folder, first, last)
      : headersOf(account, folder, uids);
  const missing: number[] = [];
  for (const uid of uids) {
    const header = known.get(uid);
    if (header) select(packer, selector, uid, header);
    else missing.push(uid);
  }
  return missing;
}

/**
 * One value for all of them: a value each, with memory of its own, would be half of the work of FETCH. None when the
 * lengths do not add up.
 */
const JOINED = `SELECT group_concat(id), group_concat(length(header)), CAST(group_concat(header, '') AS BLOB)
  FROM (SELECT id, header FROM headers WHERE id BETWEEN ? AND ? ORDER BY id)`;

function headersBetween(
  { index }: MaildirAccount,
  folder: Folder,
  first: number,
  last: number,
): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const [ids, lengths, joined] =
    index
      .prepare<[ids: string | null, lengths: string | null, joined: Uint8Array | null]>(JOINED)
      .get(folder.id(first), folder.id(last)) ?? [];
  if (!ids || !lengths || !joined) return found;
  const ends = lengths.split(',');
  let at = 0;
  ids.split(',').forEach((id, i) => {
    const from = at;
    at += Number(ends[i]);
    found.set(folder.uidOf(Number(id)), joined.subarray(from, at));
  });
  return at === joined.length ? found : new Map();
}

function headersOf(
  { index }: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const one = index.prepare<[Uint8Array]>('SELECT header FROM headers WHERE id = ?');
  for (const uid of uids) {
    const row = one.get(folder.id(uid));
    if (row) found.set(uid, row[0]);
  }
  return found;
}

/** Appends what is selected of one header. */
export function select(packer: BytesPacker, selector: FieldSelector, uid: number, header: Uint8Array): void {
  const into = packer.room(FieldSelector.room(header.length));
  packer.add(uid, selector.select(header, into, packer.size));
}
