import { stringCriteria } from './fuzzy.ts';
import { type SearchKey, searchString } from './key.ts';

/** Header fields by name (RFC 9051 6.4.4). */
export const headerKeys: readonly SearchKey[] = [
  ...['BCC', 'CC', 'FROM', 'SUBJECT', 'TO'].map(
    (header): SearchKey => ({
      name: header,
      parse(p, context) {
        const contains = searchString(p.sp(), context);
        const name = header.toLowerCase();
        const criteria = stringCriteria(context, contains, (text) => ({ header: name, contains: text }));
        return () => criteria;
      },
    }),
  ),
  {
    name: 'HEADER',
    parse(p, context) {
      const header = p.sp().astringText().toLowerCase();
      const contains = searchString(p.sp(), context);
      const criteria = stringCriteria(context, contains, (text) => ({ header, contains: text }));
      return () => criteria;
    },
  },
];
