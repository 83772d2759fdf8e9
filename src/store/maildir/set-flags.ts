import { AT, type PackedMessages, packRows, STRIDE } from '../packed-messages.ts';
import { type FlagChange, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { bitsOf, SEEN } from './flags.ts';
import type { Folder } from './folder.ts';
import { stretchesOf } from './message-row.ts';

/** What STORE has done. */
export interface FlagsSet {
  readonly messages: PackedMessages;
  /** Of these: they were so already. */
  readonly unchanged: readonly number[];
  readonly conflicts: readonly number[];
}

const CHANGES: Readonly<Record<FlagChange['mode'], string>> = {
  set: '? | 0',
  add: 'flags | ?',
  remove: 'flags & ~?',
};

/**
 * STORE: one commit that waits for the disk, whatever the number of messages; the file names follow (background.ts).
 * Until they have, the row says both: the flags, and the letters that the file still has.
 */
export function setFlags(
  account: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
  change: FlagChange,
): FlagsSet {
  const { unchangedSince: limit = Number.MAX_SAFE_INTEGER, mode } = change;
  const rows = account.roster(folder).rowsOf(uids);
  const conflicts: number[] = [];
  let free = 0;
  for (let at = 0; at < rows.length; at += STRIDE) {
    if ((rows[at + AT.modSeq] ?? 0) > limit) conflicts.push(rows[at + AT.uid] ?? 0);
    else {
      if (free < at) rows.copyWithin(free, at, at + STRIDE);
      free += STRIDE;
    }
  }
  const result = rows.subarray(0, free);
  const unchanged: number[] = [];
  if (free > 0) {
    account.reserve(folder, mode === 'remove' ? { uids: 0 } : { uids: 0, flags: change.flags });
    changeRows(account, folder, result, mode, bitsOf(change.flags, folder.keywords), unchanged);
  }
  return { messages: packRows(folder, result.slice()), unchanged, conflicts };
}

/** In the index, and in `rows`; those that were so already are noted. */
function changeRows(
  account: MaildirAccount,
  folder: Folder,
  rows: Float64Array<ArrayBuffer>,
  mode: FlagChange['mode'],
  bits: number,
  unchanged: number[],
): void {
  const { index } = account;
  const modSeq = folder.modSeq + 1;
  const changed = new Float64Array(rows.length);
  const ids: number[] = [];
  let seen = 0;
  for (let at = 0; at < rows.length; at += STRIDE) {
    const before = rows[at + AT.flags] ?? 0;
    const flags = apply(mode, before, bits);
    if (flags === before) {
      unchanged.push(rows[at + AT.uid] ?? 0);
      continue;
    }
    rows[at + AT.flags] = flags;
    rows[at + AT.modSeq] = modSeq;
    changed.set(rows.subarray(at, at + STRIDE), ids.length * STRIDE);
    ids.push(folder.id(rows[at + AT.uid] ?? 0));
    seen += (flags & SEEN) - (before & SEEN);
  }
  if (ids.length === 0) return;
  account.write('wait', [folder], () => {
    folder.modSeq = modSeq;
    folder.unseen -= seen;
    let count = 0;
    for (const [where, ...values] of stretchesOf(ids)) {
      count += index
        .prepare(`UPDATE messages SET flags = ${CHANGES[mode]}, modseq = ? WHERE ${where}`)
        .run(bits, modSeq, ...values).changes;
      index.prepare(`INSERT OR IGNORE INTO pending SELECT id, 0 FROM messages WHERE ${where}`).run(...values);
    }
    if (count !== ids.length) {
      account.dropRoster(folder);
      throw new Error('what is known of a mailbox is not what its index says');
    }
    const messages = packRows(folder, changed.slice(0, ids.length * STRIDE));
    account.announce({ type: 'flags', mailbox: folder.mailbox, messages });
  });
  account.behind = true;
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
  try {
    account.write('later', [folder], () => {
      folder.firstRecent = folder.uidNext;
      index
        .prepare(
          'INSERT INTO pending SELECT id, 1 FROM messages WHERE place = 0 AND id BETWEEN ? AND ? ' +
            'ON CONFLICT DO UPDATE SET cur = 1',
        )
        .run(folder.firstId, folder.lastId);
    });
  } catch (error) {
    // On a full disk people read their mail all the same; the next session hears of it as recent once more.
    if (!(error instanceof StoreError && error.kind === 'disk-full')) throw error;
    return first;
  }
  account.behind = true;
  return first;
}
