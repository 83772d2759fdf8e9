import { type FetchWish, parseFetchWish } from './commands/fetch.ts';
import { type MailboxFilter, mailboxTest, parseMailboxFilter, type Whose } from './mailbox-filter.ts';
import type { Parser } from './parser.ts';

/** The event-groups of NOTIFY (RFC 5465 6 and 8): which mailboxes, and what of them is to be told. */

/** Groups in one command; each is tried on each mailbox. */
const MAX_GROUPS = 100;

export const EVENTS = [
  'MessageNew',
  'MessageExpunge',
  'FlagChange',
  'MailboxName',
  'SubscriptionChange',
  'MailboxMetadataChange',
  'ServerMetadataChange',
] as const;
export type EventName = (typeof EVENTS)[number];

/** Those that may be asked for of the selected mailbox (RFC 5465 6.1). */
const OF_MESSAGES: readonly EventName[] = ['MessageNew', 'MessageExpunge', 'FlagChange'];

interface OtherGroup {
  readonly filter: MailboxFilter;
  /** Empty: NONE. */
  readonly events: ReadonlySet<EventName>;
}

/** What NOTIFY SET asks for. */
export interface Groups {
  readonly selected: {
    /** `delayed`: messages leave the view in commands that allow it only (RFC 5465 6.1.2). */
    readonly expunges: 'now' | 'delayed';
    readonly events: ReadonlySet<EventName>;
    /** What is told of a new message; null when that is nothing but its number. */
    readonly fetch: FetchWish | null;
  } | null;
  readonly others: readonly OtherGroup[];
  /** Whether events were asked for that nobody here knows. */
  readonly unknownEvents: boolean;
}

export const NO_GROUPS: Groups = { selected: null, others: [], unknownEvents: false };

/** event-groups: `(filter events) …` */
export function parseGroups(p: Parser): Groups {
  const others: OtherGroup[] = [];
  let selected: Groups['selected'] = null;
  let unknownEvents = false;
  let groups = 0;
  do {
    const { at } = p.sp();
    if (++groups > MAX_GROUPS) p.fail('Too many groups', at);
    p.take('(');
    const ofSelected = selectedFilter(p);
    if (ofSelected && selected) p.fail('SELECTED can be said once', at);
    const filter = ofSelected ? null : parseMailboxFilter(p);
    const asked = parseEvents(p.sp());
    p.take(')');
    checkEvents(p, asked, ofSelected ? 'selected' : 'other', at);
    unknownEvents ||= asked.unknown;
    const { events, fetch } = asked;
    if (ofSelected) selected = { expunges: ofSelected, events, fetch };
    else if (filter) others.push({ filter, events });
  } while (!p.atEnd);
  return { selected, others, unknownEvents };
}

function selectedFilter(p: Parser): 'now' | 'delayed' | null {
  for (const [word, expunges] of [
    ['SELECTED', 'now'],
    ['SELECTED-DELAYED', 'delayed'],
  ] as const)
    if (p.isWord(word)) {
      p.take(word);
      return expunges;
    }
  return null;
}

interface Asked {
  readonly events: Set<EventName>;
  fetch: FetchWish | null;
  unknown: boolean;
}

function parseEvents(p: Parser): Asked {
  const asked: Asked = { events: new Set(), fetch: null, unknown: false };
  if (p.tryTake('NONE')) return asked;
  if (p.isList) p.list((item) => parseEvent(item, asked));
  else {
    // Without parentheses, as in the example of RFC 5465 3.1.
    parseEvent(p, asked);
    while (p.next(' ')) parseEvent(p.sp(), asked);
  }
  return asked;
}

function parseEvent(p: Parser, asked: Asked): void {
  const name = p.keyword().toLowerCase();
  const event = EVENTS.find((known) => known.toLowerCase() === name);
  if (!event) {
    asked.unknown = true;
    return;
  }
  asked.events.add(event);
  // `(`: the only thing behind a space that is no letter.
  if (event === 'MessageNew' && p.next(' ') && !p.letterAfterNext) asked.fetch = parseFetchWish(p.sp());
}

function checkEvents(
  p: Parser,
  { events, fetch, unknown }: Asked,
  of: 'selected' | 'other',
  at: number,
): void {
  if (of === 'other' && fetch) p.fail('Only of the selected mailbox messages are fetched', at);
  if (of === 'selected' && [...events].some((event) => !OF_MESSAGES.includes(event)))
    p.fail('Of the selected mailbox there are only events of messages', at);
  // RFC 5465 5; what an event that we do not know brings with it, nobody can say.
  const hasBoth = events.has('MessageNew') && events.has('MessageExpunge');
  const hasAny = OF_MESSAGES.some((event) => events.has(event));
  if (hasAny && !hasBoth && !unknown) p.fail('MessageNew and MessageExpunge belong together', at);
}

export type EventsByPath = (path: string, whose: Whose) => ReadonlySet<EventName>;

/** What is to be told of a mailbox by its name; `subscribed` may change, and counts as it is when it is asked. */
export function eventsByPath({ others }: Groups, subscribed: ReadonlySet<string>): EventsByPath {
  const tests = others.map(({ filter, events }) => ({ matches: mailboxTest(filter, subscribed), events }));
  return (path, whose) => {
    const found = new Set<EventName>();
    for (const { matches, events } of tests) {
      if (!matches(path, whose)) continue;
      // No events of these mailboxes are wanted, whatever other groups say of them (RFC 5465 8, events).
      if (events.size === 0) return events;
      for (const event of events) found.add(event);
    }
    return found;
  };
}
