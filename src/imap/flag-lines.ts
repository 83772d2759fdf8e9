import type { Selected } from './selected.ts';
import { rightFor } from './shared/flag-rights.ts';

const SYSTEM = ['\\Answered', '\\Flagged', '\\Deleted', '\\Draft', '\\Seen'];

/**
 * `FLAGS` and `PERMANENTFLAGS` for a mailbox and the keywords in use there (RFC 9051 7.3.4, 7.1); kept is what the user
 * has the right to change (RFC 4314 5.1.1).
 */
export function flagLines({ keywords, access, rights }: Selected): readonly string[] {
  const all = [...SYSTEM, ...keywords];
  const kept = access === 'read-write' ? all.filter((flag) => rights.has(rightFor(flag))) : [];
  if (access === 'read-write' && rights.has('w')) kept.push('\\*');
  const permanent = kept.join(' ');
  return [
    `FLAGS (${all.join(' ')})`,
    `OK [PERMANENTFLAGS (${permanent})] ${permanent === '' ? 'No flags can be stored' : 'Flags that are kept'}`,
  ];
}
