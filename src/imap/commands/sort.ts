import type { SortBy, SortKey } from '../../message/sort.ts';
import type { Uid } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import type { Parser } from '../parser.ts';
import { withNotices } from '../progress.ts';
import { parseCharsetAndProgram, type SearchProgram } from '../search-program.ts';
import { forget, highestModSeq, parseReturned, type Returned, tellResults } from '../search-results.ts';
import { beginUpdates } from '../update-contexts.ts';

const KEYS: ReadonlyMap<string, SortBy> = new Map([
  ['ARRIVAL', 'arrival'],
  ['CC', 'cc'],
  ['DATE', 'date'],
  ['DISPLAYFROM', 'displayfrom'],
  ['DISPLAYTO', 'displayto'],
  ['FROM', 'from'],
  ['SIZE', 'size'],
  ['SUBJECT', 'subject'],
  ['TO', 'to'],
]);
/** Nobody sorts by more; each is a pass over the mailbox. */
const MAX_KEYS = 20;
/** Numbers in one chunk of the response. */
const CHUNK = 4000;

interface Arguments {
  readonly by: 'uid' | 'sequence';
  /** RETURN (…); null is the old form of the answer. */
  readonly returned: Returned | null;
  readonly keys: readonly SortKey[];
  readonly program: SearchProgram;
}

/** SORT and UID SORT (RFC 5256 3), by display names too (RFC 5957), with RETURN and UPDATE (RFC 5267). */
export const sort: Command = command({
  name: 'SORT',
  states: ['selected'],
  uid: 'also',
  capability: ['SORT', 'SORT=DISPLAY', 'ESORT', 'CONTEXT=SORT'],
  expunges: 'held',
  parse,

  async run(session, { by, returned, keys, program }): Promise<Ok | undefined> {
    const { modSeq, sequences } = program;
    if (modSeq) session.enableCondstore();
    const keepUpdated = returned?.options.has('UPDATE') ? beginUpdates(session) : null;
    let uids: readonly Uid[];
    try {
      uids = await sorted(session, program, keys);
    } catch (error) {
      forget(session, returned);
      throw error;
    }
    if (returned) await tellResults(session, { by, returned, modSeq }, uids);
    else await plain(session, by, modSeq, uids);
    const ok = keepUpdated?.({ by, criterion: program.criterion, keys }, uids);
    return sequences || by === 'sequence' ? { ...ok, expunges: 'later' } : ok;
  },
});

function parse(p: Parser): Arguments {
  const returned = parseReturned(p.sp());
  const at = p.at;
  const keys = p.list(sortKey);
  if (keys.length > MAX_KEYS) p.fail('Too many sort keys', at);
  return { by: p.uid ? 'uid' : 'sequence', returned, keys, program: parseCharsetAndProgram(p.sp()) };
}

function sortKey(p: Parser): SortKey {
  let order: SortKey['order'] = 'ascending';
  if (p.isWord('REVERSE')) {
    p.take('REVERSE').sp();
    order = 'descending';
  }
  const at = p.at;
  const by = KEYS.get(p.keyword());
  return by ? { by, order } : p.fail('No such sort key', at);
}

/** In their order, and only what the client has been told of. */
async function sorted(
  session: ImapSession,
  { criterion }: SearchProgram,
  keys: readonly SortKey[],
): Promise<readonly Uid[]> {
  const { selected, store } = session;
  const criteria = await criterion(session);
  if (selected.exists === 0) return [];
  const found = await withNotices(session, store.sort(selected.id, criteria, keys));
  return found.filter((uid) => selected.sequenceOf(uid) > 0);
}

async function plain(
  session: ImapSession,
  by: Arguments['by'],
  modSeq: boolean,
  uids: readonly Uid[],
): Promise<void> {
  const { out, selected } = session;
  const numbers = by === 'uid' ? uids : uids.map((uid) => selected.sequenceOf(uid));
  // What may fail comes before the first byte.
  const highest =
    modSeq && uids.length > 0 ? ` (MODSEQ ${await highestModSeq(session, selected.id, uids)})` : '';
  out.add('* SORT');
  for (let at = 0; at < numbers.length; at += CHUNK) {
    out.add(` ${numbers.slice(at, at + CHUNK).join(' ')}`);
    if (out.full) await out.flush();
  }
  // RFC 7162 3.1.9.
  out.add(`${highest}\r\n`);
}
