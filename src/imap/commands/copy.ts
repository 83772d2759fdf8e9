import { type Mailbox, StoreError, type Uid, type UidPair } from '../../store/store.ts';
import { destination } from '../append-message.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { ImapNo, tryCreate } from '../errors.ts';
import { answerShare, checkCopied, shareOf } from '../message-limit.ts';
import type { Parser } from '../parser.ts';
import { withNotices } from '../progress.ts';
import { formatSet, type SequenceSet } from '../sequence-set.ts';
import { mayTellUids } from '../shared/uid-codes.ts';
import { afterExpunge, writable } from './expunge.ts';

interface Arguments {
  readonly set: SequenceSet;
  readonly path: string;
  readonly by: 'uid' | 'sequence';
}

/** COPY and UID COPY (RFC 9051 6.4.7). */
export const copy: Command = command({
  name: 'COPY',
  states: ['selected'],
  uid: 'also',
  capability: ['UIDPLUS', 'INPROGRESS'],
  parse,
  async run(session, args): Promise<Ok | undefined> {
    const { mailbox, uids } = await prepare(session, args);
    const { store, selected } = session;
    checkCopied(session, uids);
    if (uids.length === 0) return undefined;
    const pairs = await withNotices(session, store.copy(selected.id, uids, mailbox.id)).catch(
      async (error) => {
        throw await lost(session, error);
      },
    );
    const added = pairs.map(({ to }) => to);
    await session.addedHere(mailbox.id, added);
    await session.scripts?.added('COPY', mailbox.id, added);
    if (pairs.length === 0) throw gone();
    return (await mayTellUids(session, mailbox.id)) ? { code: copyUid(mailbox, pairs) } : undefined;
  },
});

/** MOVE and UID MOVE (RFC 6851, RFC 9051 6.4.8). */
export const move: Command = command({
  name: 'MOVE',
  states: ['selected'],
  uid: 'also',
  capability: ['MOVE', 'INPROGRESS'],
  parse,
  async run(session, args): Promise<Ok | undefined> {
    // What STORE of \Deleted and EXPUNGE take (RFC 6851 4.2).
    writable(session, 't', 'e');
    const { mailbox, uids: all } = await prepare(session, args);
    const { store, selected, out } = session;
    const share = shareOf(session, all);
    const uids = share.share;
    if (uids.length === 0) return undefined;
    const pairs = await withNotices(session, store.move(selected.id, uids, mailbox.id)).catch(
      async (error) => {
        throw await lost(session, error);
      },
    );
    if (pairs.length === 0) throw gone();
    // Before the EXPUNGEs, so that the client knows where the messages went (RFC 6851 4.3).
    if (await mayTellUids(session, mailbox.id)) out.untagged(`OK [${copyUid(mailbox, pairs)}] Moved`);
    selected.expungedHere(pairs.map((pair) => pair.from));
    const added = pairs.map(({ to }) => to);
    await session.addedHere(mailbox.id, added);
    // RFC 6851 4.5: as COPY.
    await session.scripts?.added('COPY', mailbox.id, added);
    return answerShare(session, share, await afterExpunge(session));
  },
});

function parse(p: Parser): Arguments {
  const set = p.sp().sequenceSet();
  const path = p.sp().mailbox();
  return { set, path, by: p.uid ? 'uid' : 'sequence' };
}

async function prepare(
  session: ImapSession,
  { set, path, by }: Arguments,
): Promise<{ readonly mailbox: Mailbox; readonly uids: readonly Uid[] }> {
  const { selected } = session;
  const uids = [...selected.uidsIn(selected.resolve(set, by))];
  return { mailbox: await destination(session, path), uids };
}

function copyUid(mailbox: Mailbox, pairs: readonly UidPair[]): string {
  const from = formatSet(pairs.map((pair) => pair.from));
  const to = formatSet(pairs.map((pair) => pair.to));
  return `COPYUID ${mailbox.uidValidity} ${from} ${to}`;
}

/** Not found are the messages' own mailbox, or the destination, which alone the client may be asked to create. */
export async function lost({ store, selected }: ImapSession, error: unknown): Promise<unknown> {
  if (!(error instanceof StoreError && error.kind === 'not-found')) return error;
  try {
    await store.uids(selected.id);
    return tryCreate(error);
  } catch (other) {
    return other;
  }
}

function gone(): ImapNo {
  return new ImapNo('The messages are gone', 'EXPUNGEISSUED');
}
