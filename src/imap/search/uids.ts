import type { SearchKey } from './key.ts';

/** UIDAFTER and UIDBEFORE (RFC 9738 3.2): whatever the limit is, and even if there is none. */
export const uidKeys: readonly SearchKey[] = [
  {
    name: 'UIDAFTER',
    parse(p) {
      const uid = p.sp().nzNumber();
      // "Greater than", so not `uid+1:*`, which is always the last message too.
      return ({ selected }) => ({
        uid: uid < selected.lastUid ? [{ first: uid + 1, last: selected.lastUid }] : [],
      });
    },
  },
  {
    name: 'UIDBEFORE',
    parse(p) {
      const uid = p.sp().nzNumber();
      return () => ({ uid: uid > 1 ? [{ first: 1, last: uid - 1 }] : [] });
    },
  },
];
