import type { SearchCriteria } from '../../store/store.ts';
import type { SearchKey, SearchScope } from './key.ts';

/** NEW, OLD and RECENT (RFC 3501 6.4.4): \Recent is the session's, so these are ranges of UIDs to the store. */
export const recentKeys: readonly SearchKey[] = [
  { name: 'RECENT', parse: () => recent },
  { name: 'OLD', parse: () => (scope) => ({ not: recent(scope) }) },
  { name: 'NEW', parse: () => (scope) => ({ all: [recent(scope), { not: { flag: '\\Seen' } }] }) },
];

function recent({ selected }: SearchScope): SearchCriteria {
  return { uid: [...selected.recent] };
}
