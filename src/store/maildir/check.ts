import { readdirSync, statSync } from 'node:fs';
import type { MaildirAccount } from './account.ts';
import { parseBase, splitName } from './file-name.ts';
import { bitsOfInfo, SEEN } from './flags.ts';
import { type Folder, nameOf, PLACES } from './folder.ts';
import { readFolderFile } from './folder-file.ts';
import { type MessageRow, rowsBetween } from './message-row.ts';

/** Compares an account's index with its tree and changes nothing: one line of text for each disagreement. */

export interface Disagreement {
  /** Path; '' is the account as a whole. */
  readonly mailbox: string;
  readonly problem: string;
}

export function checkAccount(account: MaildirAccount): Disagreement[] {
  const found: Disagreement[] = account.index.integrity().map((problem) => ({ mailbox: '', problem }));
  for (const folder of account.folders.values())
    for (const problem of checkFolder(account, folder)) found.push({ mailbox: folder.path, problem });
  const orphans = account.index
    .prepare<[string, number]>(
      `SELECT 'pending', count(*) FROM pending WHERE id NOT IN (SELECT id FROM messages)
       UNION ALL SELECT 'summaries', count(*) FROM summaries WHERE id NOT IN (SELECT id FROM messages)
       UNION ALL SELECT 'headers', count(*) FROM headers WHERE id NOT IN (SELECT id FROM messages)
       UNION ALL SELECT 'intents', count(*) FROM intents`,
    )
    .all();
  for (const [table, count] of orphans)
    if (count > 0) found.push({ mailbox: '', problem: `${count} left over in ${table}` });
  return found;
}

function* checkFolder(account: MaildirAccount, folder: Folder): Generator<string> {
  const rows = rowsBetween(account.index, folder, 1, 2 ** 32 - 1);
  const onDisk = new Set<string>();
  for (const place of PLACES)
    for (const name of readdirSync(`${account.directoryOf(folder)}/${place}`))
      if (!name.startsWith('.')) onDisk.add(`${place}/${name}`);
  const pending = idsIn(account, folder, 'pending');
  for (const row of rows) yield* checkMessage(account, folder, row, onDisk, pending);
  const removals = account.index
    .prepare<[base: string]>('SELECT base FROM removals WHERE id BETWEEN ? AND ?')
    .all(folder.firstId, folder.lastId);
  const leaving = new Set(removals.map(([base]) => base));
  for (const name of onDisk)
    if (!leaving.has(splitName(name.slice(4)).base)) yield `file not in the index: ${name}`;
  const tombstones = idsIn(account, folder, 'tombstones');
  for (const { id } of rows) if (tombstones.has(id)) yield `UID ${folder.uidOf(id)} is there and expunged`;
  yield* checkCounters(account, folder, rows);
}

function* checkMessage(
  account: MaildirAccount,
  folder: Folder,
  row: MessageRow,
  onDisk: Set<string>,
  pending: ReadonlySet<number>,
): Generator<string> {
  const file = nameOf(row);
  if (!onDisk.delete(file)) {
    yield `UID ${row.uid} has no file ${file}`;
    return;
  }
  const name = parseBase(row.base);
  if (name.uid?.uid !== row.uid || name.uid.validity !== folder.uidValidity)
    yield `UID ${row.uid} is not in its name`;
  if (name.crlfSize !== row.size)
    yield `UID ${row.uid} is ${row.size} octets, its name says ${name.crlfSize}`;
  const { size } = statSync(account.fileOf(folder, row));
  if (size !== name.size) yield `UID ${row.uid} has ${size} octets on disk, its name says ${name.size}`;
  if (!pending.has(row.id) && bitsOfInfo(row.info, folder.keywords) !== row.flags)
    yield `UID ${row.uid} has other flags than its name`;
  if (row.modSeq > folder.modSeq) yield `UID ${row.uid} has a MODSEQ above the mailbox's`;
}

function* checkCounters(
  account: MaildirAccount,
  folder: Folder,
  rows: readonly MessageRow[],
): Generator<string> {
  const size = rows.reduce((sum, row) => sum + row.size, 0);
  const unseen = rows.filter((row) => !(row.flags & SEEN)).length;
  if (folder.total !== rows.length) yield `${rows.length} messages, counted ${folder.total}`;
  if (folder.unseen !== unseen) yield `${unseen} unseen messages, counted ${folder.unseen}`;
  if (folder.size !== size) yield `${size} octets, counted ${folder.size}`;
  if ((rows.at(-1)?.uid ?? 0) >= folder.uidNext) yield `UIDNEXT ${folder.uidNext} is not above all UIDs`;
  const file = readFolderFile(account.directoryOf(folder));
  if (!file) yield 'the folder file is missing or damaged';
  else {
    if (file.mailbox !== folder.mailbox) yield `the folder file says ${file.mailbox}`;
    if (file.uidValidity !== folder.uidValidity) yield `the folder file says UIDVALIDITY ${file.uidValidity}`;
    if (file.uidMark < folder.uidNext) yield `UIDNEXT ${folder.uidNext} is above its mark ${file.uidMark}`;
    if (file.modSeqMark <= folder.modSeq)
      yield `MODSEQ ${folder.modSeq} is above its mark ${file.modSeqMark}`;
  }
}

function idsIn(account: MaildirAccount, folder: Folder, table: 'pending' | 'tombstones'): Set<number> {
  const rows = account.index
    .prepare<[number]>(`SELECT id FROM ${table} WHERE id BETWEEN ? AND ?`)
    .all(folder.firstId, folder.lastId);
  return new Set(rows.map(([id]) => id));
}
