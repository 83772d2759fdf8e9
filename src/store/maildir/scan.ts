import { lstatSync, readdirSync, renameSync } from 'node:fs';
import { type Packable, pack } from '../packed-messages.ts';
import type { MaildirAccount } from './account.ts';
import {
  codeOf,
  isMissing,
  NotRegular,
  readRegular,
  renameIfThere,
  syncDirectory,
  unlinkIfThere,
} from './disk.ts';
import { bury } from './expunge.ts';
import {
  type BaseName,
  composeBase,
  emailBits,
  joinName,
  MAX_NAME,
  parseBase,
  splitName,
  withFields,
} from './file-name.ts';
import { bitsOfInfo, infoOf, SEEN } from './flags.ts';
import { CUR, type Folder, NEW, type Place } from './folder.ts';
import { onwards } from './index.ts';
import { measure, measuringBuffer } from './measure.ts';
import { insertRow, type MessageRow, rowOf, rowsOf } from './message-row.ts';
import type { Steps } from './turns.ts';

/**
 * Brings the index and a folder's new/ and cur/ together: the tree is right about which messages there are and about
 * flags that somebody changed in a name; the index is right about flag changes whose names have not followed yet. Both
 * at once are merged: what another program set or cleared since we last saw the name is applied to what we have.
 * UIDs in names count only when they were given in this folder and are free; all else gets a new one, and the name
 * carries it, durably, before anybody hears of it.
 */

/** Bigger twins are not compared but kept, both. */
const MAX_COMPARED = 64 * 1024 * 1024;
/** Files between two steps: looked at, or read and renamed. */
const LOOKS = 100;
const READS = 20;
/** Known files, and names of a directory, between two steps. */
const NAMES = 2000;
/** Strangers that get their names together: these are durable before the first of them is in the index. */
const CHUNK = 2000;
/** Messages that come, change or go in one commit. */
const COMMIT = 250;

interface Found {
  readonly base: string;
  readonly place: Place;
  readonly info: string | null;
}

/** A file that the index does not know. Of a million there are as many, so what its name says is not kept. */
interface Stranger extends Found {
  readonly size: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  /** When it came, says its name. */
  readonly seconds: number;
  /** Its own, from its name; 0 when it needs one. */
  uid: number;
}

/**
 * Nobody else may use the account between two steps. What has been committed when it is given up, or fails, stays; the
 * next scan goes on from there.
 */
export function* scanning(account: MaildirAccount, folder: Folder): Steps<void> {
  account.noteTimes(folder);
  folder.dirty = false;
  folder.certain = false;
  let { rows, found } = yield* comparing(account, folder);
  // A name that changed while we read the directory may have been in neither half of it: look twice before believing.
  if (rows.length > 0) ({ rows, found } = yield* comparing(account, folder));
  const gone: MessageRow[] = [];
  const changed: { row: MessageRow; now: Found }[] = [];
  for (const row of rows) {
    const now = found.get(row.base);
    if (!now) gone.push(row);
    else changed.push({ row, now });
    found.delete(row.base);
  }
  if (gone.length + changed.length + found.size === 0) return;
  const commit = (work: () => void): void => {
    account.reserve(folder, { uids: 0 });
    account.write('later', [folder], work);
  };
  try {
    for (const some of chunks(gone, COMMIT)) {
      commit(() => bury(account, folder, some));
      yield null;
    }
    for (const some of chunks(changed, COMMIT)) {
      commit(() => merge(account, folder, some));
      yield null;
    }
    const strangers = yield* settlingStrangers(account, folder, found);
    found.clear();
    for (const { uid } of strangers) folder.uidNext = Math.max(folder.uidNext, uid + 1);
    for (const some of chunks(strangers, CHUNK)) {
      account.reserve(folder, { uids: some.filter(({ uid }) => uid === 0).length });
      const named = yield* naming(account, folder, some);
      for (const few of chunks(named, COMMIT)) {
        commit(() => add(account, folder, few));
        yield null;
      }
    }
  } catch (error) {
    folder.dirty = true;
    throw error;
  }
}

function* chunks<T>(all: readonly T[], size: number): Generator<T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}

/** What does not fit: rows without their file, and files, by their name without letters, without their row. */
function* comparing(
  account: MaildirAccount,
  folder: Folder,
): Steps<{ rows: MessageRow[]; found: Map<string, Found> }> {
  const visible = (place: Place): Set<string> =>
    new Set(namesIn(account, folder, place).filter((name) => !name.startsWith('.')));
  const inNew = visible(NEW);
  yield null;
  const inCur = visible(CUR);
  const names: readonly [inNew: Set<string>, inCur: Set<string>] = [inNew, inCur];
  const unmatched: number[] = [];
  const known = account.index.prepare<[number, Place, string | null, string]>(
    `SELECT id, place, info, base FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ${NAMES}`,
  );
  let isEmpty = true;
  for (let from = folder.firstId; ; yield null) {
    const some = known.all(from, folder.lastId);
    // What a damaged index has for a place may be neither.
    for (const [id, place, info, base] of some)
      if (!names[place]?.delete(joinName(base, info))) unmatched.push(folder.uidOf(id));
    const last = some.at(-1);
    if (!last) break;
    isEmpty = false;
    from = onwards(from - 1, last[0]) + 1;
  }
  const rows = rowsOf(account.index, folder, unmatched);
  const moved = new Set(rows.map(({ base }) => base));
  const found = new Map<string, Found>();
  let count = 0;
  for (const place of [NEW, CUR] as const)
    for (const name of names[place]) {
      if (++count % NAMES === 0) yield null;
      const file: Found = { ...splitName(name), place };
      const row = isEmpty || moved.has(file.base) ? undefined : matched(account, folder, file.base);
      const twin = found.get(file.base) ?? row;
      if (row && twin === row && !isSameMessage(account, folder, file, row)) {
        // The name of a message that is still where it was.
        settleTwins(account, folder, file, row);
        continue;
      }
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

/** One of two names is left over from a move: it is the same file, or a copy of it. */
function isSameMessage(account: MaildirAccount, folder: Folder, one: Found, other: Found): boolean {
  const [path, otherPath] = [account.fileOf(folder, one), account.fileOf(folder, other)];
  const first = lstatSync(path, { throwIfNoEntry: false });
  const second = lstatSync(otherPath, { throwIfNoEntry: false });
  if (!first || !second || first.ino === second.ino) return true;
  return (
    first.isFile() &&
    second.isFile() &&
    first.size === second.size &&
    first.size <= MAX_COMPARED &&
    readRegular(path).equals(readRegular(otherPath))
  );
}

/** What is in the directory; a name that is no UTF-8 cannot be asked for as a string, so its file gets another one. */
function namesIn(account: MaildirAccount, folder: Folder, place: Place): string[] {
  const directory = account.placeOf(folder, place);
  const names = readdirSync(directory);
  if (!names.some((name) => name.includes('\ufffd'))) return names;
  return readdirSync(directory, { encoding: 'buffer' }).map((bytes) => {
    const name = bytes.toString('utf8');
    if (bytes.equals(Buffer.from(name))) return name;
    const info = shortInfo(splitName(name).info?.replaceAll('\ufffd', '') ?? null);
    const another = joinName(account.names.next(account.now()), info);
    renameIfThere(Buffer.concat([Buffer.from(`${directory}/`), bytes]), `${directory}/${another}`);
    return another;
  });
}

/** The file of a message that has this name, where the index has it. */
function matched(account: MaildirAccount, folder: Folder, base: string): MessageRow | undefined {
  const { uid } = parseBase(base);
  const row = uid?.validity === folder.uidValidity ? rowOf(account.index, folder, uid.uid) : undefined;
  return row?.base === base ? row : undefined;
}

/** Two files with one name: a move that was cut in the middle left one message twice, or they are two messages. */
function settleTwins(account: MaildirAccount, folder: Folder, one: Found, other: Found): void {
  const first = lstatSync(account.fileOf(folder, one), { throwIfNoEntry: false });
  const second = lstatSync(account.fileOf(folder, other), { throwIfNoEntry: false });
  if (!first?.isFile() || !second?.isFile()) return;
  if (isSameMessage(account, folder, one, other)) {
    unlinkIfThere(account.fileOf(folder, one));
    return;
  }
  account.log.warn({ mailbox: folder.path, file: one.base }, 'two messages with one file name');
  const name = account.names.next(account.now());
  const info = shortInfo(one.info) ?? '';
  renameIfThere(account.fileOf(folder, one), `${account.placeOf(folder, CUR)}/${joinName(name, info)}`);
  folder.dirty = true;
}

/** Which of the unknown files are messages, in the order in which they get UIDs. */
function* settlingStrangers(
  account: MaildirAccount,
  folder: Folder,
  found: Map<string, Found>,
): Steps<Stranger[]> {
  if (found.size === 0) return [];
  const removals = account.index.prepare<[string]>('SELECT base FROM removals WHERE id BETWEEN ? AND ?');
  for (const [base] of removals.all(folder.firstId, folder.lastId)) {
    const file = found.get(base);
    if (file) unlinkIfThere(account.fileOf(folder, file));
    found.delete(base);
  }
  const strangers: Stranger[] = [];
  let count = 0;
  for (const { base, place, info } of found.values()) {
    if (++count % LOOKS === 0) yield null;
    // A link would lead out of the tree, to what this mailbox's owner may not read.
    const stats = lstatSync(account.fileOf(folder, { base, place, info }), { throwIfNoEntry: false });
    if (!stats?.isFile()) continue;
    const { uid, size: said, seconds } = parseBase(base);
    const { size, mtimeMs, ctimeMs } = stats;
    if (size === 0 && uid && said !== 0) {
      // Its bytes were lost in a power cut, so nobody was told that it was delivered: the queue still has it.
      account.log.warn({ mailbox: folder.path, file: base }, 'empty message file removed');
      unlinkIfThere(account.fileOf(folder, { base, place, info }));
      continue;
    }
    const own = uid?.validity === folder.uidValidity ? uid.uid : 0;
    strangers.push({ base, place, info, size, mtimeMs, ctimeMs, seconds, uid: own });
  }
  yield null;
  // Of two with one UID the first by name keeps it.
  strangers.sort((a, b) => a.uid - b.uid || (a.base < b.base ? -1 : 1));
  yield null;
  const taken = account.index.prepare<[number]>(
    'SELECT 1 FROM messages WHERE id = ? UNION ALL SELECT 1 FROM tombstones WHERE id = ?',
  );
  let previous = 0;
  for (const stranger of strangers) {
    if (++count % NAMES === 0) yield null;
    const { uid } = stranger;
    const free = uid < folder.uidMark && uid !== previous;
    if (!free || (uid > 0 && taken.get(folder.id(uid), folder.id(uid)))) stranger.uid = 0;
    previous = uid;
  }
  const arrived = (a: Stranger, b: Stranger): number => a.seconds - b.seconds || (a.base < b.base ? -1 : 1);
  return [
    ...strangers.filter(({ uid }) => uid > 0),
    ...strangers.filter(({ uid }) => uid === 0).sort(arrived),
  ];
}

/** Letters kept of a name of another program: all flags and keywords fit, and the name stays within NAME_MAX. */
const MAX_INFO = 64;

function shortInfo(info: string | null): string | null {
  if (info === null || info.length <= MAX_INFO) return info;
  return [...new Set(info)]
    .filter((letter) => /[A-Za-z]/.test(letter))
    .sort()
    .join('');
}

type Named = Omit<MessageRow, 'id' | 'modSeq'> & { readonly name: BaseName; readonly onDisk: number };

/** Renames those whose name does not say all that a rebuilt index would need; durable when it returns. */
function* naming(account: MaildirAccount, folder: Folder, strangers: readonly Stranger[]): Steps<Named[]> {
  const named: Named[] = [];
  const renamed = new Set<Place>();
  const buffer = measuringBuffer();
  let count = 0;
  for (const stranger of strangers) {
    if (++count % READS === 0) yield null;
    const { place, size, mtimeMs, ctimeMs } = stranger;
    const name = parseBase(stranger.base);
    const crlfSize = crlfSizeOf(account, folder, stranger, name, buffer);
    if (crlfSize === undefined) continue;
    let { base, uid } = stranger;
    let { unique } = name;
    const info = shortInfo(stranger.info);
    const known = uid > 0 && name.size === size && name.crlfSize === crlfSize;
    if (!known || info !== stranger.info) {
      if (uid === 0) uid = folder.uidNext++;
      const fields = { size, crlfSize, validity: folder.uidValidity, uid, email: name.email };
      base = withFields(stranger.base, fields, name);
      if (Buffer.byteLength(joinName(base, info)) > MAX_NAME - 32) {
        unique = account.names.next(mtimeMs);
        base = composeBase(unique, fields);
      }
      try {
        renameSync(account.fileOf(folder, stranger), account.fileOf(folder, { base, place, info }));
      } catch (error) {
        if (isMissing(error)) continue;
        throw error;
      }
      renamed.add(place);
    }
    const email = name.email ?? emailBits(unique);
    named.push({
      uid,
      flags: bitsOfInfo(info, folder.keywords),
      internalDate: printable(mtimeMs),
      savedDate: printable(name.seconds > 0 ? name.seconds * 1000 : ctimeMs),
      size: crlfSize,
      emailHigh: email.high,
      emailLow: email.low,
      place,
      lf: crlfSize === size ? 0 : 1,
      info,
      base,
      name,
      onDisk: size,
    });
  }
  for (const place of renamed) syncDirectory(account.placeOf(folder, place));
  if (renamed.size > 0) account.noteTimes(folder);
  return named.sort((a, b) => a.uid - b.uid);
}

/** What INTERNALDATE can say: years of four digits (RFC 9051 9, date-year). */
function printable(time: number): number {
  return Math.round(Math.min(Math.max(time, Date.UTC(1900, 0)), Date.UTC(9999, 11)));
}

/**
 * What the name says, when it is one of ours and says it of this size; else the file is read. undefined when it is gone,
 * or cannot be read yet: then it is looked at again.
 */
function crlfSizeOf(
  account: MaildirAccount,
  folder: Folder,
  stranger: Stranger,
  { size: said, crlfSize }: BaseName,
  buffer: Buffer,
): number | undefined {
  const { size, uid } = stranger;
  if (uid > 0 && said === size && crlfSize !== null && crlfSize >= said && crlfSize <= said * 2)
    return crlfSize;
  try {
    return measure(account.fileOf(folder, stranger), buffer, size).crlfSize;
  } catch (error) {
    if (isMissing(error) || error instanceof NotRegular) return undefined;
    if (!['EACCES', 'EPERM', 'EIO'].includes(codeOf(error) ?? '')) throw error;
    account.log.warn({ err: error, mailbox: folder.path }, 'message file cannot be read, left out for now');
    return undefined;
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
