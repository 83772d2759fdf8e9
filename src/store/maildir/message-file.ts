import {
  closeSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  utimesSync,
} from 'node:fs';
import type { FileRange, Piece } from '../../lib/pieces.ts';
import type { Flag } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { FILE_MODE, linkIntoPlace, refusesLinks, unlinkIfThere, writeAll } from './disk.ts';
import { composeBase, emailBits } from './file-name.ts';
import { bitsOf, infoOf } from './flags.ts';
import { CUR, type Folder, NEW } from './folder.ts';
import type { MessageRow } from './message-row.ts';

/** A message on its way into a folder: its number and name, its file in tmp/, and from there to its place. */

/** How much of a file is in memory while it is copied. */
const CHUNK = 256 * 1024;

interface NewFile {
  readonly flags: readonly Flag[];
  readonly internalDate: number;
  readonly size: number;
  readonly key?: string;
}

export interface PlannedFile {
  readonly folder: Folder;
  readonly row: MessageRow;
  readonly temporary: string;
}

/** Takes the next UID. The keywords stay in use by `folder.promised`, which the caller resets at the end. */
export function planMessage(
  account: MaildirAccount,
  folder: Folder,
  { flags: words, internalDate, size, key }: NewFile,
): PlannedFile {
  account.reserve(folder, { uids: 1, flags: words });
  const uid = folder.uidNext++;
  const flags = bitsOf(words, folder.keywords);
  folder.promised |= flags;
  const now = account.now();
  const unique = account.names.next(now, key);
  const email = emailBits(unique);
  const place = flags === 0 ? NEW : CUR;
  const base = composeBase(unique, {
    size,
    crlfSize: size,
    validity: folder.uidValidity,
    uid,
    email: null,
  });
  const row: MessageRow = {
    id: folder.id(uid),
    uid,
    flags,
    modSeq: 0,
    internalDate,
    savedDate: now,
    size,
    emailHigh: email.high,
    emailLow: email.low,
    place,
    lf: 0,
    info: place === CUR ? infoOf(flags, folder.keywords, null) : null,
    base,
  };
  return { folder, row, temporary: `${account.directoryOf(folder)}/tmp/${base}` };
}

/**
 * Writes it to `temporary`, a new file in tmp/.
 * @param together others are written with it, before the first sync
 * @returns a descriptor of it, still to be synced
 */
export function writeFile(
  temporary: string,
  { content, internalDate }: { readonly content: readonly Piece[]; readonly internalDate: number },
  reader: RangeReader,
  together: boolean,
): number {
  const seconds = internalDate / 1000;
  if (linkWhole(content, temporary)) {
    utimesSync(temporary, seconds, seconds);
    return openSync(temporary, 'r');
  }
  const fd = openSync(temporary, 'wx', FILE_MODE);
  try {
    // ext4 gives a truncated file its blocks when it is closed: then one commit of its journal, at the first of the
    // syncs that follow, carries the whole batch instead of one message (three times the throughput).
    if (together) ftruncateSync(fd, 0);
    for (const piece of content) {
      if (piece instanceof Uint8Array) writeAll(fd, piece);
      else reader.copy(piece, fd);
    }
    futimesSync(fd, seconds, seconds);
    if (!together) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return openSync(temporary, 'r');
}

/** One piece that is a whole file needs no second copy of its bytes. */
function linkWhole(content: readonly Piece[], target: string): boolean {
  const [piece] = content;
  if (content.length !== 1 || !piece || piece instanceof Uint8Array || piece.start !== 0) return false;
  const stats = statSync(piece.path);
  if (!stats.isFile() || stats.size !== piece.end || stats.size === 0) return false;
  try {
    linkSync(piece.path, target);
    return true;
  } catch (error) {
    if (refusesLinks(error)) return false;
    throw error;
  }
}

/** From tmp/ to where it is seen. */
export function putInPlace(account: MaildirAccount, { folder, row, temporary }: PlannedFile): void {
  const place = account.fileOf(folder, row);
  if (account.delivery === 'link') linkIntoPlace(temporary, place);
  else renameSync(temporary, place);
}

/** Where nothing can be removed either, housekeeping does it one day: others of the batch must not suffer from it. */
export function discard(temporary: string): void {
  try {
    unlinkIfThere(temporary);
  } catch {
    // The error that led here is the one to tell.
  }
}

/** Copies ranges of files; a file that several messages of a batch lie in is opened once. */
export class RangeReader {
  #path = '';
  #fd = -1;
  #buffer: Buffer | undefined;

  copy(range: FileRange, to: number): void {
    if (range.path !== this.#path) {
      this.close();
      this.#fd = openSync(range.path, 'r');
      this.#path = range.path;
    }
    this.#buffer ??= Buffer.allocUnsafe(CHUNK);
    for (let at = range.start; at < range.end; ) {
      const bytes = readSync(this.#fd, this.#buffer, 0, Math.min(CHUNK, range.end - at), at);
      if (bytes === 0) throw new Error('a message file ends before its range');
      writeAll(to, this.#buffer.subarray(0, bytes));
      at += bytes;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#path = '';
  }
}
