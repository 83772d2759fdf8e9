import type { AccountStore, MailboxId, ModSeq, Uid } from '../store/store.ts';
import type { ImapSession } from './command.ts';
import { type FetchWish, parseFetchWish } from './commands/fetch.ts';
import type { Parser } from './parser.ts';
import { type PartialRange, parsePartialRange, partOf } from './partial-range.ts';
import { relevancies } from './relevancy.ts';
import { string } from './response.ts';
import type { SearchProgram } from './search-program.ts';
import { formatSet } from './sequence-set.ts';

/** RETURN (…) of SEARCH and SORT and the ESEARCH response to it (RFC 4731, 5182, 5267, 9394). */

const OPTIONS = ['MIN', 'MAX', 'ALL', 'COUNT', 'SAVE', 'CONTEXT', 'UPDATE', 'RELEVANCY'] as const;
type Option = (typeof OPTIONS)[number];
/** Those that something is told for; CONTEXT is a hint that we do not need (RFC 5267 4.2). */
const DATA: readonly Option[] = ['MIN', 'MAX', 'ALL', 'COUNT', 'RELEVANCY'];

export interface Returned {
  readonly options: ReadonlySet<Option>;
  readonly partial: PartialRange | null;
  /** What UPDATE wants to be told of new messages (RFC 5465 7). */
  readonly fetch: FetchWish | null;
}

/** IMAP4rev2's answer when nothing is asked for (RFC 9051 6.4.4), and that to `RETURN ()`. */
export const RETURN_ALL: Returned = { options: new Set<Option>(['ALL']), partial: null, fetch: null };

/** `RETURN (…) ` where it stands; null is the old form of the answer. */
export function parseReturned(p: Parser): Returned | null {
  if (!p.isWord('RETURN')) return null;
  const options = new Set<Option>();
  let partial: PartialRange | null = null;
  let fetch: FetchWish | null = null;
  const asked = p
    .take('RETURN')
    .sp()
    .list((item) => {
      const at = item.at;
      const name = item.keyword();
      if (name === 'PARTIAL') {
        if (partial) item.fail('One PARTIAL is enough', at);
        partial = parsePartialRange(item.sp());
      } else options.add(OPTIONS.find((option) => option === name) ?? item.fail('No such result option', at));
      // `(`: the only thing behind a space that is no letter.
      if (name === 'UPDATE' && item.next(' ') && !item.letterAfterNext) fetch = parseFetchWish(item.sp());
      // RFC 9394 3.1: one PARTIAL, one ALL, or neither.
      if (partial && options.has('ALL')) item.fail('PARTIAL and ALL exclude each other', at);
    }, 'empty');
  p.sp();
  return asked.length === 0 ? RETURN_ALL : { options, partial, fetch };
}

interface Asked {
  readonly by: 'uid' | 'sequence';
  readonly returned: Returned;
  readonly program: SearchProgram;
}

/** RELEVANCY is of FUZZY searches alone (RFC 6203 4 and 6). */
export function checkRelevancy(p: Parser, { options }: Returned, { fuzzy }: SearchProgram, at: number): void {
  if (options.has('RELEVANCY') && !fuzzy) p.fail('RELEVANCY needs FUZZY', at);
}

/** Saves and tells what was asked for. `uids` are all in the view, in the order of the answer. */
export async function tellResults(session: ImapSession, asked: Asked, uids: readonly Uid[]): Promise<void> {
  const { selected, out } = session;
  save(session, asked.returned, uids);
  if (isSilent(asked.returned)) return;
  const numbers = asked.by === 'uid' ? uids : uids.map((uid) => selected.sequenceOf(uid));
  const parts = [`ESEARCH (TAG ${string(session.tag)})`];
  if (asked.by === 'uid') parts.push('UID');
  parts.push(...resultData(asked.returned, numbers));
  parts.push(...(await moreData(session, selected.id, asked, uids)));
  out.untagged(parts.join(' '));
}

/** Data that the store has to be asked for: MODSEQ (RFC 7162 3.1.5, 3.1.10) and RELEVANCY (RFC 6203 4). */
export async function moreData(
  { store }: ImapSession,
  id: MailboxId,
  { returned, program }: Pick<Asked, 'returned' | 'program'>,
  uids: readonly Uid[],
): Promise<string[]> {
  const parts: string[] = [];
  if (uids.length === 0) return parts;
  if (program.modSeq) parts.push(`MODSEQ ${await highestModSeq({ store, id }, told(returned, uids))}`);
  const { options, partial } = returned;
  if (!program.fuzzy || !options.has('RELEVANCY')) return parts;
  // One score for each of those that are told.
  const shown = partial ? partOf(uids, partial) : uids;
  const scores = await relevancies({ store, id }, program.fuzzy, shown);
  parts.push(`RELEVANCY (${shown.map((uid) => scores.get(uid) ?? 1).join(' ')})`);
  return parts;
}

/** Leaves the results for `$` where SAVE asks for that. */
export function save({ selected }: ImapSession, returned: Returned, uids: readonly Uid[]): void {
  if (returned.options.has('SAVE')) selected.saved = Uint32Array.from(saved(returned, uids)).sort();
}

/** Whether nothing is to be told but OK: SAVE without any data (RFC 5182 2.1). */
export function isSilent({ options, partial }: Returned): boolean {
  return options.has('SAVE') && !partial && !DATA.some((option) => options.has(option));
}

/** Throws away what an earlier SAVE left: a SAVE that fails leaves nothing (RFC 5182 2.1). */
export function forget({ selected }: ImapSession, returned: Returned | null): void {
  if (returned?.options.has('SAVE')) selected.saved = new Uint32Array(0);
}

/** The data of an ESEARCH response; of nothing there is only COUNT and PARTIAL (RFC 4731 3.1, RFC 9394 3.1). */
export function resultData({ options, partial }: Returned, numbers: readonly number[]): string[] {
  const parts: string[] = [];
  const [first] = numbers;
  const last = numbers.at(-1);
  if (options.has('MIN') && first !== undefined) parts.push(`MIN ${first}`);
  if (options.has('MAX') && last !== undefined) parts.push(`MAX ${last}`);
  if (options.has('ALL') && numbers.length > 0) parts.push(`ALL ${formatSet(numbers)}`);
  if (partial) parts.push(`PARTIAL (${partial.text} ${formatSet(partOf(numbers, partial)) || 'NIL'})`);
  if (options.has('COUNT')) parts.push(`COUNT ${numbers.length}`);
  return parts;
}

/** Numbers in one chunk of a response. */
const CHUNK = 4000;

/** The old form of the answer to SEARCH and SORT; with MODSEQ as RFC 7162 3.1.5 and 3.1.9 want it. */
export async function tellNumbers(
  { out, selected, store }: ImapSession,
  name: 'SEARCH' | 'SORT',
  by: 'uid' | 'sequence',
  modSeq: boolean,
  uids: readonly Uid[],
): Promise<void> {
  const numbers = by === 'uid' ? uids : uids.map((uid) => selected.sequenceOf(uid));
  // What may fail comes before the first byte.
  const highest =
    modSeq && uids.length > 0 ? ` (MODSEQ ${await highestModSeq({ store, id: selected.id }, uids)})` : '';
  out.add(`* ${name}`);
  for (let at = 0; at < numbers.length; at += CHUNK) {
    out.add(` ${numbers.slice(at, at + CHUNK).join(' ')}`);
    if (out.full) await out.flush();
  }
  out.add(`${highest}\r\n`);
}

/** The highest MODSEQ of these messages, which come in any order. */
async function highestModSeq(
  { store, id }: { readonly store: AccountStore; readonly id: MailboxId },
  uids: readonly Uid[],
): Promise<ModSeq> {
  const wanted = new Set(uids);
  let first = uids[0] ?? 0;
  let last = first;
  for (const uid of uids) {
    if (uid < first) first = uid;
    if (uid > last) last = uid;
  }
  let highest = 1;
  for await (const batch of store.messages(id, [{ first, last }]))
    for (const { uid, modSeq } of batch) if (wanted.has(uid)) highest = Math.max(highest, modSeq);
  return highest as ModSeq;
}

/** Without ALL and COUNT, MODSEQ is about the messages that are told (RFC 4731 3.2). */
function told({ options, partial }: Returned, uids: readonly Uid[]): readonly Uid[] {
  if (options.has('ALL') || options.has('COUNT')) return uids;
  const some = new Set(partial ? partOf(uids, partial) : []);
  const [first] = uids;
  const last = uids.at(-1);
  if (options.has('MIN') && first !== undefined) some.add(first);
  if (options.has('MAX') && last !== undefined) some.add(last);
  return some.size > 0 ? [...some] : uids;
}

/** RFC 5182 2.1 and 2.4, RFC 9394 3.2: with MIN, MAX or PARTIAL and without ALL or COUNT, only those are saved. */
function saved(returned: Returned, uids: readonly Uid[]): readonly Uid[] {
  const { options, partial } = returned;
  if (partial && !options.has('COUNT') && partOf(uids, partial).length === 0)
    return options.has('MIN') || options.has('MAX') ? told(returned, uids) : [];
  return partial || options.has('MIN') || options.has('MAX') ? told(returned, uids) : uids;
}
