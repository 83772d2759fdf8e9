import type { Change, Opened } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { flagLines } from '../flag-lines.ts';
import type { Parser } from '../parser.ts';
import { parseQresync, type Qresync, tellSince } from '../qresync.ts';
import { Selected } from '../selected.ts';
import { opensForWriting } from '../shared/flag-rights.ts';
import { listLine } from './list.ts';

type Access = 'read-write' | 'read-only';

interface Arguments {
  readonly path: string;
  readonly condstore: boolean;
  readonly qresync: Qresync | null;
}

/** SELECT (RFC 9051 6.3.2) with CONDSTORE and QRESYNC (RFC 7162 3.1.8, 3.2.5). */
export const select: Command = command({
  name: 'SELECT',
  states: ['authenticated', 'selected'],
  capability: ['CONDSTORE', 'QRESYNC', 'OBJECTID'],
  parse,
  run: (session, args) => open(session, args, 'read-write'),
});

/** EXAMINE (RFC 9051 6.3.3): the same, and nothing changes, not even \Recent. */
export const examine: Command = command({
  name: 'EXAMINE',
  states: ['authenticated', 'selected'],
  parse,
  run: (session, args) => open(session, args, 'read-only'),
});

function parse(p: Parser): Arguments {
  const path = p.sp().mailbox();
  let condstore = false;
  let qresync: Qresync | null = null;
  if (!p.atEnd)
    p.sp().list((item) => {
      const at = item.at;
      const name = item.keyword();
      if (name === 'CONDSTORE') condstore = true;
      else if (name === 'QRESYNC') qresync = parseQresync(item.sp());
      else item.fail('No such parameter', at);
    });
  return { path, condstore, qresync };
}

async function open(session: ImapSession, args: Arguments, access: Access): Promise<Ok | undefined> {
  const { store, out } = session;
  if (args.qresync && !session.enabled.has('QRESYNC')) throw args.qresync.notEnabled;
  if (session.hasSelected) {
    // Whatever comes of this command, the old mailbox is no longer selected (RFC 9051 6.3.2).
    session.deselect();
    out.untagged('OK [CLOSED] The other mailbox is closed');
  }
  if (args.condstore || args.qresync) session.enableCondstore();
  const heard: Change[] = [];
  let selected: Selected | null = null;
  const opened = await store.open(args.path, access === 'read-write' ? 'claim' : 'look', (change) => {
    if (selected) selected.hear(change);
    else heard.push(change);
  });
  if (!opened) throw new ImapNo('No such mailbox', 'NONEXISTENT');
  const { mailbox, uids, firstRecent } = opened;
  if (!mailbox.selectable) {
    opened.close();
    throw new ImapNo('That is only a name above others', 'NONEXISTENT');
  }
  const rights = await store.rights(mailbox.id);
  selected = new Selected({ mailbox, uids, access, recentFrom: firstRecent, rights });
  for (const change of heard) selected.hear(change);
  session.select(selected, opened.close);
  await describe(session, selected, opened);
  if (args.qresync && args.qresync.uidValidity === selected.mailbox.uidValidity)
    await tellSince(session, args.qresync);
  return { code: access === 'read-write' && opensForWriting(rights) ? 'READ-WRITE' : 'READ-ONLY' };
}

async function describe(session: ImapSession, selected: Selected, opened: Opened): Promise<void> {
  const { out } = session;
  const { mailbox } = selected;
  for (const line of flagLines(selected)) out.untagged(line);
  out.untagged(`${selected.exists} EXISTS`);
  if (session.enabled.has('IMAP4rev2')) {
    const line = await listLine(session, mailbox.path);
    if (line !== undefined) out.untagged(line);
  } else {
    out.untagged(`${selected.recentCount} RECENT`);
    const unseen = opened.firstUnseen === null ? 0 : selected.sequenceOf(opened.firstUnseen);
    // Which is a sequence number (RFC 9586 3).
    if (unseen > 0 && !session.enabled.has('UIDONLY')) out.untagged(`OK [UNSEEN ${unseen}] First unseen`);
  }
  out.untagged(`OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs valid`);
  out.untagged(`OK [UIDNEXT ${Math.max(mailbox.uidNext, selected.lastUid + 1)}] Next UID`);
  out.untagged(`OK [HIGHESTMODSEQ ${mailbox.highestModSeq}] Highest mod-sequence`);
  out.untagged(`OK [MAILBOXID (${mailbox.id})] Mailbox id`);
}
