import type { SearchKey } from './key.ts';

/** LARGER and SMALLER (RFC 9051 6.4.4). */
export const sizeKeys: readonly SearchKey[] = [
  {
    name: 'LARGER',
    parse(p) {
      const bytes = p.sp().number64();
      return () => ({ size: 'larger', bytes });
    },
  },
  {
    name: 'SMALLER',
    parse(p) {
      const bytes = p.sp().number64();
      return () => ({ size: 'smaller', bytes });
    },
  },
];
