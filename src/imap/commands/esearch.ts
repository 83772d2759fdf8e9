import { type Mailbox, StoreError, type Uid } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { ImapBad } from '../errors.ts';
import { type MailboxFilter, mailboxesOf, parseMailboxFilter } from '../mailbox-filter.ts';
import type { Parser } from '../parser.ts';
import { withNotices } from '../progress.ts';
import { mailboxName, string } from '../response.ts';
import { parseSearchProgram, type SearchProgram } from '../search-program.ts';
import {
  checkRelevancy,
  forget,
  isSilent,
  moreData,
  parseReturned,
  RETURN_ALL,
  type Returned,
  resultData,
  save,
} from '../search-results.ts';
import { Selected } from '../selected.ts';
import { beginUpdates } from '../update-contexts.ts';

interface Arguments {
  readonly sources: readonly MailboxFilter[];
  /** Where the sources stand in the command. */
  readonly at: number;
  readonly returned: Returned;
  readonly program: SearchProgram;
}

/** ESEARCH (RFC 7377): one search in many mailboxes, told by UIDs. */
export const esearch: Command = command({
  name: 'ESEARCH',
  states: ['authenticated', 'selected'],
  // Not in its grammar, but in its examples (RFC 7377 2).
  uid: 'also',
  capability: 'MULTISEARCH',
  expunges: 'held',
  parse,

  async run(session, args): Promise<Ok | undefined> {
    const { returned } = args;
    const { options } = returned;
    const isOfSelected = args.sources.some(({ of }) => of === 'selected');
    if ((isOfSelected || options.has('UPDATE')) && !session.hasSelected)
      throw new ImapBad('Select a mailbox first', args.at);
    const program = await args.program.complete(session).catch((error: unknown) => {
      if (session.hasSelected) forget(session, returned);
      throw error;
    });
    if (program.modSeq) session.enableCondstore();
    const keepUpdated = options.has('UPDATE') ? beginUpdates(session) : null;
    const others = await mailboxesOf(session.store, args.sources);
    const own = session.hasSelected ? session.selected : null;
    /** The selected one as the client knows it, wherever it is among the others. */
    const places = others.map((mailbox) => (mailbox.id === own?.id ? own : mailbox));
    if (own && isOfSelected && !places.includes(own)) places.unshift(own);
    let ok: Ok | undefined;
    let done = 0;
    const searchAll = async (): Promise<void> => {
      for (const place of places) {
        const found = await search(session, program, place);
        if (found && place === own) {
          save(session, returned, found.uids);
          const { criterion } = program;
          const where = placeText(session, found.view);
          ok = keepUpdated?.(
            { by: 'uid', criterion, keys: null, place: where, fetch: returned.fetch },
            found.uids,
          );
        }
        if (found) await tell(session, { returned, program }, found);
        done++;
      }
    };
    try {
      await withNotices(session, searchAll(), () => ({ done, of: places.length }));
    } catch (error) {
      if (own) forget(session, returned);
      throw error;
    }
    if (keepUpdated && !ok)
      session.out.untagged(`NO [NOUPDATE ${string(session.tag)}] The selected mailbox is not among them`);
    return ok;
  },
});

function parse(p: Parser): Arguments {
  p.sp();
  const at = p.at;
  let sources: readonly MailboxFilter[] = [{ of: 'selected' }];
  if (p.isWord('IN')) {
    sources = p.take('IN').sp().list(parseMailboxFilter);
    p.sp();
  }
  const returned = parseReturned(p) ?? RETURN_ALL;
  // RFC 7377 2.2: what is saved can only be of the selected mailbox.
  if (returned.options.has('SAVE') && sources.some(({ of }) => of !== 'selected'))
    p.fail('SAVE is for the selected mailbox alone', at);
  const program = parseSearchProgram(p);
  checkRelevancy(p, returned, program, at);
  return { sources, at, returned, program };
}

interface Found {
  readonly view: Selected;
  readonly uids: readonly Uid[];
}

/** Null when the mailbox is gone, has become a mere name, or may not be read. */
async function search(
  { store, world }: ImapSession,
  { criterion }: SearchProgram,
  place: Mailbox | Selected,
): Promise<Found | null> {
  try {
    const view = place instanceof Selected ? place : await look(store, place);
    if (!view) return null;
    const criteria = await criterion({ selected: view, world, store });
    if (view.exists === 0) return { view, uids: [] };
    const found = await store.search(view.id, criteria);
    return { view, uids: found.filter((uid) => view.sequenceOf(uid) > 0) };
  } catch (error) {
    // What is gone, or may not be read, is passed over (RFC 7377 2.2).
    if (error instanceof StoreError && ['not-found', 'no-permission'].includes(error.kind)) return null;
    throw error;
  }
}

/** As SELECT would show it now, without being selected. */
async function look(store: ImapSession['store'], { path, id }: Mailbox): Promise<Selected | null> {
  const mailbox = await store.mailbox(path);
  if (mailbox?.id !== id || !mailbox.selectable) return null;
  const uids = await store.uids(id);
  return new Selected({ mailbox, uids, access: 'read-only', recentFrom: mailbox.firstRecent });
}

/** RFC 7377 2.1: nothing is told of a mailbox where nothing was found. */
async function tell(
  session: ImapSession,
  { returned, program }: Pick<Arguments, 'returned' | 'program'>,
  { view, uids }: Found,
): Promise<void> {
  if (uids.length === 0 || isSilent(returned)) return;
  const parts = [`ESEARCH (TAG ${string(session.tag)}${placeText(session, view)}) UID`];
  parts.push(...resultData(returned, uids));
  parts.push(...(await moreData(session, view.id, { returned, program }, uids)));
  session.out.untagged(parts.join(' '));
  if (session.out.full) await session.out.flush();
}

function placeText({ names }: ImapSession, { mailbox }: Selected): string {
  return ` MAILBOX ${mailboxName(mailbox.path, names)} UIDVALIDITY ${mailbox.uidValidity}`;
}
