/** Sorting messages by columns of numbers or folded texts (RFC 5256 3, SORT). */

export type SortBy =
  | 'arrival'
  | 'cc'
  | 'date'
  | 'from'
  | 'size'
  | 'subject'
  | 'to'
  | 'displayfrom'
  | 'displayto';

export interface SortKey {
  readonly by: SortBy;
  /** REVERSE turns one key around, and leaves the mailbox's order among equals. */
  readonly order: 'ascending' | 'descending';
}

/** Texts that are sorted in one go. */
const RUN = 4096;
const BITS = 16;
const BUCKETS = 2 ** BITS;

/**
 * Positions in order of the columns, the first counts most; equal ones keep their order.
 * @param columns whole numbers; each key's values, one a position
 */
export function sorted(
  count: number,
  columns: readonly { readonly values: Float64Array; readonly order: SortKey['order'] }[],
): Uint32Array {
  let order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  for (const { values, order: direction } of [...columns].reverse())
    order = byColumn(order, distances(values, direction));
  return order;
}

/** Numbers in the order of these texts; equal ones have the same. Yields now and then: comparing many takes a while. */
export function* ranks(texts: readonly string[]): Generator<null, Float64Array> {
  const different = [...new Set(texts)];
  let runs: string[][] = [];
  for (let at = 0; at < different.length; at += RUN, yield null)
    runs.push(different.slice(at, at + RUN).sort());
  while (runs.length > 1) {
    const longer: string[][] = [];
    for (let at = 0; at < runs.length; at += 2)
      longer.push(yield* merged(runs[at] ?? [], runs[at + 1] ?? []));
    runs = longer;
  }
  const rankOf = new Map((runs[0] ?? []).map((text, rank) => [text, rank]));
  yield null;
  return Float64Array.from(texts, (text) => rankOf.get(text) ?? 0);
}

function* merged(a: readonly string[], b: readonly string[]): Generator<null, string[]> {
  const all: string[] = [];
  let atA = 0;
  let atB = 0;
  while (atA < a.length || atB < b.length) {
    const fromA = a[atA];
    const fromB = b[atB];
    const isA = fromB === undefined || (fromA !== undefined && fromA <= fromB);
    all.push((isA ? fromA : fromB) ?? '');
    if (isA) atA++;
    else atB++;
    if (all.length % RUN === 0) yield null;
  }
  return all;
}

/** From the smallest or to the biggest: never negative. */
function distances(values: Float64Array, direction: SortKey['order']): Float64Array {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const value of values) {
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  }
  const distances = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++)
    distances[at] = direction === 'ascending' ? (values[at] ?? 0) - lowest : highest - (values[at] ?? 0);
  return distances;
}

/** By digits, from the last one on: stable, and a few passes whatever the order was. */
function byColumn(order: Uint32Array<ArrayBuffer>, keys: Float64Array): Uint32Array<ArrayBuffer> {
  if (isInOrder(order, keys)) return order;
  let highest = 0;
  for (const key of keys) highest = Math.max(highest, key);
  let from = order;
  let to = new Uint32Array(order.length);
  const digits = new Uint16Array(order.length);
  for (let divisor = 1; divisor <= highest; divisor *= BUCKETS) {
    const starts = new Uint32Array(BUCKETS + 1);
    for (let at = 0; at < keys.length; at++) digits[at] = Math.floor((keys[at] ?? 0) / divisor) % BUCKETS;
    for (const digit of digits) starts[digit + 1] = (starts[digit + 1] ?? 0) + 1;
    for (let bucket = 0; bucket < BUCKETS; bucket++)
      starts[bucket + 1] = (starts[bucket + 1] ?? 0) + (starts[bucket] ?? 0);
    for (const position of from) {
      const digit = digits[position] ?? 0;
      const at = starts[digit] ?? 0;
      to[at] = position;
      starts[digit] = at + 1;
    }
    [from, to] = [to, from];
  }
  return from;
}

function isInOrder(order: Uint32Array, keys: Float64Array): boolean {
  for (let at = 1; at < order.length; at++)
    if ((keys[order[at - 1] ?? 0] ?? 0) > (keys[order[at] ?? 0] ?? 0)) return false;
  return true;
}
