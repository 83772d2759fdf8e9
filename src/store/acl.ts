import { StoreError } from './store.ts';

/**
 * Who may do what with a mailbox (RFC 4314): rights, identifiers, and what an access control list grants to whom. Pure;
 * the store keeps the lists (maildir/acl-file.ts). All that is granted to whoever a visitor is, together, without all
 * that is taken away from them: section 2 leaves the choice, and this is Cyrus's.
 */

/** In the order in which they are told (RFC 4314 2.1). */
export const RIGHTS = 'lrswipkxtea';
/** What a right of RFC 2086 means today, and what brings it back into answers (RFC 4314 2.1.1). */
const VIRTUAL: readonly (readonly [string, string])[] = [
  ['c', 'kx'],
  ['d', 'te'],
];
/** What an owner can never lose: else nobody could repair a list (RFC 4314 2: some rights may always be granted). */
export const OWNERS_OWN = 'la';
/** Everybody who has logged in (RFC 4314 2). */
export const ANYONE = 'anyone';
/** Whose mailbox it is, as Dovecot writes it. */
export const OWNER = 'owner';

/** Octets of an identifier in UTF-8: a whole address (RFC 5321 4.5.3.1), and `-` before it. */
export const MAX_IDENTIFIER = 320;
/** Of one mailbox: they are read and written as one file. */
export const MAX_ACL_ENTRIES = 500;

/** Of `RIGHTS`. */
export type Rights = ReadonlySet<string>;
/** By identifier: an account, `anyone`, `owner`; with `-` before it what is taken away. No entry is without rights. */
export type Acl = ReadonlyMap<string, Rights>;

export interface AclChange {
  readonly mode: 'set' | 'add' | 'remove';
  readonly rights: Rights;
}

export const NO_RIGHTS: Rights = new Set();
export const ALL_RIGHTS: Rights = new Set(RIGHTS);

/** undefined when one of them is none: BAD (RFC 4314 3.1). */
export function parseRights(text: string): Rights | undefined {
  const found = new Set<string>();
  for (const char of text) {
    const members =
      VIRTUAL.find(([name]) => name === char)?.[1] ?? (RIGHTS.includes(char) ? char : undefined);
    if (members === undefined) return undefined;
    for (const member of members) found.add(member);
  }
  return found;
}

/** With `c` and `d` for those who know no others (RFC 4314 2.1.1). */
export function formatRights(rights: Rights): string {
  const virtual = VIRTUAL.filter(([, members]) => [...members].some((member) => rights.has(member)));
  return plainRights(rights) + virtual.map(([name]) => name).join('');
}

/** Without them, as they are kept. */
export function plainRights(rights: Rights): string {
  return [...RIGHTS].filter((right) => rights.has(right)).join('');
}

/** The list after a change; an entry that is left without rights goes. Throws 'limit', 'invalid-name'. */
export function changedAcl(acl: Acl, identifier: string, { mode, rights }: AclChange): Acl {
  const before = acl.get(identifier) ?? NO_RIGHTS;
  const after =
    mode === 'add' ? union(before, rights) : mode === 'remove' ? difference(before, rights) : rights;
  const next = new Map(acl);
  if (after.size === 0) {
    // Whatever it is.
    next.delete(identifier);
    return next;
  }
  if (!isIdentifier(identifier)) throw new StoreError('invalid-name', 'This is no identifier');
  if (Buffer.byteLength(identifier) > MAX_IDENTIFIER)
    throw new StoreError('limit', 'The identifier is too long');
  if (!acl.has(identifier) && acl.size >= MAX_ACL_ENTRIES)
    throw new StoreError('limit', 'The access control list is full');
  next.set(identifier, new Set([...RIGHTS].filter((right) => after.has(right))));
  return next;
}

/** UTF-8 text (RFC 4314 2) of which something is left when the dash is taken away. */
function isIdentifier(text: string): boolean {
  return text.isWellFormed() && !['', '-'].includes(text) && !/\p{Cc}/u.test(text);
}

export interface Visitor {
  readonly account: string;
  readonly is: 'owner' | 'other';
}

/** Who the visitor is, as lists name it; negative entries aside. */
export function identifiersOf({ account, is }: Visitor): string[] {
  return [account, ANYONE, ...(is === 'owner' ? [OWNER] : [])];
}

/** An owner has all rights where the list says nothing of them, and `OWNERS_OWN` whatever it says. */
export function rightsOf(acl: Acl, visitor: Visitor): Rights {
  const { account, is } = visitor;
  const isOwner = is === 'owner';
  let granted = isOwner && !acl.has(OWNER) && !acl.has(account) ? ALL_RIGHTS : NO_RIGHTS;
  let taken = NO_RIGHTS;
  for (const identifier of identifiersOf(visitor)) {
    granted = union(granted, acl.get(identifier) ?? NO_RIGHTS);
    taken = union(taken, acl.get(`-${identifier}`) ?? NO_RIGHTS);
  }
  const rights = difference(granted, taken);
  return isOwner ? union(rights, new Set(OWNERS_OWN)) : rights;
}

function union(a: Rights, b: Rights): Rights {
  return new Set([...a, ...b]);
}

function difference(a: Rights, b: Rights): Rights {
  return new Set([...a].filter((right) => !b.has(right)));
}
