import { ImapNo } from '../errors.ts';
import type { FilterPlace, SearchKey } from './key.ts';

/** FILTER (RFC 5466): a search that is kept under a name among the account's annotations. */

/** Filters inside filters; RFC 5466 3.1 asks for 3. */
export const MAX_FILTER_DEPTH = 10;

/** The private one comes first (RFC 5466 1). */
export const FILTER_ENTRIES: readonly string[] = ['/private/filters/values/', '/shared/filters/values/'];

export const filterKeys: readonly SearchKey[] = [
  {
    name: 'FILTER',
    capability: 'FILTERS',
    parse(p, context) {
      const at = p.sp().at;
      const name = p.atom();
      if (name.includes('/')) p.fail('That is no name of a filter', at);
      const { fuzzy, within } = context;
      const place: FilterPlace = { name, fuzzy, within, criterion: () => undefinedFilter(name) };
      context.filters.push(place);
      return (scope) => place.criterion(scope);
    },
  },
];

export function undefinedFilter(name: string): never {
  throw new ImapNo('There is no such filter, or it is no search', `UNDEFINED-FILTER ${name}`);
}
