import type { Extension } from '../extension.ts';

/** RFC 5233. */
export const subaddress: Extension = {
  name: 'subaddress',
  source: 'RFC 5233',
  families: { address: { user: { group: 'address part' }, detail: { group: 'address part' } } },
};
