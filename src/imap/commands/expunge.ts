import type { Uid, UidRange } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { answerShare, shareOf } from '../message-limit.ts';

/** EXPUNGE (RFC 9051 6.4.3) and UID EXPUNGE (6.4.9, RFC 4315). */
export const expunge: Command = command({
  name: 'EXPUNGE',
  states: ['selected'],
  uid: 'also',
  capability: 'UIDPLUS',

  parse: (p) => (p.uid ? p.sp().sequenceSet() : null),

  async run(session, set) {
    const { store, selected } = session;
    writable(session, 'e');
    const ranges = set ? selected.resolve(set, 'uid') : [{ first: 1, last: selected.lastUid }];
    if (selected.exists === 0 || ranges.length === 0) return undefined;
    const deleted = await deletedIn(session, ranges);
    if (deleted.length === 0) return undefined;
    // EXPUNGE itself is never limited (RFC 9738 3.1).
    const share = set ? shareOf(session, deleted) : { share: deleted, lowest: null };
    selected.expungedHere(await store.expunge(selected.id, share.share));
    return answerShare(session, share, await afterExpunge(session));
  },
});

/** Tells the client, then the MODSEQ up to which it knows everything (RFC 7162 3.2.7). */
export async function afterExpunge(session: ImapSession): Promise<{ code?: string }> {
  await session.tell('now');
  return session.enabled.has('QRESYNC') ? { code: `HIGHESTMODSEQ ${session.selected.settledModSeq}` } : {};
}

/** Messages marked \Deleted that the client knows. */
export async function deletedIn(
  { store, selected }: ImapSession,
  ranges: readonly UidRange[],
): Promise<readonly Uid[]> {
  const found = await store.search(selected.id, { all: [{ uid: ranges }, { flag: '\\Deleted' }] });
  return found.filter((uid) => selected.sequenceOf(uid) > 0);
}

/** Refuses to change a mailbox opened with EXAMINE, or without the rights (RFC 4314 4). */
export function writable({ selected }: ImapSession, ...needed: readonly string[]): void {
  if (selected.access === 'read-only') throw new ImapNo('The mailbox is open read-only', 'NOPERM');
  if (needed.some((right) => !selected.rights.has(right)))
    throw new ImapNo('You have no right to do that', 'NOPERM');
}
