import { type ModSeq, StoreError, type Uid } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { unlinkIfThere } from './disk.ts';
import { SEEN } from './flags.ts';
import type { Folder } from './folder.ts';
import { forgetDerived } from './index.ts';
import { IN_LIST, idList, type MessageRow, rowsOf } from './message-row.ts';

/**
 * Removing messages: the commit that makes a tombstone and notes the file waits for the disk, then the files go. What a
 * crash leaves of them is removed at the next start; a scan knows them and does not take them for new.
 */

/** Files that go at once; of more the rest goes in the background, so that nobody waits for it. */
const AT_ONCE = 100;

/** Resolves to those that were there. */
export function expunge(account: MaildirAccount, folder: Folder, uids: readonly number[]): number[] {
  const rows = rowsOf(account.index, folder, uids);
  if (rows.length === 0) return [];
  const commit = (): void => {
    account.reserve(folder, { uids: 0 });
    account.write('wait', [folder], () => removeRows(account, folder, rows));
  };
  account.touching(folder);
  try {
    commit();
  } catch (error) {
    if (!(error instanceof StoreError && error.kind === 'disk-full')) throw error;
    // Nothing can be written, and this is how people make room: the files first. Should the index still not take it,
    // the next scan sees that they are gone.
    for (const row of rows) removeFile(account, folder, row);
    folder.dirty = true;
    commit();
  }
  for (const row of rows.slice(0, AT_ONCE)) removeFile(account, folder, row);
  account.touched(folder);
  return rows.map(({ uid }) => uid);
}

/** When it is not there under the name we know, somebody renamed it: the next scan finds and removes it. */
export function removeFile(
  account: MaildirAccount,
  folder: Folder,
  file: Pick<MessageRow, 'id' | 'base' | 'place' | 'info'>,
): void {
  if (unlinkIfThere(account.fileOf(folder, file))) account.removed.add(file.id);
  else folder.dirty = true;
}

/** Inside a transaction. */
export function removeRows(account: MaildirAccount, folder: Folder, rows: readonly MessageRow[]): void {
  const ids = idList(rows);
  account.index
    .prepare(`INSERT INTO removals SELECT id, base, place, info FROM messages WHERE id IN ${IN_LIST}`)
    .run(ids);
  bury(account, folder, rows);
  account.behind = true;
}

/** Takes messages out of the index and leaves tombstones; inside a transaction. */
export function bury(account: MaildirAccount, folder: Folder, rows: readonly MessageRow[]): void {
  const { index } = account;
  const ids = idList(rows);
  folder.modSeq++;
  for (const table of ['messages', 'pending'])
    index.prepare(`DELETE FROM ${table} WHERE id IN ${IN_LIST}`).run(ids);
  forgetDerived(index, { list: ids });
  index.prepare('INSERT INTO tombstones SELECT value, ? FROM json_each(?)').run(folder.modSeq, ids);
  for (const row of rows) {
    folder.total--;
    folder.size -= row.size;
    if (!(row.flags & SEEN)) folder.unseen--;
  }
  account.announce({
    type: 'expunged',
    mailbox: folder.mailbox,
    uids: rows.map(({ uid }) => uid as Uid),
    modSeq: folder.modSeq as ModSeq,
  });
}

/** UIDs gone since `since`; when that is further back than we remember, all that are not there (RFC 7162 3.2.7). */
export function vanished(account: MaildirAccount, folder: Folder, since: number): number[] {
  const { index } = account;
  if (since >= folder.modSeq) return [];
  if (since >= folder.vanishedFloor) {
    const rows = index
      .prepare<[number]>('SELECT id FROM tombstones WHERE id BETWEEN ? AND ? AND modseq > ? ORDER BY id')
      .all(folder.firstId, folder.lastId, since);
    return rows.map(([id]) => folder.uidOf(id));
  }
  const there = new Set(
    index
      .prepare<[number]>('SELECT id FROM messages WHERE id BETWEEN ? AND ?')
      .all(folder.firstId, folder.lastId)
      .map(([id]) => folder.uidOf(id)),
  );
  const gone: number[] = [];
  for (let uid = 1; uid < folder.uidNext; uid++) if (!there.has(uid)) gone.push(uid);
  return gone;
}
