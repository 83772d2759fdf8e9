/** Sets of message numbers or UIDs (RFC 9051 9, sequence-set), as parsed and as printed. */

/** A number, or `*`: the last message. */
export type SeqNumber = number | '*';

export interface SeqRange {
  readonly first: SeqNumber;
  readonly last: SeqNumber;
}

export interface SequenceSet {
  /** `$`: what SEARCH saved (RFC 5182). */
  readonly ranges: readonly SeqRange[] | '$';
  /** Where it stands in the command, for BAD. */
  readonly at: number;
}

export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

/** Ranges in ascending order without overlap; `*` is `last`. `4:2` is `2:4` (RFC 9051 9, seq-range). */
export function normalise(ranges: readonly SeqRange[], last: number): NumberRange[] {
  const sorted = ranges
    .map((range) => {
      const a = range.first === '*' ? last : range.first;
      const b = range.last === '*' ? last : range.last;
      return a <= b ? { first: a, last: b } : { first: b, last: a };
    })
    .sort((a, b) => a.first - b.first);
  const merged: { first: number; last: number }[] = [];
  for (const range of sorted) {
    const previous = merged.at(-1);
    if (previous && range.first <= previous.last + 1) previous.last = Math.max(previous.last, range.last);
    else merged.push(range);
  }
  return merged;
}

/** `1:3,5`: runs of consecutive numbers become ranges; the order stays, as COPYUID needs it (RFC 9051 7.1). */
export function formatSet(numbers: Iterable<number>): string {
  const runs: string[] = [];
  let first = 0;
  let last = 0;
  for (const number of numbers) {
    if (number === last + 1 && first > 0) {
      last = number;
      continue;
    }
    if (first > 0) runs.push(first === last ? `${first}` : `${first}:${last}`);
    first = last = number;
  }
  if (first > 0) runs.push(first === last ? `${first}` : `${first}:${last}`);
  return runs.join(',');
}
