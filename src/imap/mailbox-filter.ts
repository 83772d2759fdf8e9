import type { Mailbox, MailboxId } from '../store/store.ts';
import { SEPARATOR } from './list-pattern.ts';
import type { Parser } from './parser.ts';
import type { UserView } from './shared/view.ts';

/** Mailboxes by what they are to the user: filter-mailboxes (RFC 5465 6), with subtree-one (RFC 7377 2.2). */

/** Names in one filter. */
const MAX_NAMES = 1000;

export type MailboxFilter =
  | { readonly of: 'selected' | 'personal' | 'inboxes' | 'subscribed' }
  | { readonly of: 'subtree' | 'subtree-one' | 'mailboxes'; readonly paths: readonly string[] };

const SETS = ['selected', 'personal', 'inboxes', 'subscribed'] as const;
const NAMED = ['subtree', 'subtree-one', 'mailboxes'] as const;

export function parseMailboxFilter(p: Parser): MailboxFilter {
  const at = p.at;
  const name = p.keyword().toLowerCase();
  const set = SETS.find((known) => known === name);
  if (set) return { of: set };
  const named = NAMED.find((known) => known === name);
  if (!named) return p.fail('No such kind of mailboxes', at);
  const paths = p.sp().isList ? p.list((item) => item.mailbox()) : [p.mailbox()];
  if (paths.length > MAX_NAMES) p.fail('Too many mailboxes', at);
  return { of: named, paths };
}

/** The selectable mailboxes that one of the filters means, each once; `selected` means none of them. */
export async function mailboxesOf(
  store: UserView,
  filters: readonly MailboxFilter[],
): Promise<readonly Mailbox[]> {
  if (filters.every(({ of }) => of === 'selected')) return [];
  const subscribed = new Set(
    filters.some(({ of }) => of === 'subscribed') ? await store.subscriptions() : [],
  );
  const tests = filters.map((filter) => mailboxTest(filter, subscribed));
  const mailboxes = await store.mailboxes();
  const meant = mailboxes.filter(
    ({ id, selectable, path }) =>
      selectable && tests.some((matches) => matches(path, store.isOwn(id) ? 'own' : 'shared')),
  );
  return [...meant, ...(await unlisted(store, filters, new Set(mailboxes.map(({ path }) => path))))];
}

/** Of what others share, a mailbox that is named needs not be listed (RFC 7377 2.2). */
async function unlisted(
  store: UserView,
  filters: readonly MailboxFilter[],
  listed: ReadonlySet<string>,
): Promise<readonly Mailbox[]> {
  const found = new Map<MailboxId, Mailbox>();
  for (const filter of filters)
    for (const path of filter.of === 'mailboxes' ? filter.paths : []) {
      const mailbox = listed.has(path) ? undefined : await store.mailbox(path, 'known');
      if (mailbox?.selectable && !store.isOwn(mailbox.id)) found.set(mailbox.id, mailbox);
    }
  return [...found.values()];
}

/** Whether it is the user's, or somebody shares it with them (RFC 2342). */
export type Whose = 'own' | 'shared';

/** Whether a filter means a mailbox of this name; `selected` means none. */
export function mailboxTest(
  filter: MailboxFilter,
  subscribed: ReadonlySet<string>,
): (path: string, whose: Whose) => boolean {
  switch (filter.of) {
    case 'selected':
      return () => false;
    // Any mailbox may be the target of a delivery, and then both are the same (RFC 5465 6.4).
    case 'inboxes':
    case 'personal':
      return (_, whose) => whose === 'own';
    case 'subscribed':
      return (path) => subscribed.has(path);
    case 'mailboxes': {
      const paths = new Set(filter.paths);
      return (path) => paths.has(path);
    }
    case 'subtree':
    case 'subtree-one': {
      const roots = new Set(filter.paths);
      const deep = filter.of === 'subtree';
      return (path) => roots.has(path) || isBelow(path, roots, deep);
    }
  }
}

/** Whether a parent, or with `deep` any ancestor, is among the roots. */
function isBelow(path: string, roots: ReadonlySet<string>, deep: boolean): boolean {
  for (let at = path.lastIndexOf(SEPARATOR); at > 0; at = path.lastIndexOf(SEPARATOR, at - 1)) {
    if (roots.has(path.slice(0, at))) return true;
    if (!deep) return false;
  }
  return false;
}
