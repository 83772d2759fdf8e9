import type { AccountId } from '../../directory/directory.ts';

/** Where other people's mailboxes stand among one's own (RFC 2342, RFC 9051 6.3.10). */

export const OTHER_USERS = 'Other Users/';
export const PUBLIC = 'Public/';

/** What comes before the paths of that account. */
export function prefixOf(account: AccountId): string {
  return `${OTHER_USERS}${account}/`;
}

/** Whether a name is, or is above, one that is not the user's own. */
export function isNamespace(path: string, namespaces: readonly string[]): boolean {
  return namespaces.some((namespace) => `${path}/`.startsWith(namespace));
}
