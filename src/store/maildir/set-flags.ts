import { type Packable, type PackedMessages, pack } from '../packed-messages.ts';
import type { FlagChange } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { bitsOf, SEEN } from './flags.ts';
import type { Folder } from './folder.ts';
import { IN_LIST, idList, type MessageRow, rowsOf } from './message-row.ts';

/**
 * STORE: one commit that waits for the disk, whatever the number of messages; the file names follow (background.ts).
 * Until they have, the row says both: the flags, and the letters that the file still has.
 */
export function setFlags(
  account: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
  change: FlagChange,
): { readonly messages: PackedMessages; readonly conflicts: readonly number[] } {
  const rows = rowsOf(account.index, folder, uids);
  const limit = change.unchangedSince ?? Number.POSITIVE_INFINITY;
  const conflicts = rows.filter(({ modSeq }) => modSeq > limit).map(({ uid }) => uid);
  const free = rows.filter(({ modSeq }) => modSeq <= limit);
  if (free.length === 0) return { messages: pack(folder, []), conflicts };
  account.reserve(folder, change.mode === 'remove' ? { uids: 0 } : { uids: 0, flags: change.flags });
  const bits = bitsOf(change.flags, folder.keywords);
  const modSeq = folder.modSeq + 1;
  const result: Packable[] = [];
  const changed: MessageRow[] = [];
  for (const row of free) {
    const flags = apply(change.mode, row.flags, bits);
    if (flags === row.flags) result.push(row);
    else {
      const next = { ...row, flags, modSeq };
      result.push(next);
      changed.push(next);
    }
  }
  if (changed.length > 0) {
    const before = new Map(free.map((row) => [row.id, row.flags]));
    account.write('wait', [folder], () => {
      folder.modSeq = modSeq;
      const update = account.index.prepare(
        `UPDATE messages SET flags = ?, modseq = ? WHERE id IN ${IN_LIST}`,
      );
      for (const flags of new Set(changed.map((row) => row.flags)))
        update.run(flags, modSeq, idList(changed.filter((row) => row.flags === flags)));
      account.index
        .prepare('INSERT OR IGNORE INTO pending SELECT value, 0 FROM json_each(?)')
        .run(idList(changed));
      for (const row of changed) folder.unseen += ((before.get(row.id) ?? 0) & SEEN) - (row.flags & SEEN);
      account.announce({ type: 'flags', mailbox: folder.mailbox, messages: pack(folder, changed) });
    });
    account.behind = true;
  }
  return { messages: pack(folder, result), conflicts };
}

function apply(mode: FlagChange['mode'], flags: number, bits: number): number {
  switch (mode) {
    case 'set':
      return bits;
    case 'add':
      return flags | bits;
    case 'remove':
      return flags & ~bits;
  }
}

/**
 * A session takes what is \Recent: later ones start after it (RFC 3501 2.3.2). Files in new/ move to cur/, so that
 * other programs see that the mail is no longer new.
 */
export function claimRecent(account: MaildirAccount, folder: Folder): number {
  const first = folder.firstRecent;
  const { index } = account;
  const fresh = index
    .prepare<[number]>('SELECT count(*) FROM messages WHERE place = 0 AND id BETWEEN ? AND ?')
    .get(folder.firstId, folder.lastId);
  if (first === folder.uidNext && !fresh?.[0]) return first;
  account.write('later', [folder], () => {
    folder.firstRecent = folder.uidNext;
    index
      .prepare(
        'INSERT INTO pending SELECT id, 1 FROM messages WHERE place = 0 AND id BETWEEN ? AND ? ' +
          'ON CONFLICT DO UPDATE SET cur = 1',
      )
      .run(folder.firstId, folder.lastId);
  });
  account.behind = true;
  return first;
}
