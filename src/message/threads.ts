/**
 * Messages arranged in threads (RFC 5256 3; REFS as in draft-ietf-morg-inthread: REFERENCES without subjects, the thread
 * with the latest message last). Over columns of numbers, so that a hundred thousand take some ten milliseconds. Never
 * throws; linear but for one sort by date, whatever the references say.
 */

export type ThreadAlgorithm = 'orderedsubject' | 'references' | 'refs';

/** One entry a message, in the order of the mailbox; there are as many as dates. */
export interface ThreadColumns {
  /** The number that stands for its Message-ID; two with the same one are told apart. From 1. */
  readonly nodes: ArrayLike<number>;
  /** Sent date in UTC, ms. */
  readonly dates: Float64Array;
  /** The number that stands for its base subject, negative for a reply or forward; 0: there is none. */
  readonly subjects: ArrayLike<number>;
  /** Message-IDs of its ancestors, oldest first; undefined where there are none. */
  readonly references: ArrayLike<readonly number[] | undefined>;
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
  const parents = pruned(linked(columns, columns.dates.length), columns.dates.length);
  const forest = new Forest(parents, order);
  if (algorithm === 'references') forest.mergeSubjects(columns.subjects);
  return forest.print(algorithm === 'refs' ? 'latest' : 'first');
}

/** Positions by date; those of one moment in the mailbox's order. */
function byDate(dates: Float64Array): Int32Array {
  const order = new Int32Array(dates.length);
  for (let at = 0; at < order.length; at++) order[at] = at;
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
function linked({ nodes, references }: ThreadColumns, count: number): Int32Array {
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
    let highest = 0;
    for (let at = 0; at < this.#count; at++) highest = Math.max(highest, Math.abs(subjects[at] ?? 0));
    const isDummy = (root: number): boolean => root >= this.#count;
    const said = (root: number): number => subjects[isDummy(root) ? (firstOf[root] ?? 0) : root] ?? 0;
    const isReply = (root: number): boolean => !isDummy(root) && said(root) < 0;
    /** Of each subject, the root that stands for it. */
    const table = new Int32Array(highest + 1).fill(NONE);
    for (const root of roots) {
      const subject = Math.abs(said(root));
      if (subject === 0) continue;
      const known = table[subject] ?? NONE;
      const better =
        known === NONE || (!isDummy(known) && (isDummy(root) || (isReply(known) && !isReply(root))));
      if (better) table[subject] = root;
    }
    /** Dummies whose children went to another. */
    const into = new Map<number, number>();
    for (const root of roots) {
      const subject = Math.abs(said(root));
      const known = subject === 0 ? NONE : (table[subject] ?? NONE);
      if (known === NONE || known === root) continue;
      if (isDummy(known)) {
        if (isDummy(root)) into.set(root, known);
        else this.#parents[root] = known;
      } else if (isReply(root) && !isReply(known)) this.#parents[root] = known;
      else {
        const dummy = this.#used++;
        this.#parents[root] = dummy;
        this.#parents[known] = dummy;
        table[subject] = dummy;
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
    const count = this.#count;
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
    const sorted = by === 'first' ? roots : this.#byLatest(roots);
    const messages = new Int32Array(size);
    const levels = new Int32Array(size);
    const open: number[] = [];
    let at = 0;
    for (const root of sorted) {
      // Chains of replies are longer than any stack.
      for (let node = root; ; ) {
        messages[at] = node >= count ? NONE : node;
        levels[at++] = open.length;
        const child = first[node] ?? NONE;
        if (child !== NONE) {
          open.push(node);
          node = child;
          continue;
        }
        while (node !== root && next[node] === NONE) node = open.pop() ?? root;
        if (node === root) break;
        node = next[node] ?? root;
      }
    }
    return { messages: messages.subarray(0, at), levels: levels.subarray(0, at) };
  }

  /** Steps 2 and 4: the top level by date; a dummy stands where its first child would. */
  #roots(): { readonly roots: Int32Array; readonly firstOf: Int32Array } {
    const roots = new Int32Array(this.#used);
    const firstOf = new Int32Array(this.#used).fill(NONE);
    let found = 0;
    for (const message of this.#order) {
      const parent = this.#parents[message] ?? NONE;
      if (parent === NONE) roots[found++] = message;
      else if (parent >= this.#count && firstOf[parent] === NONE) {
        firstOf[parent] = message;
        roots[found++] = parent;
      }
    }
    return { roots: roots.subarray(0, found), firstOf };
  }

  #byLatest(roots: Int32Array): Int32Array {
    /** Of each node the root above it. */
    const rootOf = new Int32Array(this.#used).fill(NONE);
    /** Of each root when its latest message comes, in the order of dates. */
    const latest = new Int32Array(this.#used);
    const path: number[] = [];
    this.#order.forEach((message, rank) => {
      let at = message;
      while (rootOf[at] === NONE && this.#parents[at] !== NONE) {
        path.push(at);
        at = this.#parents[at] ?? NONE;
      }
      const root = rootOf[at] === NONE ? at : (rootOf[at] ?? at);
      rootOf[at] = root;
      for (let node = path.pop(); node !== undefined; node = path.pop()) rootOf[node] = root;
      latest[root] = rank;
    });
    return roots.slice().sort((a, b) => (latest[a] ?? 0) - (latest[b] ?? 0));
  }
}
