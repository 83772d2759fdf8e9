import { AT, STRIDE } from '../packed-messages.ts';
import { type ModSeq, StoreError, type Uid } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { unlinkIfThere } from './disk.ts';
import { SEEN } from './flags.ts';
import type { Folder } from './folder.ts';
import { forgetDerived } from './index.ts';
import { type MessageRow, rowsOf, stretchesOf } from './message-row.ts';

/**
 * Removing messages: the commit that makes a tombstone and notes the file waits for the disk, then the files go. What a
 * crash leaves of them is removed at the next start; a scan knows them and does not take them for new.
 */

/** Files that go at once; of more the rest goes in the background, so that nobody waits for it. */
const AT_ONCE = 100;

/** A message that goes. */
type Leaving = Pick<MessageRow, 'id' | 'uid' | 'size' | 'flags'>;

/** Resolves to those that were there. */
export function expunge(account: MaildirAccount, folder: Folder, uids: readonly number[]): number[] {
  const rows = leavingOf(account, folder, uids);
  if (rows.length === 0) return [];
  const going = rows.map(({ uid }) => uid);
  const first = rowsOf(account.index, folder, going.slice(0, AT_ONCE));
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
    for (const row of rowsOf(account.index, folder, going)) removeFile(account, folder, row);
    folder.dirty = true;
    commit();
  }
  for (const row of first) removeFile(account, folder, row);
  account.touched(folder);
  return going;
}

function leavingOf(account: MaildirAccount, folder: Folder, uids: readonly number[]): Leaving[] {
  const rows = account.roster(folder).rowsOf(uids);
  const found: Leaving[] = [];
  for (let at = 0; at < rows.length; at += STRIDE) {
    const uid = rows[at + AT.uid] ?? 0;
    found.push({ id: folder.id(uid), uid, size: rows[at + AT.size] ?? 0, flags: rows[at + AT.flags] ?? 0 });
  }
  return found;
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
export function removeRows(account: MaildirAccount, folder: Folder, rows: readonly Leaving[]): void {
  for (const [where, ...values] of stretchesOf(rows.map(({ id }) => id)))
    account.index
      .prepare(`INSERT INTO removals SELECT id, base, place, info FROM messages WHERE ${where}`)
      .run(...values);
  // Of many, what was worked out about them goes with their files (background.ts).
  bury(account, folder, rows, rows.length > AT_ONCE ? 'keys' : 'all');
  account.behind = true;
}

/** Takes messages, ascending, out of the index and leaves tombstones; inside a transaction. */
export function bury(
  account: MaildirAccount,
  folder: Folder,
  rows: readonly Leaving[],
  derived: 'all' | 'keys' = 'all',
): void {
  const { index } = account;
  folder.modSeq++;
  for (const [where, ...values] of stretchesOf(rows.map(({ id }) => id))) {
    const [one, two] = values;
    if (typeof one === 'string') forgetDerived(index, { list: one }, derived);
    else forgetDerived(index, { first: Number(one), last: Number(two) }, derived);
    index.prepare(`DELETE FROM pending WHERE ${where}`).run(...values);
    index
      .prepare(`INSERT INTO tombstones SELECT id, ? FROM messages WHERE ${where}`)
      .run(folder.modSeq, ...values);
    index.prepare(`DELETE FROM messages WHERE ${where}`).run(...values);
  }
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
