import type { FlagChange, ModSeq, UidRange } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { answerShare, shareOf } from '../message-limit.ts';
import type { Parser } from '../parser.ts';
import { formatSet, type SequenceSet } from '../sequence-set.ts';
import { isAllowed } from '../shared/flag-rights.ts';
import { writable } from './expunge.ts';

interface Arguments {
  readonly set: SequenceSet;
  readonly by: 'uid' | 'sequence';
  readonly mode: FlagChange['mode'];
  readonly silent: 'silent' | 'told';
  readonly flags: readonly string[];
  readonly unchangedSince: ModSeq | null;
}

const MODES: ReadonlyMap<string, FlagChange['mode']> = new Map([
  ['', 'set'],
  ['+', 'add'],
  ['-', 'remove'],
]);

/** STORE and UID STORE (RFC 9051 6.4.6), with UNCHANGEDSINCE (RFC 7162 3.1.3). */
export const store: Command = command({
  name: 'STORE',
  states: ['selected'],
  uid: 'also',
  capability: 'CONDSTORE',
  expunges: 'held',
  parse,

  async run(session, args): Promise<Ok | undefined> {
    writable(session);
    const { selected } = session;
    const ranges = selected.resolve(args.set, args.by);
    if (args.unchangedSince !== null) session.enableCondstore();
    const share = shareOf(session, [...selected.uidsIn(ranges)]);
    const uids = share.share;
    if (uids.length === 0) return undefined;
    const before = (await session.scripts?.flagsBefore(selected.id, uids)) ?? null;
    selected.changing();
    const {
      messages: changed,
      unchanged,
      conflicts,
    } = await session.store
      .setFlags(selected.id, uids, {
        mode: args.mode,
        flags: args.flags,
        ...(args.unchangedSince === null ? {} : { unchangedSince: args.unchangedSince }),
      })
      .catch((error: unknown) => {
        selected.changesNothing();
        throw error;
      });
    // What was not done for want of a right is told even if it was to be .SILENT: the client believes otherwise.
    const silent = isAllowed(args, selected.rights) ? args.silent : 'told';
    selected.changedHere(changed, silent, unchanged);
    // RFC 9738 3.1: from the highest UID down.
    const messages = share.lowest === null ? changed : [...changed].reverse();
    const { out } = session;
    let sequence = 0;
    for (const message of messages) {
      sequence = selected.sequenceOf(message.uid, sequence + 1);
      if (sequence === 0) continue;
      if (silent === 'told') {
        const flags = session.flagsOf(message, { uid: args.by === 'uid' });
        out.untagged(`${session.fetchHead(sequence, message.uid)} ${flags}`);
      } else if (session.enabled.has('CONDSTORE')) {
        const uid = session.enabled.has('UIDONLY') ? '' : `UID ${message.uid} `;
        // The client knows the flags; it must know their MODSEQ too (RFC 7162 3.1.3).
        out.untagged(`${session.fetchHead(sequence, message.uid)} (${uid}MODSEQ (${message.modSeq}))`);
      }
      if (out.full) await out.flush();
    }
    if (conflicts.length > 0) await tellConflicts(session, conflicts);
    await session.scripts?.flagged(selected.id, before, changed);
    const ok = outcome(session, args, uids.length - messages.length - conflicts.length, conflicts);
    return answerShare(session, share, ok);
  },
});

function parse(p: Parser): Arguments {
  const set = p.sp().sequenceSet();
  p.sp();
  let unchangedSince: ModSeq | null = null;
  if (p.isList) {
    p.list((item) => {
      unchangedSince = item.take('UNCHANGEDSINCE').sp().number64() as ModSeq;
    });
    p.sp();
  }
  const sign = p.tryTake('+') ? '+' : p.tryTake('-') ? '-' : '';
  const silent = p.take('FLAGS').tryTake('.SILENT') ? 'silent' : 'told';
  const flags = p.sp().isList ? p.flagList() : bareFlags(p);
  return {
    set,
    by: p.uid ? 'uid' : 'sequence',
    mode: MODES.get(sign) ?? 'set',
    silent,
    flags,
    unchangedSince,
  };
}

/** The old form without parentheses: `\Seen \Deleted` (RFC 9051 9, store-att-flags). */
function bareFlags(p: Parser): string[] {
  const flags = [p.flag()];
  while (!p.atEnd) flags.push(p.sp().flag());
  return flags;
}

/** The flags that stood in the way, so that the client need not ask (RFC 7162 3.1.3, example 10). */
async function tellConflicts(session: ImapSession, uids: readonly number[]): Promise<void> {
  const { selected, out } = session;
  const ranges: UidRange[] = uids.map((uid) => ({ first: uid, last: uid }));
  for await (const batch of session.store.messages(selected.id, ranges))
    for (const message of batch) {
      const sequence = selected.sequenceOf(message.uid);
      if (sequence === 0) continue;
      const flags = session.flagsOf(message, { uid: true });
      out.untagged(`${session.fetchHead(sequence, message.uid)} ${flags}`);
      // Once is enough.
      selected.toldFlags(message);
      if (out.full) await out.flush();
    }
}

function outcome(
  { selected }: ImapSession,
  { by }: Arguments,
  gone: number,
  conflicts: readonly number[],
): Ok | undefined {
  if (conflicts.length > 0) {
    const numbers = by === 'uid' ? conflicts : conflicts.map((uid) => selected.sequenceOf(uid));
    const code = `MODIFIED ${formatSet([...numbers].sort((a, b) => a - b))}`;
    return { code, text: 'Some messages had changed' };
  }
  // A UID that is gone is ignored; a sequence number means a message (RFC 9051 6.4.9, RFC 5530 3).
  if (gone > 0 && by === 'sequence') return { code: 'EXPUNGEISSUED', text: 'Some of the messages are gone' };
  return undefined;
}
