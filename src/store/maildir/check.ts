import { readdirSync, statSync } from 'node:fs';
import type { MaildirAccount } from './account.ts';
import { readAcl } from './acl-file.ts';
import { codeOf } from './disk.ts';
import { parseBase, splitName } from './file-name.ts';
import { bitsOfInfo, keywordBit } from './flags.ts';
import { type Folder, nameOf, PLACES } from './folder.ts';
import { readFolderFile } from './folder-file.ts';
import { DERIVED, onwards } from './index.ts';
import { type MessageRow, rowOf, rowsBetween } from './message-row.ts';
import { readSeen, seenFilesIn } from './seen-file.ts';

/**
 * Compares an account's index with its tree and changes nothing: a line of text for each disagreement. What cannot be
 * read is said, and the rest is looked at all the same. `null` is a place where others may have their turn: what they
 * change meanwhile is no disagreement, since each finding is made between two such places.
 */

export interface Disagreement {
  /** Path; '' is the account as a whole. */
  readonly mailbox: string;
  readonly problem: string;
}

/** Messages between two turns. */
const STEP = 200;

/** Everything at once; for who has the account alone. */
export function checkAccount(account: MaildirAccount): Disagreement[] {
  const found: Disagreement[] = account.index.integrity().map((problem) => ({ mailbox: '', problem }));
  for (const problem of checkWhole(account)) if (problem !== null) found.push({ mailbox: '', problem });
  for (const folder of account.folders.values())
    for (const problem of checkFolder(account, folder))
      if (problem !== null) found.push({ mailbox: folder.path, problem });
  return found;
}

/** What belongs to no folder. */
export function* checkWhole(account: MaildirAccount): Generator<string | null> {
  for (const [dir, reason] of account.unreadable)
    yield `${dir === '' ? 'INBOX' : `the folder in ${dir}`} cannot be read: ${reason}`;
  const { index } = account;
  const folders = new Set([...account.folders.values()].map(({ row }) => row));
  for (const [table, column] of HOMELESS) {
    const strays = index
      .prepare<[number]>(`SELECT DISTINCT ${column} >> 32 FROM ${table}`)
      .all()
      .filter(([row]) => !folders.has(row));
    if (strays.length > 0) yield `${table} has rows of ${strays.length} mailboxes that are not there`;
    yield null;
  }
  const intents = index.prepare<[number]>('SELECT count(*) FROM intents').get()?.[0] ?? 0;
  if (intents > account.abandoned.size) yield `${intents} copies or moves are not finished`;
  for (const [what, sql] of TEXTS) {
    const count = index.prepare<[number]>(sql).get()?.[0] ?? 0;
    if (count > 0) yield `${count} ${what}`;
    yield null;
  }
  const bytes = [...account.folders.values()].reduce((sum, { size }) => sum + size, 0);
  if (bytes !== account.usedBytes) yield `${bytes} octets in all mailboxes, counted ${account.usedBytes}`;
}

const HOMELESS: readonly (readonly [table: string, column: string])[] = [
  ...['messages', 'pending', 'tombstones', 'removals'].map((table) => [table, 'id'] as const),
  ...DERIVED.map(([table]) => [table, 'id'] as const),
];

/** The full text and the messages: each text has a message, or is about to go; each message that was read has one. */
export const TEXTS: readonly (readonly [what: string, sql: string])[] = [
  [
    'texts of no message in the full text',
    `SELECT count(*) FROM texts_docsize WHERE id NOT IN (SELECT doc FROM keys) AND id NOT IN (SELECT doc FROM forgotten)`,
  ],
  [
    'messages are missing in the full text',
    'SELECT count(*) FROM keys WHERE doc > 0 AND doc NOT IN (SELECT id FROM texts_docsize)',
  ],
];

export function* checkFolder(account: MaildirAccount, folder: Folder): Generator<string | null> {
  const onDisk = new Set<string>();
  for (const place of PLACES) {
    try {
      for (const name of readdirSync(`${account.directoryOf(folder)}/${place}`))
        if (!name.startsWith('.')) onDisk.add(`${place}/${name}`);
    } catch (error) {
      yield `${place}/ cannot be read: ${codeOf(error) ?? error}`;
    }
  }
  yield* checkFolderFile(account, folder);
  yield* checkSharing(account, folder);
  for (let from = 1; ; ) {
    const rows = rowsBetween(account.index, folder, from, 2 ** 32 - 1, -1, STEP);
    for (const row of rows) yield* checkMessage(account, folder, row, onDisk);
    yield* checkDerived(account, folder, from, rows.length < STEP ? 2 ** 32 - 1 : (rows.at(-1)?.uid ?? from));
    if (rows.length < STEP) break;
    from = onwards(from - 1, rows.at(-1)?.uid ?? 0) + 1;
    yield null;
  }
  yield* checkFiles(account, folder, onDisk);
  yield* checkCounters(account, folder);
}

function* checkMessage(
  account: MaildirAccount,
  folder: Folder,
  row: MessageRow,
  onDisk: Set<string>,
): Generator<string> {
  onDisk.delete(nameOf(row));
  let size: number | undefined;
  try {
    const stats = statSync(account.fileOf(folder, row), { throwIfNoEntry: false });
    if (!stats) yield `UID ${row.uid} has no file ${nameOf(row)}`;
    else if (!stats.isFile()) yield `UID ${row.uid}: ${nameOf(row)} is no file`;
    else size = stats.size;
  } catch (error) {
    yield `UID ${row.uid} cannot be read: ${codeOf(error) ?? error}`;
  }
  const name = parseBase(row.base);
  if (name.uid?.uid !== row.uid || name.uid.validity !== folder.uidValidity)
    yield `UID ${row.uid} is not in its name`;
  if (name.crlfSize !== row.size)
    yield `UID ${row.uid} is ${row.size} octets, its name says ${name.crlfSize}`;
  if (size !== undefined && size !== name.size)
    yield `UID ${row.uid} has ${size} octets on disk, its name says ${name.size}`;
  if (bitsOfInfo(row.info, folder.keywords) !== row.flags && !isPending(account, row))
    yield `UID ${row.uid} has other flags than its name`;
  for (const [at, keyword] of folder.keywords.entries())
    if (keyword === '' && row.flags & keywordBit(at))
      yield `UID ${row.uid} has the keyword of letter ${String.fromCharCode(97 + at)}, which means nothing`;
  if (row.modSeq > folder.modSeq) yield `UID ${row.uid} has a MODSEQ above the mailbox's`;
}

function isPending(account: MaildirAccount, row: MessageRow): boolean {
  return account.index.prepare('SELECT 1 FROM pending WHERE id = ?').get(row.id) !== undefined;
}

/** Rows about messages that are not there, and about such as are there and expunged. */
function* checkDerived(
  account: MaildirAccount,
  folder: Folder,
  first: number,
  last: number,
): Generator<string> {
  const bounds = [folder.id(first), folder.id(last)];
  const { index } = account;
  for (const table of ['pending', ...DERIVED.map(([name]) => name)]) {
    const count = index
      .prepare<[number]>(
        `SELECT count(*) FROM ${table} WHERE id BETWEEN ? AND ? AND id NOT IN
           (SELECT id FROM messages WHERE id BETWEEN ? AND ?)`,
      )
      .get(...bounds, ...bounds)?.[0];
    if (count) yield `${count} rows of no message in ${table}`;
  }
  const both = index
    .prepare<[number]>(
      'SELECT tombstones.id FROM tombstones JOIN messages USING (id) WHERE tombstones.id BETWEEN ? AND ?',
    )
    .all(...bounds);
  for (const [id] of both) yield `UID ${folder.uidOf(id)} is there and expunged`;
  const unread = index
    .prepare<[number]>(
      `SELECT count(*) FROM messages WHERE id BETWEEN ? AND ?
         AND id <= (SELECT upto FROM indexed WHERE folder = ?) AND id NOT IN (SELECT id FROM keys WHERE id BETWEEN ? AND ?)`,
    )
    .get(...bounds, folder.row, ...bounds)?.[0];
  if (unread) yield `${unread} messages count as indexed and are not`;
}

/** Names that no row had: by now one may have it, or the file may be gone. */
function* checkFiles(
  account: MaildirAccount,
  folder: Folder,
  onDisk: ReadonlySet<string>,
): Generator<string | null> {
  let looked = 0;
  for (const name of onDisk) {
    if (++looked % STEP === 0) yield null;
    const { base } = splitName(name.slice(4));
    const { uid } = parseBase(base);
    const row =
      uid && uid.validity === folder.uidValidity ? rowOf(account.index, folder, uid.uid) : undefined;
    if (row?.base === base && nameOf(row) === name) continue;
    const leaving = account.index
      .prepare('SELECT 1 FROM removals WHERE id BETWEEN ? AND ? AND base = ?')
      .get(folder.firstId, folder.lastId, base);
    if (leaving) continue;
    const stats = statSync(`${account.directoryOf(folder)}/${name}`, { throwIfNoEntry: false });
    if (!stats) continue;
    yield stats.isFile() ? `file not in the index: ${name}` : `no file: ${name}`;
  }
}

function* checkCounters(account: MaildirAccount, folder: Folder): Generator<string> {
  const { index } = account;
  const [total = 0, size = 0, unseen = 0, highest = 0] =
    index
      .prepare<[number, number, number, number]>(
        'SELECT count(*), total(size), total(flags & 1 = 0), max(id) FROM messages WHERE id BETWEEN ? AND ?',
      )
      .get(folder.firstId, folder.lastId) ?? [];
  if (folder.total !== total) yield `${total} messages, counted ${folder.total}`;
  if (folder.unseen !== unseen) yield `${unseen} unseen messages, counted ${folder.unseen}`;
  if (folder.size !== size) yield `${size} octets, counted ${folder.size}`;
  if (total > 0 && folder.uidOf(highest) >= folder.uidNext)
    yield `UIDNEXT ${folder.uidNext} is not above all UIDs`;
  const [tombstone = 0, modSeq = 0] =
    index
      .prepare<[number | null, number | null]>(
        'SELECT max(id), max(modseq) FROM tombstones WHERE id BETWEEN ? AND ?',
      )
      .get(folder.firstId, folder.lastId)
      ?.map((value) => value ?? 0) ?? [];
  if (tombstone > 0 && folder.uidOf(tombstone) >= folder.uidNext)
    yield `UIDNEXT ${folder.uidNext} is not above all expunged UIDs`;
  if (modSeq > folder.modSeq) yield "a tombstone has a MODSEQ above the mailbox's";
}

function* checkFolderFile(account: MaildirAccount, folder: Folder): Generator<string> {
  let file: ReturnType<typeof readFolderFile>;
  try {
    file = readFolderFile(account.directoryOf(folder));
  } catch (error) {
    yield `the folder file cannot be read: ${codeOf(error) ?? error}`;
    return;
  }
  if (!file) {
    yield 'the folder file is missing or damaged';
    return;
  }
  if (file.mailbox !== folder.mailbox) yield `the folder file says ${file.mailbox}`;
  if (file.uidValidity !== folder.uidValidity) yield `the folder file says UIDVALIDITY ${file.uidValidity}`;
  if (file.uidMark < folder.uidNext) yield `UIDNEXT ${folder.uidNext} is above its mark ${file.uidMark}`;
  if (file.modSeqMark <= folder.modSeq) yield `MODSEQ ${folder.modSeq} is above its mark ${file.modSeqMark}`;
  if (file.keywords.join('\n') !== folder.keywords.join('\n'))
    yield 'the folder file says other keywords than the index';
}

function* checkSharing(account: MaildirAccount, folder: Folder): Generator<string> {
  const directory = account.directoryOf(folder);
  const acl = readAcl(directory);
  if (acl.is !== 'list')
    yield `the access control list cannot be read (${acl.why}): nobody but the owner may use the mailbox`;
  for (const file of seenFilesIn(directory))
    if (!readSeen(directory, file)) yield `${file} cannot be read: this reader has seen nothing`;
}
