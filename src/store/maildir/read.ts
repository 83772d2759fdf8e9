import { closeSync, fstatSync, lstatSync, readSync, renameSync } from 'node:fs';
import { parseDate } from '../../message/date.ts';
import { fieldValues } from '../../message/header.ts';
import type { Part } from '../../message/structure.ts';
import { type MessageSummary, Summariser } from '../../message/summary.ts';
import type { SummaryRow } from '../packed-summaries.ts';
import { StoreError, type Summary, type SummaryPart, type Uid } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { codeOf, isMissing, NotRegular, openRegular, readRegular, syncDirectory } from './disk.ts';
import { parseBase, withFields } from './file-name.ts';
import type { Folder } from './folder.ts';
import { forgetDerived, type Index } from './index.ts';
import { toCrlf } from './line-ends.ts';
import { measure } from './measure.ts';
import { type MessageRow, rowOf } from './message-row.ts';

/** Reading messages: their bytes from the file, everything else worked out once and kept in the index. */

/** Messages up to this size come as bytes, which saves the other thread to open the file. */
export const SMALL: number = 64 * 1024;
/** How much of a bigger one is in memory at a time. */
const CHUNK = 256 * 1024;
/** Longer headers are read from the file each time. */
const MAX_CACHED_HEADER = 32 * 1024;

export interface StoredBytes {
  /** With CRLF line ends. */
  readonly size: number;
  /** All of it, when it is small. */
  readonly bytes: Uint8Array<ArrayBuffer> | null;
  /** Where it is now; the name changes with the flags. */
  readonly path: string;
  /** The file has bare LFs: not these bytes. */
  readonly lf: boolean;
}

/** Throws 'expunged'. */
export function readMessage(account: MaildirAccount, folder: Folder, uid: number): StoredBytes {
  return withFile(account, folder, uid, (row, path) => {
    if (row.size > SMALL) {
      const stats = lstatSync(path);
      if (!stats.isFile()) throw new NotRegular(path);
      if (stats.size !== sizeOnDisk(row)) return corrected(account, folder, row, path);
      return { size: row.size, bytes: null, path, lf: row.lf === 1 };
    }
    const file = readRegular(path);
    const bytes = row.lf === 1 ? toCrlf(file, 0) : file;
    if (bytes.length !== row.size) return corrected(account, folder, row, path);
    return { size: row.size, bytes: new Uint8Array(bytes), path, lf: row.lf === 1 };
  });
}

const COLUMNS: Readonly<Record<SummaryPart, string>> = {
  envelope: 'envelope',
  body: 'body',
  bodyStructure: 'body_structure',
};

/** The parts of those summaries that are there already; `uids` and what comes back ascend. */
export function knownSummaries(
  { index }: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
  parts: readonly SummaryPart[],
): SummaryRow[] {
  const columns = ['id', ...parts.map((part) => COLUMNS[part])].join(', ');
  const first = uids[0] ?? 0;
  const last = uids.at(-1) ?? -1;
  // Reading a stretch costs less than asking for each, unless most of it is not wanted.
  const rows =
    last - first < uids.length * 2
      ? index
          .prepare<[number, ...string[]]>(
            `SELECT ${columns} FROM summaries WHERE id BETWEEN ? AND ? ORDER BY id`,
          )
          .all(folder.id(first), folder.id(last))
      : uids.flatMap((uid) => {
          const row = index
            .prepare<[number, ...string[]]>(`SELECT ${columns} FROM summaries WHERE id = ?`)
            .get(folder.id(uid));
          return row ? [row] : [];
        });
  let wanted = 0;
  const found: SummaryRow[] = [];
  for (const row of rows) {
    row[0] = folder.uidOf(row[0]);
    while ((uids[wanted] ?? row[0]) < row[0]) wanted++;
    if (uids[wanted] === row[0]) found.push(row);
  }
  return found;
}

/** What IMAP prints of each; what is not there is left out. */
export function readSummaries(account: MaildirAccount, folder: Folder, uids: readonly number[]): Summary[] {
  const cached = account.index.prepare<[envelope: string, body: string, bodyStructure: string]>(
    'SELECT envelope, body, body_structure FROM summaries WHERE id = ?',
  );
  const found: Summary[] = [];
  const made: [number, MessageSummary][] = [];
  for (const uid of uids) {
    const [envelope, body, bodyStructure] = cached.get(folder.id(uid)) ?? [];
    if (envelope !== undefined && body !== undefined && bodyStructure !== undefined) {
      found.push({ uid: uid as Uid, envelope, body, bodyStructure });
      continue;
    }
    const summary = optional(() => summarise(account, folder, uid));
    if (!summary) continue;
    made.push([uid, summary]);
    const { envelope: e, body: b, bodyStructure: s } = summary;
    found.push({ uid: uid as Uid, envelope: e, body: b, bodyStructure: s });
  }
  keep(account, folder, made);
  return found;
}

/** Header blocks; what is not there is left out. */
export function readHeaders(
  account: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
): { uid: Uid; header: Uint8Array<ArrayBuffer> }[] {
  const made: [number, MessageSummary][] = [];
  const found: { uid: Uid; header: Uint8Array<ArrayBuffer> }[] = [];
  for (const uid of uids) {
    const header = optional(() => headerOf(account, folder, uid, made));
    if (header) found.push({ uid: uid as Uid, header });
  }
  keep(account, folder, made);
  return found;
}

/** Throws 'expunged'. */
export function readStructure(account: MaildirAccount, folder: Folder, uid: number): Part {
  const cached = account.index
    .prepare<[string]>('SELECT part FROM summaries WHERE id = ?')
    .get(folder.id(uid));
  const known = cached && partOf(cached[0]);
  if (known) return known;
  const summary = summarise(account, folder, uid);
  keep(account, folder, [[uid, summary]]);
  return summary.structure;
}

/** undefined when the index has it damaged: it is worked out again. */
function partOf(text: string): Part | undefined {
  try {
    return JSON.parse(text) as Part;
  } catch {
    return undefined;
  }
}

/** The bytes `start` to `end` as they go out, in pieces; for the search of texts. */
export function* readSpan(
  account: MaildirAccount,
  folder: Folder,
  uid: number,
  span: { readonly start: number; readonly end: number },
): Generator<Uint8Array> {
  let at = 0;
  for (const chunk of chunks(account, folder, uid)) {
    const start = Math.max(span.start - at, 0);
    const end = Math.min(span.end - at, chunk.length);
    if (start < end) yield chunk.subarray(start, end);
    at += chunk.length;
    if (at >= span.end) return;
  }
}

/** The header block with its blank line. Throws 'expunged'. */
export function headerOf(
  account: MaildirAccount,
  folder: Folder,
  uid: number,
  made: [number, MessageSummary][],
): Uint8Array<ArrayBuffer> {
  const cached = account.index
    .prepare<[Uint8Array]>('SELECT header FROM headers WHERE id = ?')
    .get(folder.id(uid));
  if (cached) return new Uint8Array(cached[0]);
  const summary = summarise(account, folder, uid);
  made.push([uid, summary]);
  if (summary.header) return new Uint8Array(summary.header);
  return new Uint8Array(Buffer.concat([...readSpan(account, folder, uid, summary.structure.header)]));
}

/** The Date field as it reads, its zone left out (RFC 9051 6.4.4: SENTSINCE); null when there is no usable one. */
export function sentDate(header: Uint8Array): number | null {
  const [value] = fieldValues(Buffer.from(header).toString('latin1'), 'date');
  const date = value === undefined ? undefined : parseDate(value);
  return date ? date.ms + date.zoneMinutes * 60_000 : null;
}

export function keep(
  account: MaildirAccount,
  folder: Folder,
  made: readonly [number, MessageSummary][],
): void {
  if (made.length === 0) return;
  account.write('later', [], () => {
    for (const [uid, summary] of made) keepSummary(account.index, folder.id(uid), summary);
  });
}

/** Inside a transaction. */
export function keepSummary(index: Index, id: number, summary: MessageSummary): void {
  const { envelope, body, bodyStructure, structure, header } = summary;
  const sent = header ? sentDate(header) : null;
  index
    .prepare('INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?)')
    .run(id, sent, envelope, body, bodyStructure, JSON.stringify(structure));
  if (header && header.length <= MAX_CACHED_HEADER)
    index.prepare('INSERT OR REPLACE INTO headers VALUES (?, ?)').run(id, header);
}

function summarise(account: MaildirAccount, folder: Folder, uid: number): MessageSummary {
  const summariser = new Summariser();
  for (const chunk of chunks(account, folder, uid)) summariser.write(chunk);
  return summariser.end();
}

/** The whole message as it goes out. Throws 'expunged'. */
function* chunks(account: MaildirAccount, folder: Folder, uid: number): Generator<Uint8Array> {
  const { fd, lf } = withFile(account, folder, uid, (row, path) => ({
    fd: openRegular(path),
    lf: row.lf === 1,
  }));
  try {
    const { size } = fstatSync(fd);
    let previous = 0;
    for (;;) {
      const buffer = Buffer.allocUnsafe(Math.min(CHUNK, size + 1));
      const bytes = readSync(fd, buffer);
      if (bytes === 0) return;
      const chunk = buffer.subarray(0, bytes);
      yield lf ? toCrlf(chunk, previous) : chunk;
      previous = chunk[bytes - 1] ?? 0;
    }
  } finally {
    closeSync(fd);
  }
}

/** Looks once more when another program renamed the file. */
export function withFile<T>(
  account: MaildirAccount,
  folder: Folder,
  uid: number,
  work: (row: MessageRow, path: string) => T,
): T {
  for (let attempt = 0; attempt < 3; attempt++) {
    const row = rowOf(account.index, folder, uid);
    if (!row) break;
    try {
      return work(row, account.fileOf(folder, row));
    } catch (error) {
      if (isUnreadable(error)) {
        // One message must not keep people from the others: it is left out like one that is gone.
        account.log.warn({ err: error, mailbox: folder.path, uid }, 'message file cannot be read');
        throw new StoreError('expunged', 'This message cannot be read', error);
      }
      if (!isMissing(error)) throw error;
      account.scan(folder);
    }
  }
  throw new StoreError('expunged', 'This message is gone');
}

function isUnreadable(error: unknown): boolean {
  return error instanceof NotRegular || ['EACCES', 'EPERM', 'EIO'].includes(codeOf(error) ?? '');
}

function sizeOnDisk(row: MessageRow): number {
  return row.lf === 0 ? row.size : (parseBase(row.base).size ?? row.size);
}

/** Another program changed the bytes of a message, which Maildir forbids: what we say of it must be true again. */
function corrected(account: MaildirAccount, folder: Folder, row: MessageRow, path: string): StoredBytes {
  account.log.warn({ mailbox: folder.path, uid: row.uid }, 'message file is not of the size it had');
  const { size, crlfSize } = measure(path);
  const bytes = crlfSize > SMALL ? null : new Uint8Array(toCrlf(readRegular(path), 0));
  const { uid } = row;
  const email = { high: row.emailHigh, low: row.emailLow };
  const fields = { size, crlfSize, validity: folder.uidValidity, uid, email };
  const base = withFields(row.base, fields);
  const named = account.fileOf(folder, { ...row, base });
  account.reserve(folder, { uids: 0 });
  account.touching(folder);
  renameSync(path, named);
  syncDirectory(account.placeOf(folder, row.place));
  account.touched(folder);
  account.write('later', [folder], () => {
    folder.size += crlfSize - row.size;
    const { index } = account;
    index
      .prepare('UPDATE messages SET size = ?, lf = ?, base = ? WHERE id = ?')
      .run(crlfSize, size === crlfSize ? 0 : 1, base, row.id);
    account.indexer.forgotten(folder.mailbox);
    forgetDerived(index, { list: JSON.stringify([row.id]) });
    index.prepare('UPDATE indexed SET upto = min(upto, ?) WHERE folder = ?').run(row.id - 1, folder.row);
  });
  account.dropRoster(folder);
  return { size: crlfSize, bytes, path: named, lf: size !== crlfSize };
}

function optional<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreError && error.kind === 'expunged') return undefined;
    throw error;
  }
}
