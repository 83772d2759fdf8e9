import { ranks, type SortBy, type SortKey, sorted } from '../../message/sort.ts';
import { type ThreadAlgorithm, threads } from '../../message/threads.ts';
import type { SearchCriteria } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { Columns, picked } from './columns.ts';
import type { Folder } from './folder.ts';
import { type FolderKeys, folderKeys } from './folder-keys.ts';
import { unindexed } from './indexer.ts';
import { search } from './search.ts';
import { threadId } from './thread-ids.ts';
import { both, type UidSet, uidSet } from './uid-set.ts';

/** UIDs that are asked for one by one. */
const FEW = 300;

/** SORT, THREAD and THREADID from the keys in the index; what is not indexed yet is, first. */

export interface UidForest {
  /** In preorder; 0 is a parent that is not there, at level 0. */
  readonly uids: Uint32Array<ArrayBuffer>;
  readonly levels: Uint32Array<ArrayBuffer>;
}

export function* sort(
  account: MaildirAccount,
  folder: Folder,
  criteria: SearchCriteria,
  keys: readonly SortKey[],
): Generator<null, Uint32Array<ArrayBuffer>> {
  const uids = yield* found(account, folder, criteria);
  const columns: { values: Float64Array; order: SortKey['order'] }[] = [];
  for (const { by, order } of keys)
    columns.push({ values: yield* valuesOf(account, folder, uids, by), order });
  const order = sorted(uids.length, columns);
  return order.map((at) => uids[at] ?? 0);
}

export function* thread(
  account: MaildirAccount,
  folder: Folder,
  criteria: SearchCriteria,
  algorithm: ThreadAlgorithm,
): Generator<null, UidForest> {
  const uids = yield* found(account, folder, criteria);
  const keys = yield* folderKeys(account, folder);
  const { messages, levels } = threads(algorithm, {
    nodes: picked(keys, keys.nodes, uids, 0),
    dates: dates(keys, uids),
    subjects: picked(keys, keys.subjects, uids, 0),
    references: picked(keys, keys.references, uids, undefined),
  });
  return {
    uids: Uint32Array.from(messages, (at) => uids[at] ?? 0),
    levels: Uint32Array.from(levels),
  };
}

/** Pairs of UID and thread id; UIDs that are gone are left out. */
export function* threadIds(
  account: MaildirAccount,
  folder: Folder,
  uids: readonly number[],
): Generator<null, [uid: number, threadId: string][]> {
  yield* account.indexer.complete(folder, uids);
  const wanted = uidSet(uids);
  const few = wanted.length < FEW ? wanted : undefined;
  const keys = few ? undefined : yield* folderKeys(account, folder);
  const of = keys
    ? picked(keys, keys.threads, wanted, 0)
    : Array.from(
        wanted,
        (uid) => account.index.column('SELECT thread FROM keys WHERE id = ?', folder.id(uid))[0] ?? 0,
      );
  const found: [number, string][] = [];
  wanted.forEach((uid, at) => {
    // 0: it is gone, or cannot be read.
    const thread = of[at] ?? 0;
    if (thread > 0) found.push([uid, threadId(thread)]);
  });
  return found;
}

/** A search that may ask for threads. */
export function* searchAll(
  account: MaildirAccount,
  folder: Folder,
  criteria: SearchCriteria,
): Generator<null, UidSet> {
  if (asksForThreads(criteria, 0)) yield* account.indexer.complete(folder, unindexed(account, folder));
  return yield* search(account, folder, criteria);
}

function* found(account: MaildirAccount, folder: Folder, criteria: SearchCriteria): Generator<null, UidSet> {
  const uids = yield* searchAll(account, folder, criteria);
  const missing = both(uidSet(unindexed(account, folder)), uids);
  if (missing.length > 0) yield* account.indexer.complete(folder, Array.from(missing));
  return uids;
}

function* valuesOf(
  account: MaildirAccount,
  folder: Folder,
  uids: UidSet,
  by: SortBy,
): Generator<null, Float64Array> {
  const columns = new Columns(account, folder, uids);
  switch (by) {
    case 'arrival':
      return yield* columns.numbers('messages', 'internal_date');
    case 'size':
      return yield* columns.numbers('messages', 'size');
    case 'date': {
      const keys = yield* folderKeys(account, folder);
      return dates(keys, uids);
    }
    case 'from':
      return yield* ranks(yield* columns.texts('sort_keys', 'sender'));
    case 'to':
      return yield* ranks(yield* columns.texts('sort_keys', 'recipient'));
    case 'displayfrom':
      return yield* ranks(yield* columns.texts('sort_keys', 'display_from'));
    case 'displayto':
      return yield* ranks(yield* columns.texts('sort_keys', 'display_to'));
    case 'subject':
    case 'cc':
      return yield* ranks(yield* columns.texts('sort_keys', by));
  }
}

function dates(keys: FolderKeys, uids: UidSet): Float64Array {
  const values = picked(keys, keys.dates, uids, 0);
  return values instanceof Float64Array ? values.subarray(0, uids.length) : Float64Array.from(values);
}

const MAX_DEPTH = 100;

function asksForThreads(criteria: SearchCriteria, depth: number): boolean {
  if (depth > MAX_DEPTH) return false;
  const inner = (next: SearchCriteria): boolean => asksForThreads(next, depth + 1);
  if ('all' in criteria) return criteria.all.some(inner);
  if ('any' in criteria) return criteria.any.some(inner);
  if ('not' in criteria) return inner(criteria.not);
  return 'threadId' in criteria;
}
