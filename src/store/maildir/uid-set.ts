/** Ascending UIDs without repetition, as a search handles them. */
export type UidSet = Uint32Array;

export const NO_UIDS: UidSet = new Uint32Array(0);

export function uidSet(uids: Iterable<number>): UidSet {
  const sorted = Uint32Array.from(uids).sort();
  let count = 0;
  for (const uid of sorted) if (count === 0 || sorted[count - 1] !== uid) sorted[count++] = uid;
  return sorted.subarray(0, count);
}

export function both(a: UidSet, b: UidSet): UidSet {
  const [few, many] = a.length < b.length ? [a, b] : [b, a];
  const found = new Uint32Array(few.length);
  let count = 0;
  let at = 0;
  for (const uid of few) {
    at = firstNotBelow(many, uid, at);
    if (many[at] === uid) found[count++] = uid;
  }
  return found.subarray(0, count);
}

export function either(a: UidSet, b: UidSet): UidSet {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const found = new Uint32Array(a.length + b.length);
  let count = 0;
  let atA = 0;
  let atB = 0;
  while (atA < a.length || atB < b.length) {
    const fromA = a[atA] ?? Number.POSITIVE_INFINITY;
    const fromB = b[atB] ?? Number.POSITIVE_INFINITY;
    found[count++] = Math.min(fromA, fromB);
    if (fromA <= fromB) atA++;
    if (fromB <= fromA) atB++;
  }
  return found.subarray(0, count);
}

export function without(a: UidSet, b: UidSet): UidSet {
  if (b.length === 0) return a;
  const found = new Uint32Array(a.length);
  let count = 0;
  let at = 0;
  for (const uid of a) {
    at = firstNotBelow(b, uid, at);
    if (b[at] !== uid) found[count++] = uid;
  }
  return found.subarray(0, count);
}

/** Where those of `some` stand in `all`. */
export function* placesIn(all: UidSet, some: UidSet): Generator<number> {
  let at = 0;
  for (const uid of some) {
    at = firstNotBelow(all, uid, at);
    if (all[at] === uid) yield at;
  }
}

/** The ranges ascend and do not touch. */
export function inRanges(
  uids: UidSet,
  ranges: readonly { readonly first: number; readonly last: number }[],
): UidSet {
  const parts = ranges.map(({ first, last }) => {
    const start = firstNotBelow(uids, first, 0);
    return uids.subarray(start, firstNotBelow(uids, last + 1, start));
  });
  const found = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}

/** Steps that grow, then halves: quick where what is looked for is near, and where it is far. */
function firstNotBelow(uids: UidSet, wanted: number, from: number): number {
  let step = 1;
  let low = from;
  let high = from;
  while (high < uids.length && (uids[high] ?? 0) < wanted) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = Math.min(high, uids.length);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((uids[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
