import { fold } from '../../message/fold.ts';
import type { MessageSummary } from '../../message/summary.ts';
import { bodyText, fieldTexts, includesText, messageText, type ReadSpan } from '../../message/text.ts';
import type { Packable } from '../packed-messages.ts';
import { type SearchCriteria, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { bitOf } from './flags.ts';
import type { Folder } from './folder.ts';
import { highestUid, normaliseRanges, packablesBetween } from './message-row.ts';
import { headerOf, keep, readSpan, readStructure, sentDate } from './read.ts';

/**
 * SEARCH, one message after the other: what the index knows is asked first, a header only where that leaves it open,
 * the text last. A generator, so that whoever runs it can let others in between.
 */

/** Nesting of criteria; RFC 9051 has no minimum, people nest two or three. */
const MAX_DEPTH = 100;

interface Candidate {
  readonly row: Packable;
  /** Both are read at most once. */
  header(): Uint8Array;
  text(where: 'body' | 'message'): Iterable<string>;
}

type Test = { readonly cost: 0 | 1 | 2; matches(candidate: Candidate): boolean };

/** Yields a UID that matches, or null when it has only worked for a while. */
export function* search(
  account: MaildirAccount,
  folder: Folder,
  criteria: SearchCriteria,
): Generator<number | null> {
  const test = compile(account, folder, criteria, 0);
  const made: [number, MessageSummary][] = [];
  for (const row of packablesBetween(account.index, folder, 1, 2 ** 32 - 1)) {
    if (test.cost > 0) yield null;
    try {
      if (test.matches(candidate(account, folder, row, made))) yield row.uid;
    } catch (error) {
      // It went while we searched.
      if (!(error instanceof StoreError && error.kind === 'expunged')) throw error;
    }
    if (made.length > 0) keep(account, folder, made.splice(0));
  }
}

function candidate(
  account: MaildirAccount,
  folder: Folder,
  row: Packable,
  made: [number, MessageSummary][],
): Candidate {
  let header: Uint8Array | undefined;
  return {
    row,
    header() {
      header ??= headerOf(account, folder, row.uid, made);
      return header;
    },
    text(where) {
      const read: ReadSpan = (span) => readSpan(account, folder, row.uid, span);
      const part = readStructure(account, folder, row.uid);
      return where === 'body' ? bodyText(part, read) : messageText(part, read);
    },
  };
}

function compile(account: MaildirAccount, folder: Folder, criteria: SearchCriteria, depth: number): Test {
  if (depth > MAX_DEPTH) throw new StoreError('limit', 'This search is nested too deeply');
  const inner = (next: SearchCriteria): Test => compile(account, folder, next, depth + 1);
  if ('all' in criteria) {
    const tests = byCost(criteria.all.map(inner));
    return { cost: dearest(tests), matches: (message) => tests.every((test) => test.matches(message)) };
  }
  if ('any' in criteria) {
    const tests = byCost(criteria.any.map(inner));
    return { cost: dearest(tests), matches: (message) => tests.some((test) => test.matches(message)) };
  }
  if ('not' in criteria) {
    const test = inner(criteria.not);
    return { cost: test.cost, matches: (message) => !test.matches(message) };
  }
  if ('flag' in criteria) {
    const bit = bitOf(criteria.flag, folder.keywords);
    return { cost: 0, matches: ({ row }) => (row.flags & bit) !== 0 };
  }
  if ('uid' in criteria) {
    const ranges = normaliseRanges(criteria.uid, highestUid(account.index, folder));
    return { cost: 0, matches: ({ row }) => within(ranges, row.uid) };
  }
  if ('header' in criteria) {
    const name = criteria.header.toLowerCase();
    const wanted = fold(criteria.contains);
    return {
      cost: 1,
      matches: (message) => fieldTexts(message.header(), name).some((text) => fold(text).includes(wanted)),
    };
  }
  if ('text' in criteria) {
    const { text, in: where } = criteria;
    return { cost: 2, matches: (message) => includesText(message.text(where), text) };
  }
  if ('size' in criteria) {
    const { size, bytes } = criteria;
    return { cost: 0, matches: ({ row }) => (size === 'larger' ? row.size > bytes : row.size < bytes) };
  }
  if ('date' in criteria) return dateTest(account, folder, criteria);
  const { changedSince } = criteria;
  return { cost: 0, matches: ({ row }) => row.modSeq > changedSince };
}

function dateTest(
  account: MaildirAccount,
  folder: Folder,
  { date, from, before }: Extract<SearchCriteria, { readonly date: unknown }>,
): Test {
  const isIn = (time: number): boolean =>
    time >= (from ?? Number.NEGATIVE_INFINITY) && time < (before ?? Number.POSITIVE_INFINITY);
  if (date !== 'sent')
    return { cost: 0, matches: ({ row }) => isIn(date === 'internal' ? row.internalDate : row.savedDate) };
  return {
    cost: 1,
    matches(message) {
      const cached = account.index
        .prepare<[number | null]>('SELECT sent FROM summaries WHERE id = ?')
        .get(folder.id(message.row.uid));
      const sent = cached ? cached[0] : sentDate(message.header());
      // Without a usable Date field the day of arrival has to do, as other servers have it.
      return isIn(sent ?? message.row.internalDate);
    },
  };
}

/** The ranges ascend and do not touch. */
function within(ranges: readonly { readonly first: number; readonly last: number }[], uid: number): boolean {
  let low = 0;
  let high = ranges.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (!range) return false;
    if (uid < range.first) high = middle - 1;
    else if (uid > range.last) low = middle + 1;
    else return true;
  }
  return false;
}

function byCost(tests: readonly Test[]): Test[] {
  return [...tests].sort((a, b) => a.cost - b.cost);
}

function dearest(tests: readonly Test[]): Test['cost'] {
  return tests.at(-1)?.cost ?? 0;
}
