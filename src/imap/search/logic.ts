import { type Criterion, fixed, type SearchKey } from './key.ts';

/** ALL, NOT, OR, and UID, which takes a set (RFC 9051 6.4.4). */
export const logicKeys: readonly SearchKey[] = [
  { name: 'ALL', parse: () => () => ({ all: [] }) },
  {
    name: 'NOT',
    parse(p, context) {
      // What is left out fuzzily would be more than was asked for.
      const before = context.fuzzy;
      context.fuzzy = false;
      const inner = context.key(p.sp());
      context.fuzzy = before;
      return async (session) => ({ not: await inner(session) });
    },
  },
  {
    name: 'OR',
    parse(p, context) {
      const first = context.key(p.sp());
      const second = context.key(p.sp());
      return async (session) => ({ any: [await first(session), await second(session)] });
    },
  },
  {
    name: 'UID',
    parse(p) {
      const set = p.sp().sequenceSet();
      const criterion: Criterion = ({ selected }) => ({ uid: selected.resolve(set, 'uid') });
      return set.ranges === '$' ? fixed(criterion) : criterion;
    },
  },
];
