import type { MailboxId, SpecialUse } from '../store.ts';
import { Folder, type FolderState } from './folder.ts';
import { forgetDerived, type Index } from './index.ts';

/** The folders' table: what `Folder` holds, so that a clean start needs no scan. */

/** Folders read in one go. */
const STEP = 500;

type Columns = [
  id: number,
  mailbox: MailboxId,
  dir: string,
  uidValidity: number,
  uidNext: number,
  uidMark: number,
  modSeq: number,
  modSeqMark: number,
  use: SpecialUse | null,
  keywords: string,
  total: number,
  unseen: number,
  size: number,
  firstRecent: number,
  vanishedFloor: number,
  newTime: number,
  curTime: number,
  certain: 0 | 1,
];

/** The next ones, in the order of their numbers; none is the end. */
export function loadFolders(
  index: Index,
  pathOf: (dir: string) => string | undefined,
  after: number,
): Folder[] {
  const some = `SELECT * FROM folders WHERE id > ? ORDER BY id LIMIT ${STEP}`;
  const rows = index.prepare<Columns>(some).all(after);
  return rows.map(
    ([
      id,
      mailbox,
      dir,
      uidValidity,
      uidNext,
      uidMark,
      modSeq,
      modSeqMark,
      use,
      keywords,
      total,
      unseen,
      size,
      firstRecent,
      vanishedFloor,
      newTime,
      curTime,
      certain,
    ]) =>
      new Folder(id, mailbox, {
        dir,
        path: pathOf(dir) ?? dir,
        uidValidity,
        uidNext,
        uidMark,
        modSeq,
        modSeqMark,
        use,
        keywords: keywords.split('\n'),
        total,
        unseen,
        size,
        firstRecent,
        vanishedFloor,
        times: [newTime, curTime],
        certain: certain === 1,
      }),
  );
}

export function insertFolder(index: Index, mailbox: MailboxId, state: FolderState): Folder {
  const { lastInsertRowid } = index
    .prepare(
      `INSERT INTO folders (mailbox, dir, uid_validity, uid_next, uid_mark, modseq, modseq_mark, special_use, keywords,
         total, unseen, size, first_recent, vanished_floor, new_time, cur_time, certain)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(mailbox, ...values(state));
  return new Folder(Number(lastInsertRowid), mailbox, state);
}

export function saveFolder(index: Index, folder: Folder): void {
  index
    .prepare(
      `UPDATE folders SET dir = ?, uid_validity = ?, uid_next = ?, uid_mark = ?, modseq = ?, modseq_mark = ?,
         special_use = ?, keywords = ?, total = ?, unseen = ?, size = ?, first_recent = ?, vanished_floor = ?,
         new_time = ?, cur_time = ?, certain = ? WHERE id = ?`,
    )
    .run(...values(folder), folder.row);
}

/** Gives up their directories in the index, so that other folders can have them. */
export function setAside(index: Index, folders: readonly Folder[]): void {
  const update = index.prepare('UPDATE folders SET dir = ? WHERE id = ?');
  for (const { row } of folders) update.run(`/${row}`, row);
}

/** With all its messages, tombstones and what was remembered of them; deliveries stay known. */
export function deleteFolder(index: Index, folder: Folder): void {
  forgetDerived(index, { first: folder.firstId, last: folder.lastId });
  for (const table of ['messages', 'pending', 'tombstones', 'removals'])
    index.prepare(`DELETE FROM ${table} WHERE id BETWEEN ? AND ?`).run(folder.firstId, folder.lastId);
  index.prepare('DELETE FROM indexed WHERE folder = ?').run(folder.row);
  index.prepare('DELETE FROM folders WHERE id = ?').run(folder.row);
}

function values(state: FolderState): (string | number | null)[] {
  return [
    state.dir,
    state.uidValidity,
    state.uidNext,
    state.uidMark,
    state.modSeq,
    state.modSeqMark,
    state.use,
    state.keywords.join('\n'),
    state.total,
    state.unseen,
    state.size,
    state.firstRecent,
    state.vanishedFloor,
    state.times[0],
    state.times[1],
    state.certain ? 1 : 0,
  ];
}
