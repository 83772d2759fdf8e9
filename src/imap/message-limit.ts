import type { SearchCriteria, Uid, UidRange } from '../store/store.ts';
import type { ImapSession, Ok } from './command.ts';
import { ImapNo } from './errors.ts';
import type { ImapOptions } from './options.ts';
import type { PartialRange } from './partial-range.ts';
import type { Selected } from './selected.ts';
import { normalise } from './sequence-set.ts';

/**
 * How many messages one command may be about (RFC 9738), where that is limited (`imap.messageLimit`, `imap.saveLimit`).
 * What can be done in parts is done for the messages with the highest UIDs; COPY and APPEND are done wholly or not at all.
 * EXPUNGE, CLOSE and STATUS know no limit (3.1), nor does SORT, for which the store has indices (3.3), nor ESEARCH (RFC
 * 7377), which the RFC does not name.
 */

type Limits = Pick<ImapOptions, 'messageLimit' | 'saveLimit'>;

/** What CAPABILITY says of it. */
export function limitCapabilities({ messageLimit, saveLimit }: Limits): string[] {
  const words: string[] = [];
  if (messageLimit !== null) words.push(`MESSAGELIMIT=${messageLimit}`);
  if (saveLimit !== null) words.push(`SAVELIMIT=${saveLimit}`);
  return words;
}

/** What one command may do of a task. */
export interface Share<T> {
  readonly share: readonly T[];
  /** The lowest UID in it; null when it is all of the task. */
  readonly lowest: Uid | null;
}

/** As many of these messages, in ascending order, as may be; the highest ones. */
export function shareOf({ world }: ImapSession, uids: readonly Uid[]): Share<Uid> {
  const limit = world.settings.messageLimit;
  const lowest = limit === null ? undefined : uids[uids.length - limit];
  if (limit === null || uids.length <= limit || lowest === undefined) return { share: uids, lowest: null };
  return { share: uids.slice(-limit), lowest };
}

/** The same of all messages of the view that are in `ranges`. */
export function shareOfRanges(session: ImapSession, ranges: readonly UidRange[]): Share<UidRange> {
  if (session.world.settings.messageLimit === null) return { share: ranges, lowest: null };
  const { lowest } = shareOf(session, [...session.selected.uidsIn(ranges)]);
  if (lowest === null) return { share: ranges, lowest };
  const share = ranges
    .filter(({ last }) => last === '*' || last >= lowest)
    .map(({ first, last }) => ({ first: Math.max(first, lowest), last }));
  return { share, lowest };
}

/** The answer to a command that was done for its share alone; what it says besides goes first (RFC 9738 3.1). */
export function answerShare(
  { world, out }: ImapSession,
  { lowest }: Share<unknown>,
  ok: Ok | undefined,
): Ok | undefined {
  if (lowest === null) return ok;
  const code = `MESSAGELIMIT ${world.settings.messageLimit} ${lowest}`;
  const text = 'Only the last messages, there are more';
  if (ok?.code === undefined) return { ...ok, code, text };
  out.untagged(`NO [${code}] ${text}`);
  return ok;
}

/** Refuses a PARTIAL that is for more messages than may be (RFC 9738 3.1). */
export function checkPartial({ world }: ImapSession, partial: PartialRange | null): void {
  const limit = world.settings.messageLimit;
  if (limit !== null && partial && partial.high - partial.low >= limit)
    throw tooMany(`MESSAGELIMIT ${limit}`);
}

/** Refuses to copy more messages, in ascending order, than may be: then none is copied (RFC 9738 3.1). */
export function checkCopied({ world }: ImapSession, uids: readonly Uid[]): void {
  const limit = saveLimit(world.settings);
  if (uids.length > limit) throw tooMany(`MESSAGELIMIT ${limit} ${uids[uids.length - limit]}`);
}

/** The same of messages that are uploaded (RFC 9738 3.1). */
export function checkAppended({ world }: ImapSession, messages: number): void {
  const limit = saveLimit(world.settings);
  if (messages > limit) throw tooMany(`MESSAGELIMIT ${limit}`);
}

function saveLimit({ messageLimit, saveLimit: own }: Limits): number {
  return Math.min(messageLimit ?? Number.POSITIVE_INFINITY, own ?? Number.POSITIVE_INFINITY);
}

/** Refuses what is only done for all of the messages that a search goes through (THREAD, RFC 9738 3.3). */
export function checkThreaded(session: ImapSession, criteria: SearchCriteria): void {
  const { lowest } = shareOfSearch(session, criteria);
  if (lowest !== null) throw tooMany(`MESSAGELIMIT ${session.world.settings.messageLimit}`);
}

function tooMany(code: string): ImapNo {
  return new ImapNo('Too many messages, try fewer at a time', code);
}

/** Those that a search may go through; it is not the found ones that count (RFC 9738 3.1). */
export function shareOfSearch(session: ImapSession, criteria: SearchCriteria): Share<UidRange> {
  const { selected, world } = session;
  const all = [{ first: 1, last: selected.lastUid }];
  if (world.settings.messageLimit === null) return { share: all, lowest: null };
  return shareOfRanges(session, rangesOf(selected, criteria) ?? all);
}

/** The UIDs that a search names, ascending; null where it is about all messages. */
function rangesOf(selected: Selected, criteria: SearchCriteria): readonly ClosedRange[] | null {
  if ('uid' in criteria) return normalise(criteria.uid, selected.lastUid);
  if ('all' in criteria) {
    let common: readonly ClosedRange[] | null = null;
    for (const each of criteria.all) {
      const ranges = rangesOf(selected, each);
      if (ranges) common = common ? intersection(common, ranges) : ranges;
    }
    return common;
  }
  if (!('any' in criteria)) return null;
  const any: ClosedRange[] = [];
  for (const each of criteria.any) {
    const ranges = rangesOf(selected, each);
    if (!ranges) return null;
    any.push(...ranges);
  }
  return normalise(any, selected.lastUid);
}

interface ClosedRange extends UidRange {
  readonly last: number;
}

function intersection(a: readonly ClosedRange[], b: readonly ClosedRange[]): ClosedRange[] {
  const common: ClosedRange[] = [];
  for (let i = 0, j = 0; ; ) {
    const one = a[i];
    const other = b[j];
    if (!one || !other) return common;
    const first = Math.max(one.first, other.first);
    const last = Math.min(one.last, other.last);
    if (first <= last) common.push({ first, last });
    if (one.last < other.last) i++;
    else j++;
  }
}
