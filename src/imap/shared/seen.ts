import type { Flag, Message, SearchCriteria, Uid, UidRange } from '../../store/store.ts';

/**
 * \Seen is each reader's own in what others share (RFC 4314 2.1, right "s"): what the owner has seen is hidden behind
 * what the reader has.
 */

export const SEEN = '\\Seen';

/** What a reader has seen of a mailbox: ascending UIDs. */
export class SeenUids {
  readonly #uids: Uint32Array;

  constructor(uids: Uint32Array) {
    this.#uids = uids;
  }

  has(uid: number): boolean {
    let low = 0;
    let high = this.#uids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#uids[middle] ?? 0) < uid) low = middle + 1;
      else high = middle;
    }
    return this.#uids[low] === uid;
  }

  /** As few ranges as there can be. */
  ranges(): UidRange[] {
    const ranges: { first: number; last: number }[] = [];
    for (const uid of this.#uids) {
      const previous = ranges.at(-1);
      if (previous && previous.last + 1 === uid) previous.last = uid;
      else ranges.push({ first: uid, last: uid });
    }
    return ranges;
  }

  get size(): number {
    return this.#uids.length;
  }

  /** The first of `uids` (ascending) that the reader has not seen. */
  firstUnseenIn(uids: Uint32Array): Uid | null {
    let at = 0;
    for (const uid of uids) {
      while ((this.#uids[at] ?? Number.POSITIVE_INFINITY) < uid) at++;
      if (this.#uids[at] !== uid) return uid as Uid;
    }
    return null;
  }
}

/** Messages with the same flags share one array (store.ts), and do so as the reader sees them too. */
const variants = new WeakMap<readonly Flag[], { seen?: readonly Flag[]; unseen?: readonly Flag[] }>();

/** The message as the reader sees it. */
export function asSeen(message: Message, seen: SeenUids): Message {
  const is = seen.has(message.uid) ? 'seen' : 'unseen';
  const flags = withSeen(message.flags, is);
  return flags === message.flags ? message : { ...message, flags };
}

function withSeen(flags: readonly Flag[], is: 'seen' | 'unseen'): readonly Flag[] {
  if (flags.includes(SEEN) === (is === 'seen')) return flags;
  let known = variants.get(flags);
  if (!known) {
    known = {};
    variants.set(flags, known);
  }
  known[is] ??= is === 'seen' ? [SEEN, ...flags] : flags.filter((flag) => flag !== SEEN);
  return known[is];
}

/**
 * A question that wants messages with \Seen, or without, besides all else; the rest of it, and what is wanted. That is how
 * people ask, and it spares sending the store all that they have seen.
 */
export function splitSeen(criteria: SearchCriteria): {
  readonly rest: SearchCriteria;
  readonly wanted: 'seen' | 'unseen' | null;
} {
  const own = wantedBy(criteria);
  if (own) return { rest: { all: [] }, wanted: own };
  if (!('all' in criteria)) return { rest: criteria, wanted: null };
  const at = criteria.all.findIndex((each) => wantedBy(each) !== null);
  const found = criteria.all[at];
  if (!found) return { rest: criteria, wanted: null };
  return { rest: { all: criteria.all.toSpliced(at, 1) }, wanted: wantedBy(found) };
}

function wantedBy(criteria: SearchCriteria): 'seen' | 'unseen' | null {
  if ('flag' in criteria) return isSeen(criteria.flag) ? 'seen' : null;
  if ('not' in criteria && 'flag' in criteria.not) return isSeen(criteria.not.flag) ? 'unseen' : null;
  return null;
}

/** Whether it asks for \Seen anywhere. */
export function asksForSeen(criteria: SearchCriteria): boolean {
  if ('all' in criteria) return criteria.all.some(asksForSeen);
  if ('any' in criteria) return criteria.any.some(asksForSeen);
  if ('not' in criteria) return asksForSeen(criteria.not);
  return 'flag' in criteria && isSeen(criteria.flag);
}

/** The same question about the reader's \Seen. */
export function askedOf(criteria: SearchCriteria, ranges: readonly UidRange[]): SearchCriteria {
  if ('all' in criteria) return { all: criteria.all.map((each) => askedOf(each, ranges)) };
  if ('any' in criteria) return { any: criteria.any.map((each) => askedOf(each, ranges)) };
  if ('not' in criteria) return { not: askedOf(criteria.not, ranges) };
  return 'flag' in criteria && isSeen(criteria.flag) ? { uid: ranges } : criteria;
}

export function isSeen(flag: Flag): boolean {
  return flag.toLowerCase() === '\\seen';
}

export function isDeleted(flag: Flag): boolean {
  return flag.toLowerCase() === '\\deleted';
}
