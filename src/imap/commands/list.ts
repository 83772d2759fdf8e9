import type { Annotations } from '../../store/annotations.ts';
import { type Mailbox, StoreError } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapBad } from '../errors.ts';
import { listPattern, mayReach, SEPARATOR } from '../list-pattern.ts';
import { annotationsOf, parseEntries, tellMetadata, USE_ATTRIBUTES } from '../metadata.ts';
import type { Parser } from '../parser.ts';
import { mailboxName } from '../response.ts';
import { parseStatusItems, tellStatus } from '../status-items.ts';
import { tellRights } from './acl.ts';

/** Patterns in one command; each is tried on each mailbox. */
const MAX_PATTERNS = 100;

type SelectOption = 'SUBSCRIBED' | 'REMOTE' | 'RECURSIVEMATCH' | 'SPECIAL-USE';
const SELECT_OPTIONS: readonly string[] = [
  'SUBSCRIBED',
  'REMOTE',
  'RECURSIVEMATCH',
  'SPECIAL-USE',
] satisfies SelectOption[];
const NONE: ReadonlySet<string> = new Set();
const RETURN_OPTIONS: readonly string[] = ['SUBSCRIBED', 'CHILDREN', 'SPECIAL-USE', 'MYRIGHTS'];

interface Arguments {
  readonly form: 'basic' | 'extended';
  readonly select: ReadonlySet<string>;
  readonly reference: string;
  readonly patterns: readonly string[];
  readonly returned: ReadonlySet<string>;
  readonly status: readonly string[] | null;
  readonly metadata: readonly string[] | null;
}

/** One name to list: a mailbox, a parent of mailboxes, or a subscription without either. */
interface Entry {
  readonly path: string;
  readonly mailbox: Mailbox | null;
  readonly subscribed: boolean;
}

/**
 * LIST (RFC 9051 6.3.9, RFC 5258), with STATUS (RFC 5819), METADATA (RFC 9590), MYRIGHTS (RFC 8440) and special uses
 * (RFC 6154).
 */
export const list: Command = command({
  name: 'LIST',
  states: ['authenticated', 'selected'],
  capability: ['LIST-EXTENDED', 'LIST-STATUS', 'LIST-METADATA', 'LIST-MYRIGHTS', 'CHILDREN', 'SPECIAL-USE'],
  parse,

  async run(session, args) {
    const { out } = session;
    if (args.form === 'basic' && args.patterns[0] === '') {
      // A question for the separator (RFC 9051 6.3.9).
      out.untagged(`LIST (\\NoSelect) "${SEPARATOR}" ""`);
      return undefined;
    }
    const wanted = args.patterns.filter((pattern) => pattern !== '').map((p) => args.reference + p);
    const reach = (prefix: string): boolean => wanted.some((pattern) => mayReach(pattern, prefix));
    const entries = await allEntries(session, args.select.has('SUBSCRIBED'), reach);
    const parents = parentsOf(entries, () => true);
    const matchers = wanted.map(listPattern);
    const matching = (path: string): boolean => matchers.some((matches) => matches(path));
    // Selected names below that are not listed themselves, since no pattern matches them (RFC 5258 3.5).
    const hiding = args.select.has('RECURSIVEMATCH')
      ? parentsOf(entries, (entry) => isSelected(entry, args.select) && !matching(entry.path))
      : NONE;
    const listed = entries.filter(
      (entry) => (isSelected(entry, args.select) || hiding.has(entry.path)) && matching(entry.path),
    );
    const mailboxNow = inAdvance(listed, ({ path }) => session.store.mailbox(path));
    const annotationsNow = inAdvance(listed, ({ mailbox }) => mailbox && annotations(session, mailbox));

    for (const [at, entry] of listed.entries()) {
      const extended = hiding.has(entry.path) ? ' ("CHILDINFO" ("SUBSCRIBED"))' : '';
      out.untagged(`${line(session, entry, attributesOf(entry, args, parents.has(entry.path)))}${extended}`);
      if (args.status) {
        const mailbox = await mailboxNow(at);
        // Without the right to look there is nothing to tell (RFC 4314 4).
        if (mailbox?.selectable && (await session.store.rightsIfAny(mailbox.id)).has('r'))
          await tellStatus(session, mailbox, args.status);
      }
      if (args.returned.has('MYRIGHTS') && entry.mailbox?.selectable && isSelected(entry, args.select))
        await tellRights(session, entry.mailbox);
      // Not of a mailbox that is listed for the sake of others below it (RFC 9590 3).
      if (args.metadata && isSelected(entry, args.select)) {
        const found = await annotationsNow(at);
        const wish = { entries: args.metadata, depth: 0, maxSize: Number.POSITIVE_INFINITY };
        if (found) tellMetadata(session, entry.path, found, wish);
      }
      if (out.full) await out.flush();
    }
    return undefined;
  },
});

/** Questions that are on their way while an answer is told. */
const IN_ADVANCE = 32;

/** Asks about the nth mailbox as it is now, and about some after it: thousands of round trips take less time so. */
function inAdvance<T>(
  entries: readonly Entry[],
  ask: (entry: Entry) => Promise<T | undefined> | null,
): (at: number) => Promise<T | undefined> {
  const answers: Promise<T | undefined>[] = [];
  return async (at) => {
    for (const entry of entries.slice(answers.length, at + IN_ADVANCE)) {
      const answer = (entry.mailbox?.selectable && ask(entry)) || Promise.resolve(undefined);
      // It may fail before anybody waits for it.
      answer.catch(() => undefined);
      answers.push(answer);
    }
    return answers[at];
  };
}

/** undefined when it has gone meanwhile: the rest of the answer is not hurt (RFC 9590 3). */
async function annotations(session: ImapSession, mailbox: Mailbox): Promise<Annotations | undefined> {
  try {
    return await annotationsOf(session, mailbox);
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

/** The LIST response of one mailbox, which SELECT gives in IMAP4rev2 (RFC 9051 6.3.2). */
export async function listLine(session: ImapSession, path: string): Promise<string | undefined> {
  const mailbox = await session.store.mailbox(path, 'known');
  if (!mailbox) return undefined;
  const entry = { path: mailbox.path, mailbox, subscribed: mailbox.subscribed };
  const asked = { form: 'extended', select: NONE, returned: new Set(['SUBSCRIBED']) } as const;
  return line(session, entry, attributesOf(entry, asked, mailbox.hasChildren));
}

/**
 * The LIST response that says what a name is now, of whatever has happened to it (RFC 5465 5.4, 5.5).
 * @param was its name before, if it was renamed
 */
export async function changedLine(
  session: ImapSession,
  path: string,
  subscribed: boolean,
  was: string | null,
): Promise<string> {
  const { store } = session;
  const found = await store.mailbox(path, 'known');
  const rights = found && (await store.rightsIfAny(found.id));
  // What may not be listed is not there (RFC 5465 5.4); what may not be read is told of no further (3.1).
  const mailbox = found && rights?.has('l') ? found : null;
  const entry = { path, mailbox, subscribed };
  const asked = { form: 'extended', select: NONE, returned: new Set(['SUBSCRIBED']) } as const;
  const attributes = attributesOf(entry, asked, mailbox?.hasChildren ?? false);
  if (mailbox?.selectable && rights?.has('r') === false) attributes.unshift('\\NoAccess');
  const told = line(session, entry, attributes);
  return was === null ? told : `${told} ("OLDNAME" (${mailboxName(was, session.names)}))`;
}

function line({ names }: ImapSession, { path }: Entry, attributes: readonly string[]): string {
  return `LIST (${attributes.join(' ')}) "${SEPARATOR}" ${mailboxName(path, names)}`;
}

function parse(p: Parser): Arguments {
  let form: 'basic' | 'extended' = 'basic';
  const select = new Set<string>();
  p.sp();
  if (p.isList) {
    form = 'extended';
    const at = p.at;
    p.list((item) => select.add(option(item, SELECT_OPTIONS)), 'empty');
    // RFC 5258 3: it says how another option selects, and cannot stand alone.
    if (select.has('RECURSIVEMATCH') && !select.has('SUBSCRIBED') && !select.has('SPECIAL-USE'))
      p.fail('RECURSIVEMATCH needs another selection option', at);
    p.sp();
  }
  const reference = p.decodeMailbox(p.astring());
  p.sp();
  let patterns: string[];
  if (p.isList) {
    form = 'extended';
    const at = p.at;
    patterns = p.list((item) => item.listMailbox());
    if (patterns.length > MAX_PATTERNS) throw new ImapBad('Too many patterns', at);
  } else patterns = [p.listMailbox()];
  const returned = new Set<string>();
  let status: readonly string[] | null = null;
  let metadata: readonly string[] | null = null;
  if (!p.atEnd) {
    form = 'extended';
    p.sp().take('RETURN').sp();
    p.list((item) => {
      const at = item.at;
      const name = item.atom().toUpperCase();
      if (name === 'STATUS') status = parseStatusItems(item.sp());
      else if (name === 'METADATA') metadata = parseEntries(item.sp());
      else if (RETURN_OPTIONS.includes(name)) returned.add(name);
      else item.fail('No such return option', at);
    }, 'empty');
  }
  return { form, select, reference, patterns, returned, status, metadata };
}

function option(p: Parser, known: readonly string[]): string {
  const at = p.at;
  const name = p.atom().toUpperCase();
  return known.includes(name) ? name : p.fail('No such selection option', at);
}

/** All names, INBOX first, parents before children. */
async function allEntries(
  { store }: ImapSession,
  subscriptions: boolean,
  reach: (prefix: string) => boolean,
): Promise<readonly Entry[]> {
  const entries = new Map<string, Entry>();
  for (const mailbox of await store.mailboxes(reach))
    entries.set(mailbox.path, { path: mailbox.path, mailbox, subscribed: mailbox.subscribed });
  if (subscriptions)
    for (const path of await store.subscriptions())
      entries.set(path, { path, mailbox: entries.get(path)?.mailbox ?? null, subscribed: true });
  // Parents that are nothing themselves have a name all the same.
  for (const path of [...entries.keys()])
    for (const parent of ancestors(path))
      if (!entries.has(parent)) entries.set(parent, { path: parent, mailbox: null, subscribed: false });
  const sorted = [...entries.values()].map((entry) => ({ entry, key: sortKey(entry.path) }));
  return sorted.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ entry }) => entry);
}

/** INBOX first; what is below a name comes before its neighbours. */
function sortKey(path: string): string {
  return path === 'INBOX' || path.startsWith('INBOX/') ? `\u0001${path}` : path.replaceAll('/', '\u0001');
}

function isSelected(entry: Entry, select: ReadonlySet<string>): boolean {
  if (select.has('SUBSCRIBED') && !entry.subscribed) return false;
  if (select.has('SPECIAL-USE') && !entry.mailbox?.specialUse) return false;
  // A name that is only a parent is listed where no selection asks for more.
  return entry.mailbox !== null || entry.subscribed || !select.has('SUBSCRIBED');
}

/** The names above the entries that qualify. */
function parentsOf(entries: readonly Entry[], qualifies: (entry: Entry) => boolean): ReadonlySet<string> {
  const parents = new Set<string>();
  for (const entry of entries)
    if (qualifies(entry))
      for (const parent of ancestors(entry.path)) {
        if (parents.has(parent)) break;
        parents.add(parent);
      }
  return parents;
}

function* ancestors(path: string): Generator<string> {
  for (let at = path.lastIndexOf(SEPARATOR); at > 0; at = path.lastIndexOf(SEPARATOR, at - 1))
    yield path.slice(0, at);
}

function attributesOf(
  entry: Entry,
  args: Pick<Arguments, 'form' | 'select' | 'returned'>,
  isParent: boolean,
): string[] {
  const attributes: string[] = [];
  if (!entry.mailbox?.selectable) {
    // \NonExistent says \NoSelect too, to who knows it (RFC 9051 7.3.1).
    attributes.push(args.form === 'extended' ? '\\NonExistent' : '\\NoSelect');
  }
  attributes.push(isParent ? '\\HasChildren' : '\\HasNoChildren');
  if (entry.subscribed && (args.returned.has('SUBSCRIBED') || args.select.has('SUBSCRIBED')))
    attributes.push('\\Subscribed');
  if (entry.mailbox?.specialUse) attributes.push(USE_ATTRIBUTES[entry.mailbox.specialUse]);
  return attributes;
}
