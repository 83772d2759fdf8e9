import { renameSync, statSync } from 'node:fs';
import { pack } from '../packed-messages.ts';
import type { MaildirAccount } from './account.ts';
import { readAcl, setDamagedAside } from './acl-file.ts';
import { noteSharers } from './acls.ts';
import { moveAside, syncDirectory } from './disk.ts';
import { bury } from './expunge.ts';
import { parseBase, withFields } from './file-name.ts';
import { bitsOfInfo, keywordBit } from './flags.ts';
import { type Folder, PLACES } from './folder.ts';
import { FOLDER_FILE, readFolderFile } from './folder-file.ts';
import { DERIVED, onwards } from './index.ts';
import { recoverIntents } from './intents.ts';
import { type MessageRow, rowsBetween } from './message-row.ts';
import { readSeen, seenFilesIn } from './seen-file.ts';
import type { Steps } from './turns.ts';

/**
 * Mends what check.ts finds. The tree is right about which messages there are, the index about their UIDs; a file whose
 * size is not what its name says is another message and gets another UID, because clients keep what they know of a UID
 * for ever (RFC 9051 2.3.1.1). `null` is a place where others may have their turn.
 */

/** Messages between two turns. */
const STEP = 200;

export function mendWhole(account: MaildirAccount): void {
  const { index } = account;
  const rows = [...account.folders.values()].map(({ row }) => row);
  const plans = index.prepare<[number]>('SELECT count(*) FROM intents').get()?.[0] ?? 0;
  if (plans > account.abandoned.size && account.abandoned.size === 0) recoverIntents(account);
  account.write('later', [], () => {
    for (const table of ['messages', 'pending', 'tombstones', 'removals', ...DERIVED.map(([name]) => name)])
      index
        .prepare(`DELETE FROM ${table} WHERE id >> 32 NOT IN (SELECT value FROM json_each(?))`)
        .run(JSON.stringify(rows));
    index
      .prepare(
        'INSERT OR IGNORE INTO forgotten SELECT id FROM texts_docsize WHERE id NOT IN (SELECT doc FROM keys)',
      )
      .run();
    const unread = index
      .prepare<[number]>(
        'SELECT id FROM keys WHERE doc > 0 AND doc NOT IN (SELECT id FROM texts_docsize) ORDER BY id',
      )
      .all();
    for (const [id] of unread) readAgain(account, id);
    for (const { mailbox } of account.folders.values()) account.indexer.added(mailbox);
  });
  account.recount();
}

/** The search index takes it for new. */
function readAgain({ index }: MaildirAccount, id: number): void {
  index.prepare('INSERT OR IGNORE INTO forgotten SELECT doc FROM keys WHERE id = ? AND doc > 0').run(id);
  for (const table of ['keys', 'sort_keys']) index.prepare(`DELETE FROM ${table} WHERE id = ?`).run(id);
  index.prepare('UPDATE indexed SET upto = min(upto, ? - 1) WHERE folder = ? >> 32').run(id, id);
}

/** After it the folder must be read again, and its numbers mended. */
export function* mendFolder(account: MaildirAccount, folder: Folder): Steps<void> {
  mendFolderFile(account, folder);
  setUnreadableAside(account, folder);
  noteSharers(account, [folder]);
  mendNumbers(account, folder);
  for (let from = 1; ; ) {
    const rows = rowsBetween(account.index, folder, from, 2 ** 32 - 1, -1, STEP);
    const last = rows.at(-1)?.uid ?? from;
    mendMessages(account, folder, rows);
    mendDerived(account, folder, from, rows.length < STEP ? 2 ** 32 - 1 : last);
    if (rows.length < STEP) break;
    from = onwards(from - 1, last) + 1;
    yield null;
  }
  // Files without rows, rows without files, letters that changed: the next look finds them.
  folder.dirty = true;
}

function mendFolderFile(account: MaildirAccount, folder: Folder): void {
  const directory = account.directoryOf(folder);
  const path = `${directory}/${FOLDER_FILE}`;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory())
    renameSync(path, `${path}.in-the-way-${account.names.next(account.now())}`);
  const file = readFolderFile(directory);
  const right =
    file?.mailbox === folder.mailbox &&
    file.uidValidity === folder.uidValidity &&
    file.uidMark >= folder.uidNext &&
    file.modSeqMark > folder.modSeq &&
    file.keywords.join('\n') === folder.keywords.join('\n');
  if (right) return;
  folder.uidMark = Math.max(folder.uidMark, folder.uidNext, file?.uidMark ?? 0);
  folder.modSeqMark = Math.max(folder.modSeqMark, folder.modSeq + 1, file?.modSeqMark ?? 0);
  account.writeFolderFile(folder);
}

/** Of who may do what, and has seen what, nobody else knows: it is as it was with the files, and they stay to be looked at. */
function setUnreadableAside(account: MaildirAccount, folder: Folder): void {
  const directory = account.directoryOf(folder);
  if (readAcl(directory).is === 'damaged') setDamagedAside(directory);
  for (const file of seenFilesIn(directory))
    if (!readSeen(directory, file)) moveAside(`${directory}/${file}`);
  folder.readers = null;
}

/** Counters, and numbers above all that are in use. */
export function mendNumbers(account: MaildirAccount, folder: Folder): void {
  const { index } = account;
  const ids = [folder.firstId, folder.lastId];
  const [total = 0, size = 0, unseen = 0] =
    index
      .prepare<[number, number, number]>(
        'SELECT count(*), total(size), total(flags & 1 = 0) FROM messages WHERE id BETWEEN ? AND ?',
      )
      .get(...ids) ?? [];
  let uid = 0;
  let modSeq = folder.modSeq;
  for (const table of ['messages', 'tombstones']) {
    const [id, highest] =
      index
        .prepare<[number | null, number | null]>(
          `SELECT max(id), max(modseq) FROM ${table} WHERE id BETWEEN ? AND ?`,
        )
        .get(...ids) ?? [];
    if (id) uid = Math.max(uid, folder.uidOf(id));
    modSeq = Math.max(modSeq, highest ?? 0);
  }
  const right =
    folder.total === total &&
    folder.size === size &&
    folder.unseen === unseen &&
    folder.uidNext > uid &&
    folder.modSeq === modSeq;
  if (right) return;
  folder.uidNext = Math.max(folder.uidNext, uid + 1);
  folder.modSeq = modSeq;
  account.reserve(folder, { uids: 1 });
  account.write('later', [folder], () => Object.assign(folder, { total, size, unseen }));
}

function mendMessages(account: MaildirAccount, folder: Folder, rows: readonly MessageRow[]): void {
  const { index } = account;
  const others: MessageRow[] = [];
  const reflagged: MessageRow[] = [];
  const pending = new Set(
    index.column('SELECT id FROM pending WHERE id BETWEEN ? AND ?', folder.firstId, folder.lastId),
  );
  const meaningless = folder.keywords.reduce(
    (bits, keyword, at) => (keyword === '' ? bits | keywordBit(at) : bits),
    0,
  );
  for (const row of rows) {
    const name = parseBase(row.base);
    const stats = statSync(account.fileOf(folder, row), { throwIfNoEntry: false });
    if (!stats?.isFile()) continue;
    if (stats.size !== name.size || name.crlfSize !== row.size) others.push(row);
    else if (name.uid?.uid !== row.uid || name.uid.validity !== folder.uidValidity)
      rename(account, folder, row);
    else if (pending.has(row.id)) {
      if (row.flags & meaningless) reflagged.push({ ...row, flags: row.flags & ~meaningless });
    } else if (bitsOfInfo(row.info, folder.keywords) !== row.flags)
      // Nothing was on its way to the name, so the index is wrong.
      reflagged.push({ ...row, flags: bitsOfInfo(row.info, folder.keywords) });
  }
  if (others.length + reflagged.length === 0) return;
  account.reserve(folder, { uids: 0 });
  account.write('later', [folder], () => {
    if (others.length > 0) bury(account, folder, others);
    for (const { id } of reflagged) index.prepare('INSERT OR IGNORE INTO pending VALUES (?, 0)').run(id);
    if (reflagged.length === 0) return;
    const modSeq = ++folder.modSeq;
    for (const { id, flags } of reflagged)
      index.prepare('UPDATE messages SET flags = ?, modseq = ? WHERE id = ?').run(flags, modSeq, id);
    const messages = reflagged.map((row) => ({ ...row, modSeq }));
    account.announce({ type: 'flags', mailbox: folder.mailbox, messages: pack(folder, messages) });
  });
  account.behind = true;
}

/** Its UID into its name. */
function rename(account: MaildirAccount, folder: Folder, row: MessageRow): void {
  const { size, crlfSize, email } = parseBase(row.base);
  if (size === null || crlfSize === null) return;
  const base = withFields(row.base, {
    size,
    crlfSize,
    validity: folder.uidValidity,
    uid: row.uid,
    email: email ?? { high: row.emailHigh, low: row.emailLow },
  });
  renameSync(account.fileOf(folder, row), account.fileOf(folder, { ...row, base }));
  syncDirectory(`${account.directoryOf(folder)}/${PLACES[row.place]}`);
  account.write('later', [], () =>
    account.index.prepare('UPDATE messages SET base = ? WHERE id = ?').run(base, row.id),
  );
}

function mendDerived(account: MaildirAccount, folder: Folder, first: number, last: number): void {
  const { index } = account;
  const bounds = [folder.id(first), folder.id(last)];
  account.write('later', [], () => {
    index
      .prepare(
        `INSERT OR IGNORE INTO forgotten SELECT doc FROM keys WHERE id BETWEEN ? AND ? AND doc > 0 AND id NOT IN
           (SELECT id FROM messages WHERE id BETWEEN ? AND ?)`,
      )
      .run(...bounds, ...bounds);
    for (const table of ['pending', ...DERIVED.map(([name]) => name)])
      index
        .prepare(
          `DELETE FROM ${table} WHERE id BETWEEN ? AND ? AND id NOT IN (SELECT id FROM messages WHERE id BETWEEN ? AND ?)`,
        )
        .run(...bounds, ...bounds);
    index
      .prepare('DELETE FROM tombstones WHERE id BETWEEN ? AND ? AND id IN (SELECT id FROM messages)')
      .run(...bounds);
    const unread = index
      .prepare<[number]>(
        `SELECT id FROM messages WHERE id BETWEEN ? AND ? AND id <= (SELECT upto FROM indexed WHERE folder = ?)
           AND id NOT IN (SELECT id FROM keys WHERE id BETWEEN ? AND ?)`,
      )
      .all(...bounds, folder.row, ...bounds);
    for (const [id] of unread) readAgain(account, id);
    if (unread.length > 0) account.indexer.added(folder.mailbox);
  });
}
