import { ranks, type SortBy, type SortKey, sorted } from '../../message/sort.ts';
import { type ThreadAlgorithm, threads } from '../../message/threads.ts';
import type { SearchCriteria } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { Columns } from './columns.ts';
import type { Folder } from './folder.ts';
import { unindexed } from './indexer.ts';
import { search } from './search.ts';
import { threadId } from './thread-ids.ts';
import { both, type UidSet, uidSet } from './uid-set.ts';

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
  const columns = new Columns(account, folder, uids);
  const order = sorted(
    uids.length,
    keys.map(({ by, order }) => ({ values: valuesOf(columns, by), order })),
  );
  return order.map((at) => uids[at] ?? 0);
}

export function* thread(
  account: MaildirAccount,
  folder: Folder,
  criteria: SearchCriteria,
  algorithm: ThreadAlgorithm,
): Generator<null, UidForest> {
  const uids = yield* found(account, folder, criteria);
  const columns = new Columns(account, folder, uids);
  const isBySubject = algorithm === 'orderedsubject';
  const { messages, levels } = threads(algorithm, {
    nodes: isBySubject ? [] : columns.numbers('keys', 'node'),
    dates: columns.numbers('keys', 'date'),
    subjects: algorithm === 'refs' ? [] : columns.numbers('keys', 'subject'),
    references: isBySubject ? [] : columns.references(),
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
  const of = new Columns(account, folder, wanted).numbers('keys', 'thread');
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

function valuesOf(columns: Columns, by: SortBy): Float64Array {
  switch (by) {
    case 'arrival':
      return columns.numbers('messages', 'internal_date');
    case 'size':
      return columns.numbers('messages', 'size');
    case 'date':
      return columns.numbers('keys', 'date');
    case 'from':
      return ranks(columns.texts('sort_keys', 'sender'));
    case 'to':
      return ranks(columns.texts('sort_keys', 'recipient'));
    case 'displayfrom':
      return ranks(columns.texts('sort_keys', 'display_from'));
    case 'displayto':
      return ranks(columns.texts('sort_keys', 'display_to'));
    case 'subject':
    case 'cc':
      return ranks(columns.texts('sort_keys', by));
  }
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
