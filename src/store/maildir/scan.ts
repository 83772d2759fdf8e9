import { closeSync, openSync, readdirSync, readSync, renameSync, type Stats, statSync } from 'node:fs';
import { type Packable, pack } from '../packed-messages.ts';
import type { MaildirAccount } from './account.ts';
import { isMissing, syncDirectory, unlinkIfThere } from './disk.ts';
import { bury } from './expunge.ts';
import {
  type BaseName,
  emailBits,
  joinName,
  MAX_NAME,
  parseBase,
  splitName,
  withFields,
} from './file-name.ts';
import { bitsOfInfo, infoOf, SEEN } from './flags.ts';
import { CUR, type Folder, NEW, type Place } from './folder.ts';
import { bareLineFeeds } from './line-ends.ts';
import { insertRow, type MessageRow, rowOf, rowsOf } from './message-row.ts';

/**
 * Brings the index and a folder's new/ and cur/ together: the tree is right about which messages there are and about
 * flags that somebody changed in a name; the index is right about flag changes whose names have not followed yet. Both
 * at once are merged: what another program set or cleared since we last saw the name is applied to what we have.
 * UIDs in names count only when they were given in this folder and are free; all else gets a new one, and the name
 * carries it, durably, before anybody hears of it.
 */

interface Found {
  readonly base: string;
  readonly place: Place;
  readonly info: string | null;
}

/** A file that the index does not know. */
interface Stranger extends Found {
  readonly name: BaseName;
  readonly stats: Stats;
  /** Its own, from its name; 0 when it needs one. */
  uid: number;
}

export function scanFolder(account: MaildirAccount, folder: Folder): void {
  account.noteTimes(folder);
  folder.dirty = false;
  folder.certain = false;
  let { rows, found } = compare(account, folder);
  // A name that changed while we read the directory may have been in neither half of it: look twice before believing.
  if (rows.length > 0) ({ rows, found } = compare(account, folder));
  const gone: MessageRow[] = [];
  const changed: { row: MessageRow; now: Found }[] = [];
  for (const row of rows) {
    const now = found.get(row.base);
    if (!now) gone.push(row);
    else changed.push({ row, now });
    found.delete(row.base);
  }
  const strangers = settleStrangers(account, folder, found);
  if (gone.length + changed.length + strangers.length === 0) return;

  for (const { uid } of strangers) folder.uidNext = Math.max(folder.uidNext, uid + 1);
  try {
    account.reserve(folder, { uids: strangers.filter(({ uid }) => uid === 0).length });
    const named = nameStrangers(account, folder, strangers);
    account.write('later', [folder], () => {
      if (gone.length > 0) bury(account, folder, gone);
      if (changed.length > 0) merge(account, folder, changed);
      if (named.length > 0) add(account, folder, named);
    });
  } catch (error) {
    folder.dirty = true;
    throw error;
  }
}

/** What does not fit: rows without their file, and files, by their name without letters, without their row. */
function compare(account: MaildirAccount, folder: Folder): { rows: MessageRow[]; found: Map<string, Found> } {
  const names = new Set<string>();
  for (const place of [NEW, CUR] as const)
    for (const name of readdirSync(account.placeOf(folder, place)))
      if (!name.startsWith('.')) names.add(`${place}${name}`);
  const unmatched: number[] = [];
  const known = account.index.prepare<[number, Place, string | null, string]>(
    'SELECT id, place, info, base FROM messages WHERE id BETWEEN ? AND ?',
  );
  for (const [id, place, info, base] of known.all(folder.firstId, folder.lastId))
    if (!names.delete(`${place}${joinName(base, info)}`)) unmatched.push(folder.uidOf(id));
  const rows = rowsOf(account.index, folder, unmatched);
  const moved = new Set(rows.map(({ base }) => base));
  const found = new Map<string, Found>();
  for (const entry of names) {
    const place: Place = entry.startsWith('0') ? NEW : CUR;
    const file: Found = { ...splitName(entry.slice(1)), place };
    const row = moved.has(file.base) ? undefined : matched(account, folder, file.base);
    const twin = found.get(file.base) ?? row;
    if (twin?.place === CUR) {
      settleTwins(account, folder, file, twin);
      continue;
    }
    // What is in both directories is in cur/: it was moved while we looked, or somebody was stopped in the middle.
    if (twin) settleTwins(account, folder, twin, file);
    if (row) rows.push(row);
    found.set(file.base, file);
  }
  return { rows, found };
}

/** The file of a message that has this name, where the index has it. */
function matched(account: MaildirAccount, folder: Folder, base: string): MessageRow | undefined {
  const { uid } = parseBase(base);
  const row = uid?.validity === folder.uidValidity ? rowOf(account.index, folder, uid.uid) : undefined;
  return row?.base === base ? row : undefined;
}

/** Two files with one name: a move that was cut in the middle left one message twice, or they are two messages. */
function settleTwins(account: MaildirAccount, folder: Folder, one: Found, other: Found): void {
  const first = statSync(account.fileOf(folder, one), { throwIfNoEntry: false });
  const second = statSync(account.fileOf(folder, other), { throwIfNoEntry: false });
  if (!first || !second) return;
  if (first.ino === second.ino) {
    unlinkIfThere(account.fileOf(folder, one));
    return;
  }
  account.log.warn({ mailbox: folder.path, file: one.base }, 'two messages with one file name');
  const name = account.names.next(account.now());
  renameSync(
    account.fileOf(folder, one),
    `${account.placeOf(folder, CUR)}/${joinName(name, one.info ?? '')}`,
  );
  folder.dirty = true;
}

/** Which of the unknown files are messages, in the order in which they get UIDs. */
function settleStrangers(account: MaildirAccount, folder: Folder, found: Map<string, Found>): Stranger[] {
  if (found.size === 0) return [];
  const removals = account.index.prepare<[string]>('SELECT base FROM removals WHERE id BETWEEN ? AND ?');
  for (const [base] of removals.all(folder.firstId, folder.lastId)) {
    const file = found.get(base);
    if (file) unlinkIfThere(account.fileOf(folder, file));
    found.delete(base);
  }
  const taken = account.index.prepare<[number]>(
    'SELECT 1 FROM messages WHERE id = ? UNION ALL SELECT 1 FROM tombstones WHERE id = ?',
  );
  const given = new Set<number>();
  const strangers: Stranger[] = [];
  for (const file of [...found.values()].sort((a, b) => (a.base < b.base ? -1 : 1))) {
    const stats = statSync(account.fileOf(folder, file), { throwIfNoEntry: false });
    if (!stats?.isFile()) continue;
    const name = parseBase(file.base);
    if (stats.size === 0 && name.uid && name.size !== 0) {
      // Its bytes were lost in a power cut, so nobody was told that it was delivered: the queue still has it.
      account.log.warn({ mailbox: folder.path, file: file.base }, 'empty message file removed');
      unlinkIfThere(account.fileOf(folder, file));
      continue;
    }
    let uid = name.uid?.validity === folder.uidValidity ? name.uid.uid : 0;
    if (uid >= folder.uidMark || given.has(uid) || (uid > 0 && taken.get(folder.id(uid), folder.id(uid))))
      uid = 0;
    given.add(uid);
    strangers.push({ ...file, name, stats, uid });
  }
  return strangers.sort(
    (a, b) =>
      (a.uid || MANY) - (b.uid || MANY) || a.name.seconds - b.name.seconds || (a.base < b.base ? -1 : 1),
  );
}

/** After every UID. */
const MANY = 2 ** 32;

type Named = Omit<MessageRow, 'id' | 'modSeq'> & { readonly name: BaseName; readonly onDisk: number };

/** Renames those whose name does not say all that a rebuilt index would need. */
function nameStrangers(account: MaildirAccount, folder: Folder, strangers: readonly Stranger[]): Named[] {
  const named: Named[] = [];
  const renamed = new Set<Place>();
  for (const stranger of strangers) {
    const { name, stats, place, info } = stranger;
    const known = stranger.uid > 0 && name.size === stats.size && name.crlfSize !== null;
    const crlfSize = crlfSizeOf(account, folder, stranger);
    if (crlfSize === undefined) continue;
    let { base } = stranger;
    let { uid } = stranger;
    if (!known) {
      if (uid === 0) uid = folder.uidNext++;
      const fields = { size: stats.size, crlfSize, validity: folder.uidValidity, uid, email: name.email };
      base = withFields(stranger.base, fields);
      if (Buffer.byteLength(joinName(base, info)) > MAX_NAME - 32)
        base = withFields(account.names.next(stats.mtimeMs), fields);
      try {
        renameSync(account.fileOf(folder, stranger), account.fileOf(folder, { base, place, info }));
      } catch (error) {
        if (isMissing(error)) continue;
        throw error;
      }
      renamed.add(place);
    }
    const email = name.email ?? emailBits(parseBase(base).unique);
    named.push({
      uid,
      flags: bitsOfInfo(info, folder.keywords),
      internalDate: Math.round(stats.mtimeMs),
      savedDate: name.seconds > 0 ? name.seconds * 1000 : Math.round(stats.ctimeMs),
      size: crlfSize,
      emailHigh: email.high,
      emailLow: email.low,
      place,
      lf: crlfSize === stats.size ? 0 : 1,
      info,
      base,
      name,
      onDisk: stats.size,
    });
  }
  for (const place of renamed) syncDirectory(account.placeOf(folder, place));
  if (renamed.size > 0) account.noteTimes(folder);
  return named.sort((a, b) => a.uid - b.uid);
}

/** What the name says, when it says it of this size; else the file is read. undefined when it is gone. */
function crlfSizeOf(
  account: MaildirAccount,
  folder: Folder,
  { name, stats, ...file }: Stranger,
): number | undefined {
  if (name.crlfSize !== null && name.size === stats.size) return name.crlfSize;
  try {
    const fd = openSync(account.fileOf(folder, file), 'r');
    try {
      const buffer = Buffer.allocUnsafe(256 * 1024);
      let size = 0;
      let bare = 0;
      let previous = 0;
      for (;;) {
        const bytes = readSync(fd, buffer);
        if (bytes === 0) return size + bare;
        const chunk = buffer.subarray(0, bytes);
        bare += bareLineFeeds(chunk, previous);
        previous = chunk[bytes - 1] ?? 0;
        size += bytes;
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function merge(
  account: MaildirAccount,
  folder: Folder,
  changes: readonly { readonly row: MessageRow; readonly now: Found }[],
): void {
  const { index } = account;
  const seen: Packable[] = [];
  const modSeq = folder.modSeq + 1;
  for (const { row, now } of changes) {
    const before = bitsOfInfo(row.info, folder.keywords);
    const after = bitsOfInfo(now.info, folder.keywords);
    const flags = (row.flags | (after & ~before)) & ~(before & ~after);
    const changed = flags !== row.flags;
    index
      .prepare('UPDATE messages SET place = ?, info = ?, flags = ?, modseq = ? WHERE id = ?')
      .run(now.place, now.info, flags, changed ? modSeq : row.modSeq, row.id);
    // new/ has no letters: a message in it needs cur/ only for its flags.
    if (infoOf(flags, folder.keywords, now.info) === (now.info ?? ''))
      index.prepare('DELETE FROM pending WHERE id = ? AND (cur = 0 OR ? = 1)').run(row.id, now.place);
    else {
      index.prepare('INSERT OR IGNORE INTO pending VALUES (?, 0)').run(row.id);
      account.behind = true;
    }
    if (!changed) continue;
    folder.unseen += (row.flags & SEEN) - (flags & SEEN);
    seen.push({ ...row, flags, modSeq });
  }
  if (seen.length === 0) return;
  folder.modSeq = modSeq;
  account.announce({ type: 'flags', mailbox: folder.mailbox, messages: pack(folder, seen) });
}

function add(account: MaildirAccount, folder: Folder, named: readonly Named[]): void {
  const { index } = account;
  const modSeq = ++folder.modSeq;
  const rows = named.map((message) => ({ ...message, id: folder.id(message.uid), modSeq }));
  for (const row of rows) {
    insertRow(index, row);
    folder.total++;
    folder.size += row.size;
    if (!(row.flags & SEEN)) folder.unseen++;
    if (row.name.key === null) continue;
    const torn = row.name.size !== null && row.onDisk < row.name.size ? 1 : 0;
    index
      .prepare('INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?)')
      .run(row.name.key, row.id, row.savedDate, torn);
  }
  account.announce({ type: 'added', mailbox: folder.mailbox, messages: pack(folder, rows) });
}
