/**
 * Messages arranged in threads (RFC 5256 3; REFS as in draft-ietf-morg-inthread: REFERENCES without subjects, the thread
 * with the latest message last). Over columns of numbers, so that a hundred thousand take some ten milliseconds. Never
 * throws; linear but for one sort by date, whatever the references say.
 */

export type ThreadAlgorithm = 'orderedsubject' | 'references' | 'refs';

/** One entry a message, in the order of the mailbox. */
export interface ThreadColumns {
  /** The number that stands for its Message-ID; two with the same one are told apart. From 1. */
  readonly nodes: ArrayLike<number>;
  /** Sent date in UTC, ms. */
  readonly dates: Float64Array;
  /** The number that stands for its base subject, negative for a reply or forward; 0: there is none. */
  readonly subjects: ArrayLike<number>;
  /** Message-IDs of its ancestors, oldest first; undefined where there are none. */
  readonly references: readonly (readonly number[] | undefined)[];
}

/** A forest in preorder. */
export interface Threads {
  /** Positions in the columns; -1 is a parent that is not there, at level 0 only. */
  readonly messages: Int32Array;
  readonly levels: Int32Array;
}

const NONE = -1;
/** Steps that looking for loops may take for each message or reference; mail that people wrote needs one or two. */
const STEPS = 64;

export function threads(algorithm: ThreadAlgorithm, columns: ThreadColumns): Threads {
  const order = byDate(columns.dates);
  if (algorithm === 'orderedsubject') return orderedSubject(columns, order);
  const parents = pruned(linked(columns), columns.dates.length);
  const forest = new Forest(parents, order);
  if (algorithm === 'references') forest.mergeSubjects(columns.subjects);
  return forest.print(algorithm === 'refs' ? 'latest' : 'first');
}

/** Positions by date; those of one moment in the mailbox's order. */
function byDate(dates: Float64Array): Int32Array {
  const order = Int32Array.from(dates, (_, at) => at);
  let sorted = true;
  for (let at = 1; sorted && at < dates.length; at++) sorted = (dates[at - 1] ?? 0) <= (dates[at] ?? 0);
  if (!sorted) order.sort((a, b) => (dates[a] ?? 0) - (dates[b] ?? 0) || a - b);
  return order;
}

function orderedSubject({ subjects }: ThreadColumns, order: Int32Array): Threads {
  const groups = new Map<number, number[]>();
  for (const message of order) {
    const subject = Math.abs(subjects[message] ?? 0);
    const group = groups.get(subject);
    if (group) group.push(message);
    else groups.set(subject, [message]);
  }
  const messages = new Int32Array(order.length);
  const levels = new Int32Array(order.length);
  let at = 0;
  // A Map keeps the order in which threads began.
  for (const group of groups.values())
    for (const [index, message] of group.entries()) {
      messages[at] = message;
      levels[at++] = index === 0 ? 0 : 1;
    }
  return { messages, levels };
}

/** Step 1: parents of messages, then of the dummies that stand for messages only heard of. */
function linked({ nodes, references }: ThreadColumns): Int32Array {
  const count = nodes.length;
  let total = count;
  let highest = 0;
  for (let at = 0; at < count; at++) {
    highest = Math.max(highest, nodes[at] ?? 0);
    for (const node of references[at] ?? []) highest = Math.max(highest, node);
    total += references[at]?.length ?? 0;
  }
  const places = new Int32Array(highest + 1).fill(NONE);
  // The first with a Message-ID has it; others with the same one are nobody's parent.
  for (let at = count - 1; at >= 0; at--) places[nodes[at] ?? 0] = at;
  const parents = new Int32Array(total).fill(NONE);
  const children = new Int32Array(total);
  let used = count;
  let budget = STEPS * (total + 1);
  const placeOf = (node: number): number => {
    const known = places[node] ?? NONE;
    if (known !== NONE) return known;
    places[node] = used;
    return used++;
  };
  const wouldLoop = (parent: number, child: number): boolean => {
    if (parent === child) return true;
    if ((children[child] ?? 0) === 0) return false;
    for (let at = parent; at !== NONE; at = parents[at] ?? NONE) {
      if (at === child) return true;
      // Nobody can keep us walking up and down one endless chain.
      if (--budget < 0) return true;
    }
    return false;
  };
  const link = (parent: number, child: number): void => {
    parents[child] = parent;
    children[parent] = (children[parent] ?? 0) + 1;
  };
  for (let message = 0; message < count; message++) {
    let last = NONE;
    for (const node of references[message] ?? []) {
      const place = placeOf(node);
      if (last !== NONE && parents[place] === NONE && !wouldLoop(last, place)) link(last, place);
      last = place;
    }
    const before = parents[message] ?? NONE;
    if (before !== NONE) {
      parents[message] = NONE;
      children[before] = (children[before] ?? 0) - 1;
    }
    if (last !== NONE && !wouldLoop(last, message)) link(last, message);
  }
  return parents.subarray(0, used);
}

/** Step 3: a message's nearest parent that is there, or the topmost dummy when several share it. */
function pruned(parents: Int32Array, count: number): Int32Array {
  /** Of each dummy: what a message below it has for a parent. */
  const above = new Int32Array(parents.length).fill(-2);
  const resolve = (from: number): number => {
    const path: number[] = [];
    let at = from;
    while (at >= count && above[at] === -2) {
      path.push(at);
      const next = parents[at] ?? NONE;
      if (next === NONE) break;
      at = next;
    }
    const found = at < count ? at : above[at] === -2 ? at : (above[at] ?? NONE);
    for (const dummy of path) above[dummy] = found;
    return found;
  };
  const shared = new Int32Array(parents.length);
  const result = new Int32Array(parents.length).fill(NONE);
  for (let message = 0; message < count; message++) {
    const parent = parents[message] ?? NONE;
    const found = parent >= count ? resolve(parent) : parent;
    result[message] = found;
    if (found >= count) shared[found] = (shared[found] ?? 0) + 1;
  }
  for (let message = 0; message < count; message++) {
    const parent = result[message] ?? NONE;
    if (parent >= count && shared[parent] === 1) result[message] = NONE;
  }
  return result;
}

/** Parents of messages, and of the dummies at the top that hold several. */
class Forest {
  readonly #order: Int32Array;
  readonly #count: number;
  /** Room for one more dummy for each message: merging makes fewer. */
  readonly #parents: Int32Array;
  #used: number;

  constructor(parents: Int32Array, order: Int32Array) {
    this.#order = order;
    this.#count = order.length;
    this.#used = parents.length;
    this.#parents = new Int32Array(parents.length + order.length).fill(NONE);
    this.#parents.set(parents);
  }

  /** Step 5. */
  mergeSubjects(subjects: ArrayLike<number>): void {
    const { roots, firstOf } = this.#roots();
    const isDummy = (root: number): boolean => root >= this.#count;
    const said = (root: number): number => subjects[isDummy(root) ? (firstOf.get(root) ?? 0) : root] ?? 0;
    const isReply = (root: number): boolean => !isDummy(root) && said(root) < 0;
    const table = new Map<number, number>();
    for (const root of roots) {
      const subject = Math.abs(said(root));
      if (subject === 0) continue;
      const known = table.get(subject);
      const better =
        known === undefined || (!isDummy(known) && (isDummy(root) || (isReply(known) && !isReply(root))));
      if (better) table.set(subject, root);
    }
    /** Dummies whose children went to another. */
    const into = new Map<number, number>();
    for (const root of roots) {
      const subject = Math.abs(said(root));
      const known = table.get(subject);
      if (known === undefined || known === root) continue;
      if (isDummy(known)) {
        if (isDummy(root)) into.set(root, known);
        else this.#parents[root] = known;
      } else if (isReply(root) && !isReply(known)) this.#parents[root] = known;
      else {
        const dummy = this.#used++;
        this.#parents[root] = dummy;
        this.#parents[known] = dummy;
        table.set(subject, dummy);
      }
    }
    if (into.size === 0) return;
    for (let message = 0; message < this.#count; message++) {
      const target = into.get(this.#parents[message] ?? NONE);
      if (target !== undefined) this.#parents[message] = target;
    }
  }

  /** Step 6: siblings by date, threads by their first message's or by their latest one's. */
  print(by: 'first' | 'latest'): Threads {
    const { roots } = this.#roots();
    const size = this.#used;
    const first = new Int32Array(size).fill(NONE);
    const last = new Int32Array(size).fill(NONE);
    const next = new Int32Array(size).fill(NONE);
    for (const message of this.#order) {
      const parent = this.#parents[message] ?? NONE;
      if (parent === NONE) continue;
      const before = last[parent] ?? NONE;
      if (before === NONE) first[parent] = message;
      else next[before] = message;
      last[parent] = message;
    }
    const sorted = by === 'first' ? roots : this.#byLatest(roots, first, next);
    const messages: number[] = [];
    const levels: number[] = [];
    for (const root of sorted)
      for (const [node, level] of below(root, first, next)) {
        messages.push(node >= this.#count ? NONE : node);
        levels.push(level);
      }
    return { messages: Int32Array.from(messages), levels: Int32Array.from(levels) };
  }

  /** Steps 2 and 4: the top level by date; a dummy stands where its first child would. */
  #roots(): { readonly roots: number[]; readonly firstOf: ReadonlyMap<number, number> } {
    const roots: number[] = [];
    const firstOf = new Map<number, number>();
    for (const message of this.#order) {
      const parent = this.#parents[message] ?? NONE;
      if (parent === NONE) roots.push(message);
      else if (parent >= this.#count && !firstOf.has(parent)) {
        firstOf.set(parent, message);
        roots.push(parent);
      }
    }
    return { roots, firstOf };
  }

  #byLatest(roots: readonly number[], first: Int32Array, next: Int32Array): number[] {
    const rank = new Int32Array(this.#count);
    this.#order.forEach((message, at) => {
      rank[message] = at;
    });
    const latest = new Map<number, number>();
    for (const root of roots) {
      let highest = 0;
      for (const [node] of below(root, first, next))
        if (node < this.#count) highest = Math.max(highest, rank[node] ?? 0);
      latest.set(root, highest);
    }
    return [...roots].sort((a, b) => (latest.get(a) ?? 0) - (latest.get(b) ?? 0));
  }
}

/** A tree in preorder; chains are longer than any stack. */
function* below(root: number, first: Int32Array, next: Int32Array): Generator<[node: number, level: number]> {
  const open: number[] = [];
  let node = root;
  for (;;) {
    yield [node, open.length];
    const child = first[node] ?? NONE;
    if (child !== NONE) {
      open.push(node);
      node = child;
      continue;
    }
    while (node !== root && (next[node] ?? NONE) === NONE) node = open.pop() ?? root;
    if (node === root) return;
    node = next[node] ?? root;
  }
}
