import {
  type Acl,
  type AclChange,
  ALL_RIGHTS,
  changedAcl,
  formatRights,
  OWNER,
  OWNERS_OWN,
  parseRights,
} from '../../store/acl.ts';
import type { Mailbox } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import type { Parser } from '../parser.ts';
import { astring, mailboxName, utf8Bytes } from '../response.ts';
import { identifierOf, parseIdentifier } from '../shared/identifiers.ts';

/** Access control lists (RFC 4314 3): who may do what with a mailbox. The right to ask is minded where they are kept. */

const CAPABILITIES = ['ACL', 'RIGHTS=texk'];
const STATES = ['authenticated', 'selected'] as const;

/** One at a time is told in LISTRIGHTS, none tied to another (RFC 4314 3.7); `c` and `d` stand alone (2.1.1). */
const GRANTABLE = 'lrswipkxteacd';

interface Entry {
  readonly path: string;
  /** As the client wrote it. */
  readonly written: string;
  readonly at: number;
}

/** GETACL (RFC 4314 3.3). */
export const getAcl: Command = command({
  name: 'GETACL',
  states: STATES,
  capability: CAPABILITIES,
  parse: (p) => p.sp().mailbox(),
  async run(session, path) {
    const { store, out, names } = session;
    const mailbox = await existing(session, path);
    const acl = await store.acl(mailbox.id);
    const owner = identifierOf(store.ownerOf(mailbox.id));
    const pairs = [...acl];
    // An owner of whom the list says nothing may do everything.
    if (!acl.has(owner) && !acl.has(OWNER)) pairs.unshift([owner, ALL_RIGHTS]);
    const told = pairs.map(
      ([identifier, rights]) => ` ${astring(utf8Bytes(identifier))} ${formatRights(rights)}`,
    );
    out.untagged(`ACL ${mailboxName(mailbox.path, names)}${told.join('')}`);
    return undefined;
  },
});

/** SETACL (RFC 4314 3.1). */
export const setAcl: Command = command({
  name: 'SETACL',
  states: STATES,
  capability: CAPABILITIES,
  parse(p) {
    const entry = parseEntry(p);
    const at = p.sp().at;
    const text = p.astring().toString('latin1');
    const sign = /^[+-]/.exec(text)?.[0];
    const rights = parseRights(text.slice(sign === undefined ? 0 : 1));
    if (!rights) return p.fail('There is no such right', at);
    return { entry, sign, rights };
  },
  async run(session, { entry, sign, rights }) {
    const { store } = session;
    const identifier = parseIdentifier(entry.written, store.account, entry.at);
    const mailbox = await existing(session, entry.path);
    const mode = sign === '+' ? 'add' : sign === '-' ? 'remove' : 'set';
    const change = { mode, rights } as const;
    await store.setAcl(mailbox.id, identifier, await ofOwner(session, mailbox, identifier, change));
    return undefined;
  },
});

/** DELETEACL (RFC 4314 3.2). */
export const deleteAcl: Command = command({
  name: 'DELETEACL',
  states: STATES,
  capability: CAPABILITIES,
  parse: parseEntry,
  async run(session, { path, written, at }) {
    const identifier = parseIdentifier(written, session.store.account, at);
    const mailbox = await existing(session, path);
    await session.store.setAcl(mailbox.id, identifier, { mode: 'set', rights: new Set() });
    return undefined;
  },
});

/** LISTRIGHTS (RFC 4314 3.4): what an identifier always has, and what it can be given. */
export const listRights: Command = command({
  name: 'LISTRIGHTS',
  states: STATES,
  capability: CAPABILITIES,
  parse: parseEntry,
  async run(session, { path, written, at }) {
    const { store, out, names } = session;
    const identifier = parseIdentifier(written, store.account, at);
    const mailbox = await existing(session, path);
    // Whoever may not read the list may not ask about it either (RFC 4314 4).
    await store.acl(mailbox.id);
    const isOwner = identifier === OWNER || identifier === identifierOf(store.ownerOf(mailbox.id));
    const always = isOwner ? OWNERS_OWN : '';
    const optional = [...GRANTABLE].filter((right) => !always.includes(right));
    const name = mailboxName(mailbox.path, names);
    // The identifier as it came, so that the client knows it again (RFC 4314 3.4).
    const who = astring(utf8Bytes(written));
    out.untagged(`LISTRIGHTS ${name} ${who} ${always === '' ? '""' : always} ${optional.join(' ')}`);
    return undefined;
  },
});

/** MYRIGHTS (RFC 4314 3.5). */
export const myRights: Command = command({
  name: 'MYRIGHTS',
  states: STATES,
  capability: CAPABILITIES,
  parse: (p) => p.sp().mailbox(),
  async run(session, path) {
    const mailbox = await existing(session, path);
    await tellRights(session, mailbox);
    return undefined;
  },
});

/** The MYRIGHTS response, which LIST gives too (RFC 8440). */
export async function tellRights({ store, out, names }: ImapSession, { id, path }: Mailbox): Promise<void> {
  out.untagged(`MYRIGHTS ${mailboxName(path, names)} ${formatRights(await store.rights(id))}`);
}

function parseEntry(p: Parser): Entry {
  const path = p.sp().mailbox();
  const { at } = p.sp();
  const bytes = p.astring();
  const written = bytes.toString();
  if (!Buffer.from(written).equals(bytes)) p.fail('That is no identifier', at);
  return { path, written, at };
}

/**
 * What is said of an owner: some rights are theirs whatever is said, and while the list does not name them they have all,
 * which is what others are added to, or taken away from.
 */
async function ofOwner(
  { store }: ImapSession,
  { id }: Mailbox,
  identifier: string,
  change: AclChange,
): Promise<AclChange> {
  const owner = identifierOf(store.ownerOf(id));
  if (identifier !== owner && identifier !== OWNER) return change;
  const acl = await store.acl(id);
  const isNamed = acl.has(owner) || acl.has(OWNER);
  const before: Acl = isNamed ? acl : new Map([[identifier, ALL_RIGHTS]]);
  const after = changedAcl(before, identifier, change).get(identifier) ?? [];
  return { mode: 'set', rights: new Set([...OWNERS_OWN, ...after]) };
}

async function existing({ store }: ImapSession, path: string): Promise<Mailbox> {
  const mailbox = await store.mailbox(path.replace(/\/$/, ''), 'known');
  // A name above others has no list.
  if (!mailbox?.selectable) throw new ImapNo('No such mailbox', 'NONEXISTENT');
  return mailbox;
}
