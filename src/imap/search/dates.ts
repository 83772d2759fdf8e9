import type { SearchKey } from './key.ts';

const DAY = 86_400_000;
/** RFC 5032: YOUNGER and OLDER count in seconds. */
const SECOND = 1000;

/** Days (RFC 9051 6.4.4, RFC 8514 4.3), of our zone, which is UTC as in INTERNALDATE; and ages (RFC 5032). */
export const dateKeys: readonly SearchKey[] = [
  ...dayKeys('', 'internal'),
  ...dayKeys('SENT', 'sent'),
  ...dayKeys('SAVED', 'saved', 'SAVEDATE'),
  { name: 'SAVEDATESUPPORTED', capability: 'SAVEDATE', parse: () => () => ({ all: [] }) },
  {
    name: 'YOUNGER',
    capability: 'WITHIN',
    parse(p) {
      const age = p.sp().nzNumber() * SECOND;
      return ({ world }) => ({ date: 'internal', from: world.clock.now().getTime() - age });
    },
  },
  {
    name: 'OLDER',
    capability: 'WITHIN',
    parse(p) {
      const age = p.sp().nzNumber() * SECOND;
      return ({ world }) => ({ date: 'internal', before: world.clock.now().getTime() - age + 1 });
    },
  },
];

function dayKeys(prefix: string, date: 'internal' | 'sent' | 'saved', capability?: string): SearchKey[] {
  const also = capability === undefined ? {} : { capability };
  return [
    {
      name: `${prefix}BEFORE`,
      ...also,
      parse(p) {
        const before = p.sp().date();
        return () => ({ date, before });
      },
    },
    {
      name: `${prefix}ON`,
      ...also,
      parse(p) {
        const from = p.sp().date();
        return () => ({ date, from, before: from + DAY });
      },
    },
    {
      name: `${prefix}SINCE`,
      ...also,
      parse(p) {
        const from = p.sp().date();
        return () => ({ date, from });
      },
    },
  ];
}
