/** Threads as the THREAD response writes them (RFC 5256 4 and 5): `(1 2 (3)(4 5))`, `((3)(5))` without a root. */

/** A thread in preorder; number 0 is a message that is not shown. */
export type Tree = { readonly number: number; readonly level: number }[];

/** One string a thread; linear, and without recursion, since chains of replies have no end. */
export function* threadText(trees: Iterable<Tree>): Generator<string> {
  for (const tree of trees) {
    const shown = withoutHoles(tree);
    if (shown.length > 0) yield textOf(shown);
  }
}

/** Children of what is not shown move up; only a root that several need stays as a hole. */
function withoutHoles(tree: Tree): Tree {
  if (tree.every(({ number }) => number > 0)) return tree;
  /** For each level of the tree: the level at which its children are shown. */
  const shownAt: number[] = [];
  const result: Tree = [];
  for (const { number, level } of tree) {
    const own = level === 0 ? 0 : (shownAt[level - 1] ?? 0);
    shownAt[level] = number > 0 ? own + 1 : own;
    if (number > 0) result.push({ number, level: own });
  }
  const roots = result.filter(({ level }) => level === 0).length;
  if (roots <= 1) return result;
  return [{ number: 0, level: 0 }, ...result.map(({ number, level }) => ({ number, level: level + 1 }))];
}

function textOf(tree: Tree): string {
  const siblings = childCounts(tree);
  let text = '(';
  let afterNumber = false;
  /** How many parentheses are open at each level: 1 where the message is one of several siblings. */
  const open: number[] = [];
  tree.forEach(({ number, level }, at) => {
    for (let levels = open.length; levels > level; levels--) {
      if (open.pop() === 0) continue;
      text += ')';
      afterNumber = false;
    }
    if (afterNumber) text += ' ';
    const isOneOfSeveral = level > 0 && (siblings[at] ?? 1) > 1;
    if (isOneOfSeveral) text += '(';
    open.push(isOneOfSeveral ? 1 : 0);
    if (number > 0) text += number;
    afterNumber = number > 0;
  });
  while (open.length > 0) text += open.pop() === 1 ? ')' : '';
  return `${text})`;
}

/** For each message: how many children its parent has. */
function childCounts(tree: Tree): number[] {
  const parents: number[] = [];
  const counts = new Map<number, number>();
  const path: number[] = [];
  tree.forEach(({ level }, at) => {
    const parent = level === 0 ? -1 : (path[level - 1] ?? -1);
    parents.push(parent);
    path[level] = at;
    counts.set(parent, (counts.get(parent) ?? 0) + 1);
  });
  return parents.map((parent) => counts.get(parent) ?? 1);
}
