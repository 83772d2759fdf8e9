import { SYSTEM_FLAGS } from '../parser.ts';
import type { SearchKey } from './key.ts';

/** SEEN and UNSEEN, their kin, and keywords (RFC 9051 6.4.4). */
export const flagKeys: readonly SearchKey[] = [
  ...[...SYSTEM_FLAGS].flatMap(([name, flag]): SearchKey[] => [
    { name: name.toUpperCase(), parse: () => () => ({ flag }) },
    { name: `UN${name.toUpperCase()}`, parse: () => () => ({ not: { flag } }) },
  ]),
  {
    name: 'KEYWORD',
    parse(p) {
      const flag = p.sp().atom();
      return () => ({ flag });
    },
  },
  {
    name: 'UNKEYWORD',
    parse(p) {
      const flag = p.sp().atom();
      return () => ({ not: { flag } });
    },
  },
];
