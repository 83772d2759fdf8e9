import type { SortBy, SortKey } from '../../message/sort.ts';
import type { Uid } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import type { Parser } from '../parser.ts';
import { withNotices } from '../progress.ts';
import { type RelevancyKey, sortByRelevancy } from '../relevancy.ts';
import { string } from '../response.ts';
import { parseCharsetAndProgram, type SearchProgram } from '../search-program.ts';
import {
  checkRelevancy,
  forget,
  parseReturned,
  type Returned,
  tellNumbers,
  tellResults,
} from '../search-results.ts';
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

interface Arguments {
  readonly by: 'uid' | 'sequence';
  /** RETURN (…); null is the old form of the answer. */
  readonly returned: Returned | null;
  /** RELEVANCY apart from the others. */
  readonly keys: readonly SortKey[];
  readonly relevancy: RelevancyKey | null;
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

  async run(session, { by, returned, keys, relevancy, program: written }): Promise<Ok | undefined> {
    const wantsUpdates = returned?.options.has('UPDATE') === true;
    const keepUpdated = wantsUpdates && !relevancy ? beginUpdates(session) : null;
    let program = written;
    let uids: readonly Uid[];
    try {
      program = await written.complete(session);
      if (program.modSeq) session.enableCondstore();
      uids = await sorted(session, program, keys, relevancy);
    } catch (error) {
      forget(session, returned);
      throw error;
    }
    const { modSeq, sequences } = program;
    if (returned) await tellResults(session, { by, returned, program }, uids);
    else await tellNumbers(session, 'SORT', by, modSeq, uids);
    // Scores are those of the moment (RFC 6203 3): an order that can be kept up to date they are not.
    if (wantsUpdates && !keepUpdated)
      session.out.untagged(`NO [NOUPDATE ${string(session.tag)}] Not in the order of RELEVANCY`);
    const ok = keepUpdated?.(
      { by, criterion: program.criterion, keys, fetch: returned?.fetch ?? null },
      uids,
    );
    return sequences || by === 'sequence' ? { ...ok, expunges: 'later' } : ok;
  },
});

function parse(p: Parser): Arguments {
  const { at } = p.sp();
  const returned = parseReturned(p);
  const all = p.list(sortKey);
  if (all.length > MAX_KEYS) p.fail('Too many sort keys', at);
  const program = parseCharsetAndProgram(p.sp());
  if (returned) checkRelevancy(p, returned, program, at);
  const place = all.findIndex(({ by }) => by === 'relevancy');
  if (place >= 0 && !program.fuzzy) p.fail('RELEVANCY needs FUZZY', at);
  const relevancy: RelevancyKey | null =
    place < 0
      ? null
      : {
          before: others(all.slice(0, place)),
          after: others(all.slice(place)),
          order: all[place]?.order === 'descending' ? 'worst-first' : 'best-first',
        };
  return { by: p.uid ? 'uid' : 'sequence', returned, keys: others(all), relevancy, program };
}

interface AnyKey {
  readonly by: SortBy | 'relevancy';
  readonly order: SortKey['order'];
}

function others(keys: readonly AnyKey[]): SortKey[] {
  return keys.flatMap(({ by, order }) => (by === 'relevancy' ? [] : { by, order }));
}

function sortKey(p: Parser): AnyKey {
  let order: SortKey['order'] = 'ascending';
  if (p.isWord('REVERSE')) {
    p.take('REVERSE').sp();
    order = 'descending';
  }
  const at = p.at;
  const name = p.keyword();
  const by = name === 'RELEVANCY' ? 'relevancy' : KEYS.get(name);
  return by ? { by, order } : p.fail('No such sort key', at);
}

/** In their order, and only what the client has been told of. */
async function sorted(
  session: ImapSession,
  { criterion, fuzzy }: SearchProgram,
  keys: readonly SortKey[],
  relevancy: RelevancyKey | null,
): Promise<readonly Uid[]> {
  const { selected, store } = session;
  const criteria = await criterion(session);
  if (selected.exists === 0) return [];
  const { id } = selected;
  const work = relevancy
    ? sortByRelevancy({ store, id }, criteria, relevancy, fuzzy ?? [])
    : store.sort(id, criteria, keys);
  const found = await withNotices(session, work);
  return found.filter((uid) => selected.sequenceOf(uid) > 0);
}
