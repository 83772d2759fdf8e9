import type { Mailbox, Uid } from '../../store/store.ts';
import { type AppendMessage, announcedLiteral, destination, parseMessage } from '../append-message.ts';
import { prepare } from '../catenate.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import type { Parser } from '../parser.ts';
import type { SequenceSet } from '../sequence-set.ts';
import { mayTellUids } from '../shared/uid-codes.ts';
import { lost } from './copy.ts';
import { afterExpunge, writable } from './expunge.ts';

interface Target {
  readonly set: SequenceSet;
  readonly by: 'uid' | 'sequence';
  readonly path: string;
}

interface Arguments extends Target {
  readonly message: AppendMessage;
}

/** REPLACE and UID REPLACE (RFC 8508): a message takes another's place, or nothing has changed. */
export const replace: Command = command({
  name: 'REPLACE',
  states: ['selected'],
  uid: 'also',
  capability: 'REPLACE',

  literals(session, p, announced) {
    let target: Target | undefined;
    const parse: Parameters<typeof announcedLiteral>[2] = (progress) => {
      target = parseTarget(p);
      writable(session);
      parseMessage(p, progress);
    };
    return announcedLiteral(session, announced, parse, {
      path: () => target?.path ?? '',
      replaces: () => ({ mailbox: session.selected.id, uid: replaced(session, target) }),
    });
  },

  parse(p): Arguments {
    const target = parseTarget(p);
    return { ...target, message: parseMessage(p) };
  },

  async run(session, { message, ...target }) {
    const { store, selected, out } = session;
    writable(session);
    const uid = replaced(session, target);
    const mailbox = await destination(session, target.path);
    const prepared = await prepare(session, [message]);
    let added: Uid | undefined;
    try {
      const replaces = { mailbox: selected.id, uid };
      [added] = (await store.appendAll(mailbox.id, prepared.messages, replaces)).map((each) => each.uid);
    } catch (error) {
      throw await lost(session, error);
    } finally {
      await prepared.discard();
    }
    // The new message's number comes before the EXPUNGE of the old one (section 4.3).
    if (await mayTellUids(session, mailbox.id))
      out.untagged(`OK [APPENDUID ${mailbox.uidValidity} ${added}] Replacement message stored`);
    if (added !== undefined) await told(session, mailbox, added);
    selected.expungedHere([uid]);
    if (added !== undefined) await session.scripts?.added('APPEND', mailbox.id, [added]);
    return afterExpunge(session);
  },
});

/** Of a message in the selected mailbox EXISTS is told before EXPUNGE (section 3.2, example). */
async function told(session: ImapSession, mailbox: Mailbox, uid: Uid): Promise<void> {
  await session.addedHere(mailbox.id, [uid]);
  await session.tell('later');
}

function parseTarget(p: Parser): Target {
  const set = p.sp().sequenceSet();
  const [only, ...others] = set.ranges === '$' ? [] : set.ranges;
  if (!only || others.length > 0 || only.first !== only.last) p.fail('One message is replaced', set.at);
  return { set, by: p.uid ? 'uid' : 'sequence', path: p.sp().mailbox() };
}

/** Throws ImapNo when there is no such UID, ImapBad when there is no such number. */
function replaced({ selected }: ImapSession, target: Omit<Target, 'path'> | undefined): Uid {
  const [uid] = target ? selected.uidsIn(selected.resolve(target.set, target.by)) : [];
  if (uid === undefined) throw new ImapNo('There is no such message', 'NONEXISTENT');
  return uid;
}
