import type { Extension, MatchTag } from '../extension.ts';
import type { Comparator } from '../match/comparators.ts';
import { type MatchType, pairwise } from '../match/matcher.ts';

const RELATIONS: Readonly<Record<string, (order: number) => boolean>> = {
  gt: (order) => order > 0,
  ge: (order) => order >= 0,
  lt: (order) => order < 0,
  le: (order) => order <= 0,
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
};

/** RFC 5231. */
export const relational: Extension = {
  name: 'relational',
  source: 'RFC 5231',
  families: {
    match: { value: { group: 'match', value: 'string' }, count: { group: 'match', value: 'string' } },
  },
  matchTypes: { value: comparing(value), count: comparing(count) },
};

function comparing(make: (holds: (order: number) => boolean) => MatchType): MatchTag {
  return {
    of(relation, complain) {
      const name = typeof relation === 'string' ? relation.toLowerCase() : '';
      const holds = Object.hasOwn(RELATIONS, name) ? RELATIONS[name] : undefined;
      if (!holds) complain(`the relation must be one of ${Object.keys(RELATIONS).join(', ')}`);
      return make(holds ?? (() => false));
    },
  };
}

function value(holds: (order: number) => boolean): MatchType {
  return pairwise((one, key, { order }: Comparator) => holds(order(one, key)));
}

/** RFC 5231 4.2: how many values there are, as a number in text. */
function count(holds: (order: number) => boolean): MatchType {
  return {
    matches(values, keys, { order }) {
      const number = String(values.length);
      return keys.some((key) => holds(order(number, key)));
    },
  };
}
