import type { Uid, UidRange } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { answerShare, checkPartial, type Share, shareOfSearch } from '../message-limit.ts';
import type { Parser } from '../parser.ts';
import { withNotices } from '../progress.ts';
import { string } from '../response.ts';
import { parseSearchProgram, type SearchProgram } from '../search-program.ts';
import {
  checkRelevancy,
  forget,
  parseReturned,
  RETURN_ALL,
  type Returned,
  tellNumbers,
  tellResults,
} from '../search-results.ts';
import { beginUpdates } from '../update-contexts.ts';

interface Arguments {
  readonly by: 'uid' | 'sequence';
  readonly program: SearchProgram;
  /** RETURN (…); null is the old form of the answer. */
  readonly returned: Returned | null;
}

/** SEARCH and UID SEARCH (RFC 9051 6.4.4), with RETURN (RFC 4731), SAVE (RFC 5182), PARTIAL (RFC 9394), UPDATE (RFC 5267). */
export const search: Command = command({
  name: 'SEARCH',
  states: ['selected'],
  uid: 'also',
  capability: ['ESEARCH', 'SEARCHRES', 'PARTIAL', 'CONTEXT=SEARCH', 'INPROGRESS', 'I18NLEVEL=1'],
  expunges: 'held',
  parse,

  async run(session, { by, program: written, returned: asked }): Promise<Ok | undefined> {
    const keepUpdated = asked?.options.has('UPDATE') ? beginUpdates(session) : null;
    let program = written;
    let found: Found;
    try {
      checkPartial(session, asked?.partial ?? null);
      program = await written.complete(session);
      if (program.modSeq) session.enableCondstore();
      found = await find(session, program);
    } catch (error) {
      forget(session, asked);
      throw error;
    }
    const { uids, limited } = found;
    const { modSeq, sequences } = program;
    // IMAP4rev2 has but one form of the answer (RFC 9051 appendix E, 4).
    const returned = asked ?? (session.enabled.has('IMAP4rev2') ? RETURN_ALL : null);
    if (returned) await tellResults(session, { by, returned, program }, uids);
    else await tellNumbers(session, 'SEARCH', by, modSeq, uids);
    // News are of all that the criteria fit, which is more than the client knows (RFC 9738 3.1).
    if (keepUpdated && limited.lowest !== null)
      session.out.untagged(`NO [NOUPDATE ${string(session.tag)}] Too many messages, try fewer at a time`);
    const watched = { by, criterion: program.criterion, keys: null, fetch: asked?.fetch ?? null };
    const ok = limited.lowest === null ? keepUpdated?.(watched, uids) : undefined;
    return answerShare(session, limited, sequences ? { ...ok, expunges: 'later' } : ok);
  },
});

function parse(p: Parser): Arguments {
  const { at } = p.sp();
  const returned = parseReturned(p);
  const program = parseSearchProgram(p);
  if (returned) checkRelevancy(p, returned, program, at);
  return { by: p.uid ? 'uid' : 'sequence', program, returned };
}

interface Found {
  readonly uids: readonly Uid[];
  readonly limited: Share<UidRange>;
}

/** Ascending, and only what the client has been told of. */
async function find(session: ImapSession, { criterion }: SearchProgram): Promise<Found> {
  const { selected, store } = session;
  const criteria = await criterion(session);
  const limited = shareOfSearch(session, criteria);
  if (selected.exists === 0) return { uids: [], limited };
  const some = limited.lowest === null ? criteria : { all: [{ uid: limited.share }, criteria] };
  const found = await withNotices(session, store.search(selected.id, some));
  return { uids: found.filter((uid) => selected.sequenceOf(uid) > 0), limited };
}
