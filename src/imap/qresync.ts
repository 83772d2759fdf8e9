import type { ModSeq, Uid, UidRange } from '../store/store.ts';
import type { ImapSession } from './command.ts';
import { ImapBad, uidRequired } from './errors.ts';
import type { Parser } from './parser.ts';
import { formatSet, type NumberRange, normalise, type SequenceSet } from './sequence-set.ts';

/** Quick resynchronisation (RFC 7162 3.2): what the client missed since a MODSEQ, at SELECT and in UID FETCH. */

export interface Qresync {
  readonly uidValidity: number;
  readonly since: ModSeq;
  readonly known: SequenceSet | null;
  /** Pairs of sequence number and UID that the client believes in. */
  readonly match: { readonly sequence: SequenceSet; readonly uids: SequenceSet } | null;
  readonly notEnabled: ImapBad;
}

/** RFC 7162 7, select-param: `(uidvalidity mod-sequence [known-uids] [(sequence-set uid-set)])`. */
export function parseQresync(p: Parser): Qresync {
  const notEnabled = new ImapBad('ENABLE QRESYNC comes first', p.at);
  p.take('(');
  const uidValidity = p.nzNumber();
  const since = p.sp().number64() as ModSeq;
  let known: SequenceSet | null = null;
  let match: Qresync['match'] = null;
  if (p.next(' ')) {
    p.sp();
    if (!p.isList) {
      known = p.uidSet();
      if (p.next(' ')) p.sp();
    }
    if (p.isList) match = parseMatch(p);
  }
  p.take(')');
  return { uidValidity, since, known, match, notEnabled };
}

function parseMatch(p: Parser): Qresync['match'] {
  // RFC 9586 3.7.
  if (p.numbers === 'uids') throw uidRequired(p.at);
  p.take('(');
  const sequence = p.uidSet();
  const uids = p.sp().uidSet();
  p.take(')');
  return { sequence, uids };
}

/** VANISHED (EARLIER), then FETCH of what changed (RFC 7162 3.2.5.1). */
export async function tellSince(session: ImapSession, qresync: Qresync): Promise<void> {
  const { selected, store, out } = session;
  const last = selected.mailbox.uidNext - 1;
  const ranges =
    qresync.known === null || qresync.known.ranges === '$'
      ? [{ first: 1, last }]
      : normalise(qresync.known.ranges, last);
  await tellVanished(session, ranges, qresync.since, knownUpTo(session, qresync));
  const view = ranges.map((range) => ({ first: range.first, last: range.last }));
  for await (const batch of store.messages(selected.id, view, qresync.since)) {
    for (const message of batch) {
      const sequence = selected.sequenceOf(message.uid);
      if (sequence === 0) continue;
      const flags = session.flagsOf(message, { uid: true });
      out.untagged(`${session.fetchHead(sequence, message.uid)} ${flags}`);
      if (out.full) await out.flush();
    }
  }
}

/** UIDs from `ranges` that were expunged after `since`, but for those up to `after`. */
export async function tellVanished(
  session: ImapSession,
  ranges: readonly (NumberRange | UidRange)[],
  since: ModSeq,
  after = 0,
): Promise<void> {
  const { selected, store, out } = session;
  const gone = await store.vanished(selected.id, since);
  const wanted = [...gone]
    .sort((a, b) => a - b)
    .filter((uid) => uid > after && selected.sequenceOf(uid) === 0 && isIn(uid, ranges));
  if (wanted.length > 0) out.untagged(`VANISHED (EARLIER) ${formatSet(wanted)}`);
}

function isIn(uid: Uid, ranges: readonly (NumberRange | UidRange)[]): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const range = ranges[middle];
    if (!range) return false;
    if (range.last !== '*' && range.last < uid) low = middle + 1;
    else high = middle;
  }
  const range = ranges[low];
  return range !== undefined && range.first <= uid;
}

/** The highest UID up to which the client's sequence numbers are right: it knows all that vanished below. */
function knownUpTo(session: ImapSession, { match }: Qresync): number {
  if (!match || match.sequence.ranges === '$' || match.uids.ranges === '$') return 0;
  const { selected } = session;
  const sequences = numbers(normalise(match.sequence.ranges, 0), selected.exists);
  const uids = numbers(normalise(match.uids.ranges, 0), selected.exists);
  let known = 0;
  for (let i = 0; i < Math.min(sequences.length, uids.length); i++) {
    const uid = uids[i] ?? 0;
    if (selected.sequenceOf(uid) !== sequences[i]) break;
    known = uid;
  }
  return known;
}

/** The numbers of the ranges one by one; no more than there are messages can match. */
function numbers(ranges: readonly NumberRange[], max: number): number[] {
  const all: number[] = [];
  for (const range of ranges)
    for (let n = range.first; n <= range.last; n++) {
      if (all.length >= max) return all;
      all.push(n);
    }
  return all;
}
