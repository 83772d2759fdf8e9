import { type Annotations, SPECIAL_USE_ENTRY } from '../store/annotations.ts';
import { ACCOUNT, type Mailbox, type SpecialUse } from '../store/store.ts';
import type { ImapSession } from './command.ts';
import type { Parser } from './parser.ts';
import { astring, mailboxName, string } from './response.ts';

/** Annotations as IMAP names and shows them (RFC 5464): what GETMETADATA, SETMETADATA and LIST share. */

/** Octets of an entry's name. */
const MAX_NAME = 1024;
/** Entries in one command. */
export const MAX_ENTRIES = 200;

/** Whom to ask about this server; of the configuration, so no client changes it (RFC 5464 6.2.2). */
export const ADMIN_ENTRY = '/shared/admin';

export const USE_ATTRIBUTES: Readonly<Record<SpecialUse, string>> = {
  archive: '\\Archive',
  drafts: '\\Drafts',
  junk: '\\Junk',
  sent: '\\Sent',
  trash: '\\Trash',
  flagged: '\\Flagged',
  all: '\\All',
};

/** What is asked for. */
export interface MetadataWish {
  readonly entries: readonly string[];
  readonly depth: number;
  /** Octets; longer values are left out. */
  readonly maxSize: number;
}

/** `/private/…` or `/shared/…`. What can be none is BAD (RFC 5464 3.2). */
export function parseEntry(p: Parser): string {
  const at = p.at;
  const name = p.astring().toString('latin1');
  if (name.length > MAX_NAME) p.fail('The entry name is too long', at);
  if (!/^\/(?:private|shared)(?:\/[^/]+)*$/i.test(name) || !/^[ -$&-)+-~]*$/.test(name))
    p.fail('That is no entry name', at);
  return name;
}

/** `(entry entry …)` */
export function parseEntries(p: Parser): readonly string[] {
  const at = p.at;
  const entries = p.list(parseEntry);
  if (entries.length > MAX_ENTRIES) p.fail('Too many entries', at);
  return entries;
}

/** What there is to be read of a mailbox, or of the account (null), kept or computed. */
export async function annotationsOf(session: ImapSession, mailbox: Mailbox | null): Promise<Annotations> {
  const { store, world } = session;
  const all = new Map(await store.annotations(mailbox?.id ?? ACCOUNT));
  if (!mailbox && world.settings.adminContact !== null) all.set(ADMIN_ENTRY, world.settings.adminContact);
  if (mailbox?.specialUse) all.set(SPECIAL_USE_ENTRY, USE_ATTRIBUTES[mailbox.specialUse]);
  return all;
}

/**
 * Tells what is wished for.
 * @returns the size of the longest value that was left out; 0 when none was
 */
export function tellMetadata(
  session: ImapSession,
  path: string,
  annotations: Annotations,
  wish: MetadataWish,
): number {
  const values = new Map<string, string>();
  let longest = 0;
  for (const asked of wish.entries) {
    const lower = asked.toLowerCase();
    let found = false;
    for (const [name, value] of annotations) {
      if (!isWithin(name.toLowerCase(), lower, wish.depth)) continue;
      found = true;
      if (value.length > wish.maxSize) longest = Math.max(longest, value.length);
      else {
        // As it was asked for, where the spelling differs.
        const spelling = name.length === asked.length ? asked : name;
        values.set(name.toLowerCase(), `${astring(spelling)} ${valueString(value)}`);
      }
    }
    // Of what is asked for by its full name the client hears that it is not there (RFC 9590 3).
    if (!found && wish.depth === 0) values.set(lower, `${astring(asked)} NIL`);
  }
  if (values.size > 0)
    session.out.untagged(`METADATA ${mailboxName(path, session.names)} (${[...values.values()].join(' ')})`);
  return longest;
}

function isWithin(name: string, above: string, depth: number): boolean {
  if (name === above) return true;
  if (depth === 0 || !name.startsWith(`${above}/`)) return false;
  return name.slice(above.length + 1).split('/').length <= depth;
}

/** RFC 5464 5, value: what holds a NUL is no literal but a literal8. */
function valueString(value: string): string {
  return value.includes('\0') ? `~{${value.length}}\r\n${value}` : string(value);
}
