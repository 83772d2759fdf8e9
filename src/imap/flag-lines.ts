import type { Selected } from './selected.ts';

const SYSTEM = '\\Answered \\Flagged \\Deleted \\Draft \\Seen';

/** `FLAGS` and `PERMANENTFLAGS` for a mailbox and the keywords in use there (RFC 9051 7.3.4, 7.1). */
export function flagLines(selected: Selected): readonly string[] {
  const all = [SYSTEM, ...selected.keywords].join(' ');
  const permanent = selected.access === 'read-write' ? `${all} \\*` : '';
  return [
    `FLAGS (${all})`,
    `OK [PERMANENTFLAGS (${permanent})] ${permanent === '' ? 'No flags can be stored' : 'Flags that are kept'}`,
  ];
}
