import type { SearchCriteria } from '../../store/store.ts';
import type { ImapSession } from '../command.ts';
import type { SearchKey } from './key.ts';

/** NEW, OLD and RECENT (RFC 3501 6.4.4): \Recent is the session's, so these are ranges of UIDs to the store. */
export const recentKeys: readonly SearchKey[] = [
  { name: 'RECENT', parse: () => recent },
  { name: 'OLD', parse: () => (session) => ({ not: recent(session) }) },
  { name: 'NEW', parse: () => (session) => ({ all: [recent(session), { not: { flag: '\\Seen' } }] }) },
];

function recent({ selected }: ImapSession): SearchCriteria {
  return { uid: [...selected.recent] };
}
