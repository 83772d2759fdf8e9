import type { AccountId } from '../../directory/directory.ts';
import { AT, packRows, STRIDE } from '../packed-messages.ts';
import { StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { stretchesOf } from './message-row.ts';
import { type Ranges, readSeen, seenFileOf, seenFilesIn, writeSeen } from './seen-file.ts';
import type { FlagsSet } from './set-flags.ts';
import { treeOf } from './tree.ts';
import type { Steps } from './turns.ts';
import { either, type UidSet, uidSet, without } from './uid-set.ts';

/**
 * What readers who are not the owner have seen of a folder. The files are all there is; MODSEQs are the messages' own,
 * so whoever has the folder open hears of a change, and it is no news to those whose \Seen it is not.
 */

/** Readers of one folder whose \Seen is kept. */
const MAX_READERS = 2000;

/** Ascending; only messages that are there. */
export function seenBy(account: MaildirAccount, folder: Folder, reader: AccountId): UidSet {
  const seen = readSeen(account.directoryOf(folder), seenFileOf(reader));
  if (seen?.uidValidity !== folder.uidValidity) return new Uint32Array(0);
  return within(account.roster(folder).uids(), seen.ranges);
}

/**
 * The MODSEQs first, then the file: a crash between the two has messages looked at again that did not change; the other
 * way round, a change that nobody hears of (RFC 7162 3.1). Both are durable when it returns.
 */
export function setSeenBy(
  account: MaildirAccount,
  folder: Folder,
  reader: AccountId,
  uids: readonly number[],
  change: { readonly seen: 'yes' | 'no'; readonly unchangedSince: number },
): FlagsSet {
  const rows = account.roster(folder).rowsOf(uids);
  const before = seenBy(account, folder, reader);
  const conflicts: number[] = [];
  const places: number[] = [];
  for (let at = 0; at < rows.length; at += STRIDE) {
    if ((rows[at + AT.modSeq] ?? 0) > change.unchangedSince) conflicts.push(rows[at + AT.uid] ?? 0);
    else places.push(at);
  }
  const asked = uidSet(places.map((at) => rows[at + AT.uid] ?? 0));
  const after = change.seen === 'yes' ? either(before, asked) : without(before, asked);
  const changed = change.seen === 'yes' ? without(asked, before) : without(before, after);
  if (changed.length > 0) {
    const known = new Set(changed);
    admitReader(account, folder, reader);
    const isChanged = (at: number): boolean => known.has(rows[at + AT.uid] ?? 0);
    raise(account, folder, rows, places.filter(isChanged), () =>
      save(account, folder, reader, rangesOf(after, account.roster(folder).uids())),
    );
  }
  const result = new Float64Array(places.length * STRIDE);
  for (const [to, at] of places.entries()) result.set(rows.subarray(at, at + STRIDE), to * STRIDE);
  const unchanged = [...without(asked, changed)];
  return { messages: packRows(folder, result), unchanged, conflicts };
}

/**
 * COPY and MOVE: the messages that will be there under these UIDs were seen by the same readers. Comes before they are
 * there: a UID that stays without a message does no harm, and no other message will have it.
 */
export function copySeen(
  account: MaildirAccount,
  from: Folder,
  to: Folder,
  pairs: readonly { readonly from: number; readonly to: number }[],
): void {
  for (const file of readersOf(account, from)) {
    const source = readSeen(account.directoryOf(from), file);
    if (source?.uidValidity !== from.uidValidity || seenFileOf(source.account) !== file) continue;
    const sources = uidSet(pairs.map((pair) => pair.from));
    const seen = new Set(within(sources, source.ranges));
    const coming = uidSet(pairs.map((pair) => pair.to));
    const fresh = uidSet(pairs.filter((pair) => seen.has(pair.from)).map((pair) => pair.to));
    if (fresh.length === 0) continue;
    if (!readersOf(account, to).has(file) && readersOf(account, to).size >= MAX_READERS) continue;
    const before = seenBy(account, to, source.account);
    const there = account.roster(to).uids();
    // All of them come after what is there.
    const [known, added] = [rangesOf(before, there), rangesOf(fresh, coming)];
    const ranges = new Uint32Array(known.length + added.length);
    ranges.set(known);
    ranges.set(added, known.length);
    try {
      save(account, to, source.account, ranges);
    } catch (error) {
      // That one has read too much here and there is no reason to keep mail from being copied.
      if (!(error instanceof StoreError && error.kind === 'limit')) throw error;
    }
  }
}

/** Who gets this name next is somebody else. */
export function* forgetSeenBy(account: MaildirAccount, reader: AccountId): Steps<void> {
  const file = seenFileOf(reader);
  for (const { mailbox } of [...account.folders.values()]) {
    const folder = account.folders.get(mailbox);
    if (folder && readersOf(account, folder).has(file)) save(account, folder, reader, NO_RANGES);
    yield null;
  }
}

const NO_RANGES: Ranges = new Uint32Array(0);

/** The fewest ranges that hold these, and of `there` no others; between two of them may lie UIDs that are gone. */
export function rangesOf(uids: UidSet, there: UidSet): Ranges {
  const ranges = new Uint32Array(2 * uids.length);
  let count = 0;
  let wanted = 0;
  let isOpen = false;
  for (const uid of there) {
    if (wanted >= uids.length) break;
    if (uids[wanted] === uid) {
      if (!isOpen) ranges[count++] = uid;
      ranges[isOpen ? count - 1 : count++] = uid;
      wanted++;
      isOpen = true;
    } else isOpen = false;
  }
  return ranges.slice(0, count);
}

/** Those of `uids` that lie in the ranges. */
export function within(uids: UidSet, ranges: Ranges): UidSet {
  const found = new Uint32Array(uids.length);
  let count = 0;
  let at = 0;
  for (const uid of uids) {
    while (at < ranges.length && (ranges[at + 1] ?? 0) < uid) at += 2;
    if (at >= ranges.length) break;
    if ((ranges[at] ?? 0) <= uid) found[count++] = uid;
  }
  return found.subarray(0, count);
}

/** Who hears of it may ask at once, so the file is written between the commit and the announcement. */
function raise(
  account: MaildirAccount,
  folder: Folder,
  rows: Float64Array<ArrayBuffer>,
  places: readonly number[],
  write: () => void,
): void {
  account.reserve(folder, { uids: 0 });
  const modSeq = folder.modSeq + 1;
  const changed = new Float64Array(places.length * STRIDE);
  for (const [to, at] of places.entries()) {
    rows[at + AT.modSeq] = modSeq;
    changed.set(rows.subarray(at, at + STRIDE), to * STRIDE);
  }
  account.write('wait', [folder], () => {
    folder.modSeq = modSeq;
    let count = 0;
    for (const [where, ...values] of stretchesOf(places.map((at) => folder.id(rows[at + AT.uid] ?? 0))))
      count += account.index
        .prepare(`UPDATE messages SET modseq = ? WHERE ${where}`)
        .run(modSeq, ...values).changes;
    if (count !== places.length) {
      account.dropRoster(folder);
      throw new Error('what is known of a mailbox is not what its index says');
    }
  });
  try {
    write();
  } finally {
    account.tell({ type: 'flags', mailbox: folder.mailbox, messages: packRows(folder, changed) });
  }
}

function save(account: MaildirAccount, folder: Folder, reader: AccountId, ranges: Ranges): void {
  const directory = account.directoryOf(folder);
  const write = (): void =>
    writeSeen(directory, { account: reader, uidValidity: folder.uidValidity, ranges });
  const readers = readersOf(account, folder);
  // What we write into the Maildir itself is no reason to read its folders again.
  if (folder === account.inbox) treeOf(account).changing(account, write);
  else write();
  if (ranges.length > 0) readers.add(seenFileOf(reader));
  else readers.delete(seenFileOf(reader));
}

/** Looked for once: nobody else makes such files while we have the account. */
function readersOf(account: MaildirAccount, folder: Folder): Set<string> {
  folder.readers ??= new Set(seenFilesIn(account.directoryOf(folder)));
  return folder.readers;
}

/** Throws 'limit'. */
function admitReader(account: MaildirAccount, folder: Folder, reader: AccountId): void {
  const readers = readersOf(account, folder);
  if (readers.size >= MAX_READERS && !readers.has(seenFileOf(reader)))
    throw new StoreError('limit', 'Too many read this mailbox for each to have marks of their own');
}
