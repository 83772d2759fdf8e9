import type { Appended, NewMessage, Uid } from '../../store/store.ts';
import {
  type AppendMessage,
  announcedLiteral,
  destination,
  named,
  Progress,
  parseMessage,
} from '../append-message.ts';
import { prepare } from '../catenate.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { tryCreate } from '../errors.ts';
import { checkAppended } from '../message-limit.ts';
import type { Parser } from '../parser.ts';
import { formatSet } from '../sequence-set.ts';
import { mayTellUids } from '../shared/uid-codes.ts';

interface Arguments {
  readonly path: string;
  readonly messages: readonly AppendMessage[];
}

/**
 * APPEND (RFC 9051 6.3.12), of several messages (RFC 3502), put together from others (RFC 4469, and parts of parts, RFC
 * 5550 5.7.1), literal8 included (RFC 3516 4.4); refused before the message is sent where possible.
 */
export const append: Command = command({
  name: 'APPEND',
  states: ['authenticated', 'selected'],
  capability: ['UIDPLUS', 'MULTIAPPEND', 'CATENATE', 'URL-PARTIAL'],

  literals(session, p, announced) {
    let path = '';
    const parse = (progress: Progress): void => {
      path = p.sp().mailbox();
      try {
        parseMessages(p, progress);
      } finally {
        // One too many need not even be sent.
        checkAppended(session, progress.messages);
      }
    };
    return announcedLiteral(session, announced, parse, { path: () => path });
  },

  parse(p): Arguments {
    return { path: p.sp().mailbox(), messages: parseMessages(p, new Progress()) };
  },

  async run(session, { path, messages }) {
    checkAppended(session, messages.length);
    // Before what it is to be put together of: the client can create it.
    if (messages.some(({ data }) => data.is === 'catenate')) await destination(session, path);
    const prepared = await prepare(session, messages);
    let stored: Stored;
    try {
      stored = await store(session, path, prepared.messages);
    } catch (error) {
      throw tryCreate(error);
    } finally {
      await prepared.discard();
    }
    const { mailbox, uidValidity, uids } = stored;
    await session.addedHere(mailbox, uids);
    await session.scripts?.added('APPEND', mailbox, uids);
    if (!(await mayTellUids(session, mailbox))) return undefined;
    return { code: `APPENDUID ${uidValidity} ${formatSet(uids)}` };
  },
});

function parseMessages(p: Parser, progress: Progress): AppendMessage[] {
  const messages: AppendMessage[] = [];
  do messages.push(parseMessage(p, progress));
  while (!p.atEnd);
  return messages;
}

interface Stored extends Pick<Appended, 'mailbox' | 'uidValidity'> {
  readonly uids: readonly Uid[];
}

async function store(session: ImapSession, path: string, messages: readonly NewMessage[]): Promise<Stored> {
  const [first, second] = messages;
  // One question to the store for one message.
  if (first && !second) {
    const appended = await session.store.appendTo(named(path), first.raw, first);
    return { ...appended, uids: [appended.uid] };
  }
  const { id, uidValidity } = await destination(session, path);
  const uids = (await session.store.appendAll(id, messages)).map(({ uid }) => uid);
  return { mailbox: id, uidValidity, uids };
}
