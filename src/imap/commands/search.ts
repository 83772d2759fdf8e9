import type { ModSeq, Uid } from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { ImapNo } from '../errors.ts';
import type { Parser } from '../parser.ts';
import { string } from '../response.ts';
import { parseSearchProgram, type SearchProgram } from '../search-program.ts';
import { formatSet } from '../sequence-set.ts';

type Result = 'MIN' | 'MAX' | 'ALL' | 'COUNT' | 'SAVE';
const ALL: ReadonlySet<string> = new Set(['ALL']);
const RESULTS: readonly string[] = ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE'] satisfies Result[];
/** Numbers in one chunk of a SEARCH response. */
const CHUNK = 4000;

interface Arguments {
  readonly by: 'uid' | 'sequence';
  readonly program: SearchProgram;
  /** RETURN (…); null is the old form of the answer. */
  readonly results: ReadonlySet<string> | null;
}

/** SEARCH and UID SEARCH (RFC 9051 6.4.4), with RETURN (RFC 4731) and SAVE (RFC 5182). */
export const search: Command = command({
  name: 'SEARCH',
  states: ['selected'],
  uid: 'also',
  capability: ['ESEARCH', 'SEARCHRES'],
  expunges: 'held',
  parse,

  async run(session, args): Promise<Ok | undefined> {
    const { selected } = session;
    if (args.program.modSeq) session.enableCondstore();
    let uids: readonly Uid[];
    try {
      uids = await find(session, args.program);
    } catch (error) {
      // RFC 5182 2.1: a SAVE that fails leaves nothing.
      if (args.results?.has('SAVE')) selected.saved = new Uint32Array(0);
      throw error;
    }
    const numbers = args.by === 'uid' ? uids : uids.map((uid) => selected.sequenceOf(uid));
    // IMAP4rev2 has but one form of the answer (RFC 9051 appendix E, 4).
    const results = args.results ?? (session.enabled.has('IMAP4rev2') ? ALL : null);
    if (results) await extended(session, args, results, uids, numbers);
    else await plain(session, args, uids, numbers);
    return args.program.sequences ? { expunges: 'later' } : undefined;
  },
});

function parse(p: Parser): Arguments {
  let results: Set<string> | null = null;
  p.sp();
  if (p.isWord('RETURN')) {
    const options = p.take('RETURN').sp().list(resultOption, 'empty');
    results = new Set(options.length === 0 ? ['ALL'] : options);
    p.sp();
  }
  return { by: p.uid ? 'uid' : 'sequence', program: parseSearchProgram(p), results };
}

function resultOption(p: Parser): string {
  const at = p.at;
  const name = p.keyword();
  return RESULTS.includes(name) ? name : p.fail('No such result option', at);
}

/** Ascending, and only what the client has been told of. */
async function find(session: ImapSession, { criterion }: SearchProgram): Promise<readonly Uid[]> {
  const { selected, store } = session;
  const criteria = await criterion(session);
  if (selected.exists === 0) return [];
  const found = await store.search(selected.id, criteria);
  return found.filter((uid) => selected.sequenceOf(uid) > 0);
}

async function plain(
  session: ImapSession,
  args: Arguments,
  uids: readonly Uid[],
  numbers: readonly number[],
): Promise<void> {
  const { out } = session;
  out.add('* SEARCH');
  for (let at = 0; at < numbers.length; at += CHUNK) {
    out.add(` ${numbers.slice(at, at + CHUNK).join(' ')}`);
    if (out.full) await out.flush();
  }
  if (args.program.modSeq && uids.length > 0) out.add(` (MODSEQ ${await highestModSeq(session, uids)})`);
  out.add('\r\n');
}

async function extended(
  session: ImapSession,
  args: Arguments,
  results: ReadonlySet<string>,
  uids: readonly Uid[],
  numbers: readonly number[],
): Promise<void> {
  if (results.has('SAVE')) save(session, results, uids);
  // SAVE alone is answered by OK alone (RFC 5182 2.1).
  if (results.size === 1 && results.has('SAVE')) return;
  const parts = [`ESEARCH (TAG ${string(session.tag)})`];
  if (args.by === 'uid') parts.push('UID');
  const [first] = numbers;
  const last = numbers.at(-1);
  if (results.has('MIN') && first !== undefined) parts.push(`MIN ${first}`);
  if (results.has('MAX') && last !== undefined) parts.push(`MAX ${last}`);
  if (results.has('ALL') && numbers.length > 0) parts.push(`ALL ${formatSet(numbers)}`);
  if (results.has('COUNT')) parts.push(`COUNT ${numbers.length}`);
  if (args.program.modSeq && uids.length > 0)
    parts.push(`MODSEQ ${await highestModSeq(session, told(results, uids))}`);
  session.out.untagged(parts.join(' '));
}

/** With MIN or MAX alone, MODSEQ is about the messages that are told (RFC 4731 3.2). */
function told(results: ReadonlySet<string>, uids: readonly Uid[]): readonly Uid[] {
  if (results.has('ALL') || results.has('COUNT')) return uids;
  const [first] = uids;
  const last = uids.at(-1);
  const some: Uid[] = [];
  if (results.has('MIN') && first !== undefined) some.push(first);
  if (results.has('MAX') && last !== undefined && last !== some[0]) some.push(last);
  return some.length > 0 ? some : uids;
}

/** RFC 5182 2.1 and 2.4: with MIN or MAX and without ALL or COUNT, only those are saved. */
function save({ selected }: ImapSession, results: ReadonlySet<string>, uids: readonly Uid[]): void {
  const partial = (results.has('MIN') || results.has('MAX')) && !results.has('ALL') && !results.has('COUNT');
  selected.saved = Uint32Array.from(partial ? told(results, uids) : uids);
}

async function highestModSeq(session: ImapSession, uids: readonly Uid[]): Promise<ModSeq> {
  const { selected, store } = session;
  const wanted = new Set(uids);
  const [first] = uids;
  const last = uids.at(-1);
  if (first === undefined || last === undefined) throw new ImapNo('The messages are gone', 'EXPUNGEISSUED');
  let highest = 1;
  for await (const batch of store.messages(selected.id, [{ first, last }]))
    for (const { uid, modSeq } of batch) if (wanted.has(uid)) highest = Math.max(highest, modSeq);
  return highest as ModSeq;
}
