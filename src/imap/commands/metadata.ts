import { MAX_ANNOTATION, SPECIAL_USE_ENTRY } from '../../store/annotations.ts';
import { ACCOUNT, type Mailbox, type SpecialUse, StoreError } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import {
  ADMIN_ENTRY,
  annotationsOf,
  MAX_ENTRIES,
  type MetadataWish,
  parseEntries,
  parseEntry,
  tellMetadata,
} from '../metadata.ts';
import type { Parser } from '../parser.ts';
import { USES } from './create.ts';

const DEPTHS: ReadonlyMap<string, number> = new Map([
  ['0', 0],
  ['1', 1],
  ['INFINITY', Number.POSITIVE_INFINITY],
]);

type Options = Omit<MetadataWish, 'entries'>;
const NO_OPTIONS: Options = { depth: 0, maxSize: Number.POSITIVE_INFINITY };

/** GETMETADATA (RFC 5464 4.2). */
export const getMetadata: Command = command({
  name: 'GETMETADATA',
  states: ['authenticated', 'selected'],
  capability: ['METADATA', 'METADATA-SERVER'],

  parse(p): { readonly path: string; readonly wish: MetadataWish } {
    p.sp();
    // The grammar has the options before the mailbox, all of the RFC's examples behind it: both are understood.
    let options = p.isList ? parseOptions(p) : undefined;
    if (options) p.sp();
    const path = p.mailbox();
    p.sp();
    if (!options && isOptions(p)) {
      options = parseOptions(p);
      p.sp();
    }
    const entries = p.isList ? parseEntries(p) : [parseEntry(p)];
    return { path, wish: { ...(options ?? NO_OPTIONS), entries } };
  },

  async run(session, { path, wish }) {
    const mailbox = await annotatable(session, path);
    const longest = tellMetadata(session, mailbox?.path ?? '', await annotationsOf(session, mailbox), wish);
    return longest > 0 ? { code: `METADATA LONGENTRIES ${longest}` } : undefined;
  },
});

/** SETMETADATA (RFC 5464 4.3), special uses included (RFC 6154 4). */
export const setMetadata: Command = command({
  name: 'SETMETADATA',
  states: ['authenticated', 'selected'],
  capability: ['METADATA', 'METADATA-SERVER'],

  async literals(_session, _p, { size }) {
    if (size > MAX_ANNOTATION) throw tooBig();
    return 'argument';
  },

  parse(p) {
    const path = p.sp().mailbox();
    const entries = new Map<string, string | null>();
    p.sp().list((item) => {
      const at = item.at;
      const name = parseEntry(item);
      if (!isComplete(name)) item.fail('That is no entry name', at);
      entries.set(name, item.sp().nstring()?.toString('latin1') ?? null);
      if (entries.size > MAX_ENTRIES) item.fail('Too many entries', at);
    });
    return { path, entries };
  },

  async run(session, { path, entries }) {
    const mailbox = await annotatable(session, path);
    let specialUse: SpecialUse | null | undefined;
    for (const [name, value] of entries) {
      if (value !== null && value.length > MAX_ANNOTATION) throw tooBig();
      if (!mailbox && name.toLowerCase() === ADMIN_ENTRY)
        throw new ImapNo(`${ADMIN_ENTRY} is read-only`, 'NOPERM');
      if (!mailbox || name.toLowerCase() !== SPECIAL_USE_ENTRY) continue;
      specialUse = useOf(mailbox, value);
      entries.delete(name);
    }
    const change = { entries, by: session.connection.sid, ...(specialUse !== undefined && { specialUse }) };
    await session.store.annotate(mailbox?.id ?? ACCOUNT, change).catch((error) => {
      throw error instanceof StoreError && error.kind === 'limit'
        ? new ImapNo('There is no room for more annotations', 'METADATA TOOMANY', error)
        : error;
    });
    return undefined;
  },
});

/** null: the annotations of the account, which is what a user sees of the server. */
async function annotatable({ store }: ImapSession, path: string): Promise<Mailbox | null> {
  if (path === '') return null;
  const mailbox = await store.mailbox(path.replace(/\/$/, ''), 'known');
  if (!mailbox) throw new ImapNo('No such mailbox', 'NONEXISTENT');
  // A name above others is no mailbox, and has nothing that could be kept with it.
  if (!mailbox.selectable) throw new ImapNo('That is only a name above others', 'NONEXISTENT');
  return mailbox;
}

/** One use a mailbox, and the same ones as at CREATE (RFC 6154 4). */
function useOf(mailbox: Mailbox, value: string | null): SpecialUse | null {
  if (value === null || value.trim() === '') return null;
  const use = USES.get(value.trim().toLowerCase());
  if (!use || mailbox.path === 'INBOX') throw new ImapNo('A mailbox cannot have that use', 'USEATTR');
  return use;
}

function tooBig(): ImapNo {
  return new ImapNo('The annotation is too big', `METADATA MAXSIZE ${MAX_ANNOTATION}`);
}

/** RFC 5464 3.2: two components at least, below vendor/ four. */
function isComplete(name: string): boolean {
  const parts = name.split('/').slice(1);
  return parts.length >= (parts[1]?.toLowerCase() === 'vendor' ? 4 : 2);
}

/** No entry begins like an option. */
function isOptions(p: Parser): boolean {
  return p.isList && p.letterAfterNext;
}

function parseOptions(p: Parser): Options {
  let { depth, maxSize } = NO_OPTIONS;
  p.list((item) => {
    const at = item.at;
    const name = item.atom().toUpperCase();
    item.sp();
    if (name === 'MAXSIZE') maxSize = item.number();
    else if (name === 'DEPTH')
      depth = DEPTHS.get(item.atom().toUpperCase()) ?? item.fail('DEPTH is 0, 1 or infinity', at);
    else item.fail('No such option', at);
  });
  return { depth, maxSize };
}
