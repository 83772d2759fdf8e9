import type { SortBy, SortKey } from '../../message/sort.ts';
import { type Command, command, type Ok } from '../command.ts';
import type { Parser } from '../parser.ts';
import { parseCharsetAndProgram, type SearchProgram } from '../search-program.ts';

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
  readonly keys: readonly SortKey[];
  readonly program: SearchProgram;
}

/** SORT and UID SORT (RFC 5256 3), by display names too (RFC 5957). */
export const sort: Command = command({
  name: 'SORT',
  states: ['selected'],
  uid: 'also',
  capability: ['SORT', 'SORT=DISPLAY'],
  expunges: 'held',
  parse,

  async run(session, { by, keys, program }): Promise<Ok | undefined> {
    const { selected, store, out } = session;
    if (program.modSeq) session.enableCondstore();
    const criteria = await program.criterion(session);
    const found = selected.exists === 0 ? [] : await store.sort(selected.id, criteria, keys);
    const numbers = found.flatMap((uid) => {
      const sequence = selected.sequenceOf(uid);
      // Only what the client has been told of.
      return sequence === 0 ? [] : by === 'uid' ? uid : sequence;
    });
    out.add('* SORT');
    for (let at = 0; at < numbers.length; at += CHUNK) {
      out.add(` ${numbers.slice(at, at + CHUNK).join(' ')}`);
      if (out.full) await out.flush();
    }
    out.add('\r\n');
    return program.sequences || by === 'sequence' ? { expunges: 'later' } : undefined;
  },
});

function parse(p: Parser): Arguments {
  const at = p.sp().at;
  const keys = p.list(sortKey);
  if (keys.length > MAX_KEYS) p.fail('Too many sort keys', at);
  return { by: p.uid ? 'uid' : 'sequence', keys, program: parseCharsetAndProgram(p.sp()) };
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
