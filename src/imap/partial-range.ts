import type { Uid, UidRange } from '../store/store.ts';
import type { Parser } from './parser.ts';
import type { Selected } from './selected.ts';

/** `PARTIAL 1:500`, `PARTIAL -1:-100`: a stretch of the results of SEARCH, SORT and UID FETCH (RFC 9394 4). */

export interface PartialRange {
  /** As the answer says it: from low to high, as 500:400 is 400:500 (RFC 9394 3.1, 4). */
  readonly text: string;
  readonly from: 'first' | 'last';
  /** Counted from 1, `low` is not above `high`. */
  readonly low: number;
  readonly high: number;
}

/** What follows `PARTIAL` and its space. */
export function parsePartialRange(p: Parser): PartialRange {
  const from = p.tryTake('-') ? 'last' : 'first';
  const sign = from === 'last' ? '-' : '';
  const a = p.nzNumber();
  // Both ends count from the same side.
  const b = p.take(`:${sign}`).nzNumber();
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  return { text: `${sign}${low}:${sign}${high}`, from, low, high };
}

/** That stretch of the results, in their order; what lies beyond them is left out. */
export function partOf<T>(results: readonly T[], { from, low, high }: PartialRange): readonly T[] {
  if (from === 'first') return results.slice(low - 1, high);
  return results.slice(Math.max(results.length - high, 0), Math.max(results.length - low + 1, 0));
}

/** That stretch of the messages in `ranges`; neighbours in the view are one range, whatever UIDs lie between them. */
export function partOfRanges(
  selected: Selected,
  ranges: readonly UidRange[],
  partial: PartialRange,
): readonly UidRange[] {
  const parts: { first: Uid; last: Uid }[] = [];
  let before = 0;
  for (const uid of partOf([...selected.uidsIn(ranges)], partial)) {
    const sequence = selected.sequenceOf(uid, before + 1);
    const previous = parts.at(-1);
    if (previous && sequence === before + 1) previous.last = uid;
    else parts.push({ first: uid, last: uid });
    before = sequence;
  }
  return parts;
}
