import type { SortKey } from '../message/sort.ts';
import { StoreError, type Uid, type UidRange } from '../store/store.ts';
import type { ImapSession, Ok } from './command.ts';
import { type FetchWish, joinWishes, tellFetched } from './commands/fetch.ts';
import { ImapBad } from './errors.ts';
import { string } from './response.ts';
import type { Criterion } from './search/key.ts';
import type { Selected } from './selected.ts';
import { formatSet } from './sequence-set.ts';

/**
 * Searches of the selected mailbox whose results are kept up to date at the client (UPDATE, RFC 5267 4.3). Whenever the
 * client is told what has changed, the messages concerned are searched again, and what differs is told.
 */

/** Contexts of one session; each costs a search whenever something changes. RFC 5267 4.3.1 asks for one at least. */
const MAX_CONTEXTS = 16;
/** More changed messages than this are not named one by one: all are searched again. */
const MAX_NAMED = 1000;

/** What a searching command asks to be told about. */
export interface Watched {
  readonly by: 'uid' | 'sequence';
  /** Sequence numbers in it mean what they meant when the command came (RFC 5267 4.3). */
  readonly criterion: Criterion;
  /** Null: in the order of the mailbox. */
  readonly keys: readonly SortKey[] | null;
  /** What is told of new messages of others that are found (RFC 5465 7); null when nothing is. */
  readonly fetch: FetchWish | null;
  /** What ESEARCH says of the mailbox besides the tag (RFC 7377 2.1). */
  readonly place?: string;
}

/**
 * To be called before a search with UPDATE, since from then on changes count; the result tells the client what comes of
 * it, when the results are there. Refuses a tag that has a context already.
 */
export function beginUpdates({
  selected,
  out,
  tag,
}: ImapSession): (watched: Watched, results: readonly Uid[]) => Ok {
  selected.contexts ??= new UpdateContexts();
  const { contexts } = selected;
  const room = contexts.admit(tag);
  return (watched, results) => {
    if (room === 'full') {
      out.untagged(`NO [NOUPDATE ${string(tag)}] Too many contexts`);
      return { text: 'Search completed, will not notify' };
    }
    contexts.add(tag, watched, results, selected.lastUid);
    if (watched.fetch) selected.keepsFresh = true;
    return { text: 'Search completed, will notify' };
  };
}

interface Context extends Watched {
  readonly tag: string;
  /** What the client has. */
  readonly members: Set<Uid>;
  /** The same in the order of SORT; null in the order of the mailbox, where nobody needs it. */
  order: readonly Uid[] | null;
  /** The last UID of the view that was looked at. */
  lastUid: Uid;
}

/** Where a result stands (RFC 5267 4.3.3, 4.3.4), and what is put in or taken out there. */
type Step = readonly [position: number, numbers: readonly number[]];

export class UpdateContexts {
  readonly #contexts = new Map<string, Context>();
  /** Messages of the view whose flags have changed since we looked. */
  #touched = new Set<Uid>();

  /** Refuses a tag that a context has already (RFC 5267 4.3), and says whether there is room for one more. */
  admit(tag: string): 'room' | 'full' {
    if (this.#contexts.has(tag)) throw new ImapBad('This tag has a context already');
    return this.#contexts.size < MAX_CONTEXTS ? 'room' : 'full';
  }

  add(tag: string, watched: Watched, results: readonly Uid[], lastUid: Uid): void {
    const order = watched.keys ? results : null;
    this.#contexts.set(tag, { ...watched, tag, members: new Set(results), order, lastUid });
  }

  /** All or none: throws when one of the tags has no context. */
  cancel(tags: readonly string[]): void {
    for (const tag of tags) if (!this.#contexts.has(tag)) throw new ImapBad('There is no such context');
    for (const tag of tags) this.#contexts.delete(tag);
    if (this.#contexts.size === 0) this.#touched.clear();
  }

  /** News by sequence number end, where there are none any more (RFC 9586 3, RFC 5267 4.3.2). */
  endNumbered({ out }: ImapSession): void {
    for (const { tag, by } of this.#contexts.values()) {
      if (by === 'uid') continue;
      this.#contexts.delete(tag);
      out.untagged(`NO [NOUPDATE ${string(tag)}] There are no message numbers any more`);
    }
  }

  /** These messages have changed. There are never more of them than the view has. */
  touch(uid: Uid): void {
    this.#touched.add(uid);
  }

  /** Whether there may be something to tell. */
  isBehind({ lastUid }: Selected): boolean {
    if (this.#contexts.size === 0) return false;
    if (this.#touched.size > 0) return true;
    for (const context of this.#contexts.values()) if (context.lastUid < lastUid) return true;
    return false;
  }

  /** What is about to leave the view leaves the results first, while its number is still valid (RFC 5267 4.3.4). */
  tellGoing(session: ImapSession): void {
    const going = session.selected.going();
    for (const context of this.#contexts.values()) {
      const removed = going.filter((uid) => context.members.has(uid));
      if (removed.length > 0)
        tell(session, context, { removed, added: [], order: without(context, removed) });
    }
  }

  /**
   * Tells what the changes did to the results; the client has heard of the changes themselves.
   * @param fresh what others have added
   * @returns those of them that have been fetched for the client
   */
  async tellChanged(session: ImapSession, fresh: readonly Uid[]): Promise<ReadonlySet<Uid>> {
    const touched = this.#touched;
    this.#touched = new Set();
    const fetched = new Map<Uid, FetchWish>();
    try {
      const { lastUid } = session.selected;
      const differences = new Map<Context, Difference>();
      for (const context of this.#contexts.values()) {
        const difference = await changes(session, context, touched);
        if (difference) differences.set(context, difference);
      }
      for (const [{ fetch }, { added }] of differences) if (fetch) wish(fetched, fetch, added, fresh);
      await tellNew(session, fetched);
      for (const context of this.#contexts.values()) {
        const difference = differences.get(context);
        if (difference) tell(session, context, difference);
        context.lastUid = lastUid;
        if (session.out.full) await session.out.flush();
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // Once more when there is something to tell again: the results are still those that the client has.
      for (const uid of touched) this.#touched.add(uid);
    }
    return new Set(fetched.keys());
  }
}

/** Several contexts may want something of the same message: it is told in one response (RFC 5465 5.2). */
function wish(
  wishes: Map<Uid, FetchWish>,
  fetch: FetchWish,
  added: readonly Uid[],
  fresh: readonly Uid[],
): void {
  const isFresh = new Set(fresh);
  for (const uid of added) {
    const before = wishes.get(uid);
    if (isFresh.has(uid)) wishes.set(uid, before ? joinWishes(before, fetch) : fetch);
  }
}

/** Before the ESEARCH responses (RFC 5465 7), with what NOTIFY asks for. */
async function tellNew(session: ImapSession, wishes: ReadonlyMap<Uid, FetchWish>): Promise<void> {
  const also = session.notify?.fetch ?? [];
  const together = new Map<FetchWish, Uid[]>();
  const byText = new Map<string, FetchWish>();
  for (const [uid, own] of [...wishes].sort(([a], [b]) => a - b)) {
    const all = joinWishes(also, own);
    const text = all.map((each) => each.text).join(' ');
    const known = byText.get(text) ?? all;
    byText.set(text, known);
    const uids = together.get(known);
    if (uids) uids.push(uid);
    else together.set(known, [uid]);
  }
  for (const [items, uids] of together) await tellFetched(session, items, uids);
}

interface Difference {
  readonly removed: readonly Uid[];
  readonly added: readonly Uid[];
  /** What there is then, in the order of SORT. */
  readonly order: readonly Uid[] | null;
}

/** What comes and goes, which only messages do that were touched or are new; null when none does. */
async function changes(
  session: ImapSession,
  context: Context,
  touched: ReadonlySet<Uid>,
): Promise<Difference | null> {
  const { selected, store } = session;
  const { members, keys, lastUid: known } = context;
  const isMany = touched.size > MAX_NAMED;
  const ranges: UidRange[] = isMany ? [{ first: 1, last: known }] : [];
  if (!isMany) for (const uid of touched) ranges.push({ first: uid, last: uid });
  if (selected.lastUid > known) ranges.push({ first: known + 1, last: selected.lastUid });
  if (ranges.length === 0) return null;
  const criteria = await context.criterion(session);
  const found = new Set(await store.search(selected.id, { all: [{ uid: ranges }, criteria] }));
  const removed = [...(isMany ? members : touched)].filter((uid) => members.has(uid) && !found.has(uid));
  const isNew = (uid: Uid): boolean =>
    !members.has(uid) && selected.sequenceOf(uid) > 0 && !selected.isGoing(uid);
  const added = [...found].filter(isNew);
  if (removed.length === 0 && added.length === 0) return null;
  if (!keys || added.length === 0) return { removed, added, order: without(context, removed) };
  const sorted = await store.sort(selected.id, criteria, keys);
  const gone = new Set(removed);
  const more = new Set(added);
  return {
    removed,
    added,
    order: sorted.filter((uid) => more.has(uid) || (members.has(uid) && !gone.has(uid))),
  };
}

function without({ order }: Context, removed: readonly Uid[]): readonly Uid[] | null {
  const gone = new Set(removed);
  return order?.filter((uid) => !gone.has(uid)) ?? null;
}

/** Tells the difference, and remembers it. */
function tell(session: ImapSession, context: Context, difference: Difference): void {
  const { selected } = session;
  const { members, order } = context;
  const numberOf = (uid: Uid): number => (context.by === 'uid' ? uid : selected.sequenceOf(uid));
  const { removed, added } =
    order && difference.order
      ? sortedSteps(order, difference.order, numberOf)
      : plainSteps(difference, numberOf);
  if (difference.order) {
    members.clear();
    for (const uid of difference.order) members.add(uid);
  } else {
    for (const uid of difference.removed) members.delete(uid);
    for (const uid of difference.added) members.add(uid);
  }
  context.order = difference.order;
  if (removed.length === 0 && added.length === 0) return;
  const parts = [`ESEARCH (TAG ${string(context.tag)}${context.place ?? ''})`];
  if (context.by === 'uid') parts.push('UID');
  if (removed.length > 0) parts.push(`REMOVEFROM (${text(removed)})`);
  if (added.length > 0) parts.push(`ADDTO (${text(added)})`);
  session.out.untagged(parts.join(' '));
}

function text(steps: readonly Step[]): string {
  return steps.map(([position, numbers]) => `${position} ${formatSet(numbers)}`).join(' ');
}

interface Steps {
  readonly removed: readonly Step[];
  readonly added: readonly Step[];
}

/** In the order of the mailbox the client finds the places itself: position 0 (RFC 5267 4.3.3). */
function plainSteps({ removed, added }: Difference, numberOf: (uid: Uid) => number): Steps {
  const atZero = (uids: readonly Uid[]): Step[] => {
    const numbers = uids.map(numberOf).sort((a, b) => a - b);
    return numbers.length > 0 ? [[0, numbers]] : [];
  };
  return { removed: atZero(removed), added: atZero(added) };
}

/** Taken out from the back to the front, put in from the front to the back, so that each position holds. */
function sortedSteps(before: readonly Uid[], after: readonly Uid[], numberOf: (uid: Uid) => number): Steps {
  const had = new Set(before);
  const has = new Set(after);
  const stay = before.filter((uid) => has.has(uid));
  const stayed = after.filter((uid) => had.has(uid));
  // Nothing that we sort by changes; were it so, all would be told anew.
  const isSameOrder = stay.every((uid, at) => uid === stayed[at]);
  const removed = isSameOrder ? runs(before, (uid) => !has.has(uid), numberOf) : runs(before, all, numberOf);
  const added = isSameOrder ? runs(after, (uid) => !had.has(uid), numberOf) : runs(after, all, numberOf);
  return { removed: removed.reverse(), added };
}

const all = (): boolean => true;

/** Neighbours that are meant, with the position of the first, counted from 1. */
function runs(uids: readonly Uid[], isMeant: (uid: Uid) => boolean, numberOf: (uid: Uid) => number): Step[] {
  const found: [number, number[]][] = [];
  let open: number[] | null = null;
  uids.forEach((uid, at) => {
    if (!isMeant(uid)) open = null;
    else if (open) open.push(numberOf(uid));
    else {
      open = [numberOf(uid)];
      found.push([at + 1, open]);
    }
  });
  return found;
}
