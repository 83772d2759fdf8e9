import { randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, lstatSync, openSync, renameSync, type Stats } from 'node:fs';
import type { MailboxId, SpecialUse } from '../../store.ts';
import type { UidlFormat } from '../../uidl-format.ts';
import { exists, FILE_MODE, isMissing, NotRegular, syncDirectory, unlinkIfThere, writeAll } from '../disk.ts';
import { joinName, parseBase } from '../file-name.ts';
import type { Keywords } from '../flags.ts';
import { PLACES } from '../folder.ts';
import { readFolderFile, writeFolderFile } from '../folder-file.ts';
import { measure, measuringBuffer } from '../measure.ts';
import { makeParts } from '../tree.ts';
import type { Steps } from '../turns.ts';
import type { DovecotFolder } from './dovecot-tree.ts';
import { adoptedBase, Listed } from './identify.ts';
import { keywordsOf, readUidlist } from './inspect.ts';
import { type MessageFile, messageFiles } from './message-file.ts';
import {
  baseOf,
  formatUidlistEntry,
  formatUidlistHeader,
  UIDLIST_FILE,
  type Uidlist,
  type UidlistEntry,
} from './uidlist.ts';

/**
 * Makes a folder of Dovecot's one of ours, in place: first the folder file (durable), then the names, which get UID and
 * sizes, then a dovecot-uidlist with the new names, so that Dovecot still finds all messages under their UIDs. May be
 * stopped at any point and run again: what a name or the list says already is not done twice.
 */

export interface AdoptedFolder {
  /** Messages that carry their UID now. */
  readonly kept: number;
  /** Messages that get a UID when the account is opened. */
  readonly fresh: number;
}

export interface AdoptOptions {
  readonly use: SpecialUse | null;
  /** INBOX: the highest UIDVALIDITY that Dovecot gave. */
  readonly lastUidValidity: number;
  /** How Dovecot makes POP3's unique ids. */
  readonly uidl: UidlFormat;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export function adoptFolder(folder: DovecotFolder, options: AdoptOptions): AdoptedFolder {
  const list = readUidlist(folder);
  // A folder without a list is like one that somebody made by hand: the store takes it as it is.
  if (list === undefined || list === 'damaged')
    return { kept: 0, fresh: messageFiles(folder.directory).length };
  makeParts(folder.directory);
  identify(folder, list, options);
  const { entries, fresh } = nameFiles(folder, list, options.uidl);
  rewriteUidlist(folder, list, entries);
  return { kept: entries.length, fresh };
}

/** Changes that Dovecot may have counted on from our last MODSEQ (doveadm mailbox update --min-highest-modseq). */
const MODSEQ_MARGIN = 100_000;

function identify(folder: DovecotFolder, list: Uidlist, { use, lastUidValidity, now }: AdoptOptions): void {
  const before = readFolderFile(folder.directory);
  const same = before?.uidValidity === list.uidValidity ? before : undefined;
  const file = {
    mailbox: same?.mailbox ?? (`M${randomBytes(8).toString('hex')}` as MailboxId),
    uidValidity: list.uidValidity,
    uidMark: Math.max(list.uidNext, same?.uidMark ?? 1),
    // Above every MODSEQ that Dovecot can have shown (it counts changes, from 1), so that a client that comes with one
    // asks for all flags once, and misses none (RFC 7162 3.1).
    modSeqMark: Math.max(Math.floor(now / 1000), (same?.modSeqMark ?? 2) + MODSEQ_MARGIN),
    use: same?.use ?? use,
    keywords: merged(keywordsOf(folder).keywords, same?.keywords ?? []),
    lastUidValidity: Math.max(lastUidValidity, same?.lastUidValidity ?? 0),
  };
  if (JSON.stringify(file) !== JSON.stringify(same)) writeFolderFile(folder.directory, file);
}

/** A second adoption, after Dovecot had the tree again: what its letters mean now, and else what they meant before. */
function merged(theirs: Keywords, before: readonly string[]): Keywords {
  const taken = new Set(theirs.map((keyword) => keyword.toLowerCase()));
  return theirs.map((keyword, at) => {
    const former = before[at] ?? '';
    return keyword !== '' || taken.has(former.toLowerCase()) ? keyword : former;
  });
}

function nameFiles(
  folder: DovecotFolder,
  list: Uidlist,
  uidl: UidlFormat,
): { entries: UidlistEntry[]; fresh: number } {
  const listed = new Listed(list);
  const entries = new Map<number, UidlistEntry>();
  const touched = new Set<string>();
  const buffer = measuringBuffer();
  let fresh = 0;
  for (const file of messageFiles(folder.directory)) {
    const stats = lstatSync(file.path, { throwIfNoEntry: false });
    if (!stats?.isFile()) continue;
    const entry = listed.entryOf(file.base);
    const base = entry
      ? baseFor(file, stats, entry, list.uidValidity, buffer)
      : withoutTakenUid(file, listed, list);
    if (base === undefined) continue;
    if (base !== file.base) {
      const within = `${folder.directory}/${PLACES[file.place]}`;
      renameSync(file.path, `${within}/${joinName(base, file.info)}`);
      touched.add(within);
    }
    if (!entry) fresh++;
    else entries.set(entry.uid, listedAs(entry, base, list.uidValidity, uidl));
  }
  for (const directory of touched) syncDirectory(directory);
  return { entries: [...entries.values()].sort((a, b) => a.uid - b.uid), fresh };
}

/** undefined when the file is gone. */
function baseFor(
  file: MessageFile,
  stats: Stats,
  entry: UidlistEntry,
  validity: number,
  buffer: Buffer,
): string | undefined {
  const name = parseBase(file.base);
  const known = name.uid?.validity === validity && name.uid.uid === entry.uid;
  if (known && name.size === stats.size && name.crlfSize !== null) return file.base;
  const crlfSize =
    (name.size === stats.size ? name.crlfSize : null) ?? listedSize(entry, stats) ?? read(file.path, buffer);
  if (crlfSize === undefined) return undefined;
  return adoptedBase(file.base, { size: stats.size, crlfSize, validity, uid: entry.uid, email: name.email });
}

/** W of the list, when its S, or that of the listed name, is the file's size. */
function listedSize({ base, fields }: UidlistEntry, { size }: Stats): number | undefined {
  const listedSize = fields['S'] === undefined ? parseBase(base).size : Number(fields['S']);
  const crlfSize = Number(fields['W'] ?? 'none');
  return listedSize === size && Number.isSafeInteger(crlfSize) && crlfSize >= size ? crlfSize : undefined;
}

function read(path: string, buffer: Buffer): number | undefined {
  try {
    return measure(path, buffer).crlfSize;
  } catch (error) {
    if (isMissing(error) || error instanceof NotRegular) return undefined;
    throw error;
  }
}

/** A name that claims the UID of another message loses it; the store gives it a new one. */
function withoutTakenUid({ base }: MessageFile, listed: Listed, { uidValidity }: Uidlist): string {
  const { uid } = parseBase(base);
  if (uid?.validity !== uidValidity || !listed.has(uid.uid)) return base;
  return base.replace(/,U=[^,]*/, '');
}

/** A message that changed its name keeps the guid and the unique id that were made of it. */
function listedAs(entry: UidlistEntry, base: string, uidValidity: number, uidl: UidlFormat): UidlistEntry {
  const fields: Record<string, string> = { ...entry.fields };
  if (baseOf(base) !== entry.base) {
    const uniqueId = keptUidl(entry, uidValidity, uidl);
    if (uniqueId !== undefined) fields['P'] = uniqueId;
    fields['G'] ??= entry.base;
  }
  return { uid: entry.uid, base: baseOf(base), fields };
}

/** The POP3 unique id of a message, where UID and UIDVALIDITY do not say it. */
export function keptUidl(entry: UidlistEntry, uidValidity: number, uidl: UidlFormat): string | undefined {
  const { P: own, G: guid } = entry.fields;
  if (own !== undefined) return own === '' ? entry.base : own;
  if (uidl.needs === 'numbers') return undefined;
  return uidl.expand({
    uid: entry.uid,
    uidValidity,
    fileName: entry.base,
    ...(guid !== undefined && { guid }),
  });
}

function rewriteUidlist(folder: DovecotFolder, list: Uidlist, entries: readonly UidlistEntry[]): void {
  if (!exists(`${folder.control}/${UIDLIST_FILE}`)) return;
  writeUidlist(folder.control, list, entries);
}

/** Octets collected for one write. */
const WRITE = 256 * 1024;

/** Durably, in the place of the old one. */
export function writeUidlist(
  directory: string,
  header: Pick<Uidlist, 'uidValidity' | 'uidNext' | 'fields'>,
  entries: Iterable<UidlistEntry>,
): void {
  for (const _ of writingUidlist(directory, header, entries));
}

/** The same for who has others waiting: yields after each piece. */
export function* writingUidlist(
  directory: string,
  header: Pick<Uidlist, 'uidValidity' | 'uidNext' | 'fields'>,
  entries: Iterable<UidlistEntry>,
): Steps<void> {
  const temporary = `${directory}/${UIDLIST_FILE}.facteur`;
  const fd = openSync(temporary, 'w', FILE_MODE);
  let done = false;
  try {
    let text = formatUidlistHeader(header);
    for (const entry of entries) {
      text += formatUidlistEntry(entry);
      if (text.length < WRITE) continue;
      writeAll(fd, Buffer.from(text));
      text = '';
      yield null;
    }
    writeAll(fd, Buffer.from(text));
    fdatasyncSync(fd);
    done = true;
  } finally {
    closeSync(fd);
    if (!done) unlinkIfThere(temporary);
  }
  renameSync(temporary, `${directory}/${UIDLIST_FILE}`);
  syncDirectory(directory);
}
