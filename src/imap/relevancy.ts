import type { SortKey } from '../message/sort.ts';
import type { AccountStore, MailboxId, SearchCriteria, Uid } from '../store/store.ts';
import type { FuzzyTerm } from './search/fuzzy.ts';

/** How well messages fit a FUZZY search, 1 to 100 (RFC 6203 4), and SORT by that (section 6). */

/** A word that is there only by its beginning counts for less. */
const STEM = 0.6;
/** All words, but not one after the other. */
const SCATTERED = 0.9;

/** So many are named one by one; of more, all of the mailbox are looked at. */
const FEW = 1000;

export type Relevancies = ReadonlyMap<Uid, number>;

interface Mailbox {
  readonly store: AccountStore;
  readonly id: MailboxId;
}

/** Of each message: the mean of what the strings give; what has no string to fit (flags, say) fits wholly. */
export async function relevancies(
  { store, id }: Mailbox,
  terms: readonly FuzzyTerm[],
  uids: readonly Uid[],
): Promise<Relevancies> {
  const among = async (criteria: SearchCriteria): Promise<ReadonlySet<Uid>> => {
    const within = uids.map((uid) => ({ first: uid, last: uid }));
    const some = uids.length > FEW ? criteria : { all: [{ uid: within }, criteria] };
    return new Set(await store.search(id, some));
  };
  const sums = new Map<Uid, number>(uids.map((uid) => [uid, 0]));
  for (const { exact, words } of terms) {
    const hasAll = await among(exact);
    const found: { readonly whole: ReadonlySet<Uid>; readonly stem: ReadonlySet<Uid> }[] = [];
    for (const { whole, stem } of words) found.push({ whole: await among(whole), stem: await among(stem) });
    for (const uid of uids) {
      let sum = 0;
      for (const { whole, stem } of found) sum += whole.has(uid) ? 1 : stem.has(uid) ? STEM : 0;
      const fit = hasAll.has(uid) ? 1 : (SCATTERED * sum) / words.length;
      sums.set(uid, (sums.get(uid) ?? 0) + fit);
    }
  }
  const scored = [...sums].map(([uid, sum]): [Uid, number] => [uid, score(sum, terms.length)]);
  return new Map(scored);
}

function score(sum: number, terms: number): number {
  return terms === 0 ? 100 : Math.max(1, Math.min(100, Math.round((100 * sum) / terms)));
}

/** RELEVANCY among the keys of SORT: what comes before it, and after it. */
export interface RelevancyKey {
  readonly before: readonly SortKey[];
  readonly after: readonly SortKey[];
  /** The highest score comes first, unless REVERSE says otherwise (RFC 6203 6). */
  readonly order: 'best-first' | 'worst-first';
}

/** Sorts by all keys; only those before RELEVANCY are stronger than it. */
export async function sortByRelevancy(
  { store, id }: Mailbox,
  criteria: SearchCriteria,
  { before, after, order }: RelevancyKey,
  terms: readonly FuzzyTerm[],
): Promise<readonly Uid[]> {
  const others = [...before, ...after];
  const uids =
    others.length === 0 ? await store.search(id, criteria) : await store.sort(id, criteria, others);
  const scores = await relevancies({ store, id }, terms, uids);
  const groups = before.length === 0 ? null : await groupsBy({ store, id }, criteria, before);
  const sign = order === 'best-first' ? -1 : 1;
  const placed = uids.map((uid, place) => ({
    uid,
    place,
    group: groups?.get(uid) ?? 0,
    score: scores.get(uid) ?? 0,
  }));
  placed.sort((a, b) => a.group - b.group || sign * (a.score - b.score) || a.place - b.place);
  return placed.map(({ uid }) => uid);
}

/**
 * Messages that these keys hold for equal have the same number. The store says only in which order they come, equal ones
 * by UID; so neighbours are equal when they stand in the same order if everything is reversed.
 */
async function groupsBy(
  { store, id }: Mailbox,
  criteria: SearchCriteria,
  keys: readonly SortKey[],
): Promise<ReadonlyMap<Uid, number>> {
  const reversed = keys.map(({ by, order }): SortKey => {
    return { by, order: order === 'ascending' ? 'descending' : 'ascending' };
  });
  const forward = await store.sort(id, criteria, keys);
  const backward = new Map((await store.sort(id, criteria, reversed)).map((uid, at) => [uid, at]));
  const groups = new Map<Uid, number>();
  let group = 0;
  let previous: Uid | undefined;
  for (const uid of forward) {
    if (previous !== undefined && (backward.get(previous) ?? 0) > (backward.get(uid) ?? 0)) group++;
    groups.set(uid, group);
    previous = uid;
  }
  return groups;
}
