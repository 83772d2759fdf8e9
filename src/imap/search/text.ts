import { stringCriteria } from './fuzzy.ts';
import { type SearchKey, searchString } from './key.ts';

/** BODY and TEXT (RFC 9051 6.4.4). */
export const textKeys: readonly SearchKey[] = [
  {
    name: 'BODY',
    parse(p, context) {
      const text = searchString(p.sp(), context);
      const criteria = stringCriteria(context, text, (part) => ({ text: part, in: 'body' }));
      return () => criteria;
    },
  },
  {
    name: 'TEXT',
    parse(p, context) {
      const text = searchString(p.sp(), context);
      const criteria = stringCriteria(context, text, (part) => ({ text: part, in: 'message' }));
      return () => criteria;
    },
  },
];
