import { isKnownCharset } from '../message/charset.ts';
import { ACCOUNT } from '../store/store.ts';
import type { ImapSession } from './command.ts';
import { ImapBad, ImapNo, uidRequired } from './errors.ts';
import { Parser } from './parser.ts';
import { FILTER_ENTRIES, MAX_FILTER_DEPTH, undefinedFilter } from './search/filter.ts';
import type { FuzzyTerm } from './search/fuzzy.ts';
import { searchKeys } from './search/index.ts';
import { type Criterion, fixed, type SearchContext, type SearchKey } from './search/key.ts';
import type { SeqRange, SequenceSet } from './sequence-set.ts';

/** The criteria of a SEARCH (RFC 9051 9, search-program), of bounded depth. */

/** Parentheses, NOT and OR inside each other. */
const MAX_DEPTH = 100;
/** Keys in one search. */
const MAX_KEYS = 2000;

const KEYS: ReadonlyMap<string, SearchKey> = new Map(searchKeys.map((key) => [key.name, key]));

export interface SearchProgram {
  readonly criterion: Criterion;
  readonly modSeq: boolean;
  /** Sequence numbers occur: nothing may shift them before the client has the answer (RFC 7162 3.2.10.2). */
  readonly sequences: boolean;
  /** What RELEVANCY is made of; null where FUZZY does not occur (RFC 6203). */
  readonly fuzzy: readonly FuzzyTerm[] | null;
  /** The same with the searches of all filters in their places (RFC 5466); whoever runs it asks for that first. */
  complete(session: ImapSession): Promise<SearchProgram>;
}

/** `[CHARSET x] key key …` to the end of the command. */
export function parseSearchProgram(p: Parser): SearchProgram {
  return parseProgram(p, parseCharset(p));
}

/** `charset key key …`, as SORT and THREAD have it (RFC 5256 5). */
export function parseCharsetAndProgram(p: Parser): SearchProgram {
  const { at } = p;
  const charset = p.astring().toString('latin1');
  if (p.charsets === 'utf8-only' && !/^utf-8$/i.test(charset))
    p.fail('After ENABLE UTF8=ACCEPT the charset is UTF-8', at);
  p.sp();
  return parseProgram(p, charset);
}

function parseProgram(p: Parser, charset: string): SearchProgram {
  const known = isKnownCharset(charset);
  let depth = 0;
  let keys = 0;
  const context: SearchContext = {
    charset,
    modSeq: false,
    sequences: false,
    fuzzy: false,
    terms: null,
    filters: [],
    within: [],
    key(inner) {
      if (++depth > MAX_DEPTH) inner.fail('The search is nested too deeply');
      if (++keys > MAX_KEYS) inner.fail('The search has too many keys');
      try {
        return parseKey(inner, context);
      } finally {
        depth--;
      }
    },
  };
  const keysOfAll = parseKeys(p, context);
  // NO, not BAD, so it waits until the command is parsed: SAVE takes note of a NO (RFC 5182 2.1).
  const criterion = known ? keysOfAll : unknownCharset;
  const program = (): SearchProgram => {
    const { modSeq, sequences, terms } = context;
    const complete = async (session: ImapSession): Promise<SearchProgram> => {
      if (context.filters.length === 0) return program();
      // RFC 5466 3.1: filters are UTF-8, and so must the rest be.
      if (!/^(?:utf-8|us-ascii)$/i.test(charset))
        throw new ImapBad('A search with FILTER is in UTF-8', undefined, 'BADCHARSET (US-ASCII UTF-8)');
      context.charset = 'utf-8';
      await putFiltersIn(session, context);
      return program();
    };
    return { criterion, modSeq, sequences, fuzzy: terms, complete };
  };
  return program();
}

/** Each place is filled anew, and all keys count as one search's: filters in filters cannot make it grow beyond that. */
async function putFiltersIn(session: ImapSession, context: SearchContext): Promise<void> {
  const annotations = new Map<string, string>();
  const numbers = session.enabled.has('UIDONLY') ? 'uids' : 'all';
  for (const [name, value] of await session.store.annotations(ACCOUNT))
    annotations.set(name.toLowerCase(), value);
  for (let place = context.filters.pop(); place; place = context.filters.pop()) {
    const name = place.name.toLowerCase();
    const value = FILTER_ENTRIES.map((entry) => annotations.get(entry + name)).find(
      (found) => found !== undefined,
    );
    // Loops and endless chains are as if there were no such filter (RFC 5466 3.1).
    if (value === undefined || place.within.includes(name) || place.within.length >= MAX_FILTER_DEPTH)
      undefinedFilter(place.name);
    context.within = [...place.within, name];
    context.fuzzy = place.fuzzy;
    place.criterion = parseFilter(place.name, value, context, numbers);
  }
}

function parseFilter(
  name: string,
  value: string,
  context: SearchContext,
  numbers: 'all' | 'uids',
): Criterion {
  const p = new Parser({ bytes: Buffer.from(value, 'latin1') }, { numbers });
  try {
    return parseKeys(p, context);
  } catch (error) {
    if (error instanceof ImapBad) undefinedFilter(name);
    throw error;
  }
}

/** `key key …` to the end. */
function parseKeys(p: Parser, context: SearchContext): Criterion {
  const all = [context.key(p)];
  while (!p.atEnd) all.push(context.key(p.sp()));
  return allOf(all);
}

function parseCharset(p: Parser): string {
  if (!p.isWord('CHARSET')) return 'utf-8';
  // RFC 6855 3, RFC 9755 3: even where it is UTF-8 that is named.
  if (p.charsets === 'utf8-only') p.fail('After ENABLE UTF8=ACCEPT no charset is named');
  p.take('CHARSET').sp();
  const charset = p.astring().toString('latin1');
  p.sp();
  return charset;
}

function unknownCharset(): never {
  throw new ImapNo('This charset is not known', 'BADCHARSET (US-ASCII UTF-8)');
}

function parseKey(p: Parser, context: SearchContext): Criterion {
  if (p.isList) return allOf(p.list(() => context.key(p)));
  if (p.next('*') || p.next('$') || p.isDigit) return sequenceKey(p, context);
  const at = p.at;
  const key = KEYS.get(p.keyword());
  if (!key) throw new ImapBad('No such search key', at);
  return key.parse(p, context);
}

function sequenceKey(p: Parser, context: SearchContext): Criterion {
  const set = p.sequenceSet();
  // What $ stands for are messages, whatever they are numbered by (RFC 9586 3.5).
  if (p.numbers === 'uids' && set.ranges !== '$') throw uidRequired(set.at);
  context.sequences = true;
  return fixed(({ selected }) => ({ uid: selected.resolve(within(set, selected.exists), 'sequence') }));
}

/**
 * What lies beyond the last message is none: RFC 7377 2 has it so for ranges, and a single number asks the same question.
 * The BAD that RFC 9051 9 (seq-number) wants helps no client that searches while messages go.
 */
function within(set: SequenceSet, exists: number): SequenceSet {
  if (set.ranges === '$') return set;
  const ranges = set.ranges.flatMap((range): SeqRange[] => {
    const first = range.first === '*' ? exists : range.first;
    const last = range.last === '*' ? exists : range.last;
    const low = Math.min(first, last);
    return low > exists || low === 0 ? [] : [{ first: low, last: Math.min(Math.max(first, last), exists) }];
  });
  return { ranges, at: set.at };
}

function allOf(criteria: readonly Criterion[]): Criterion {
  const [only] = criteria;
  if (criteria.length === 1 && only) return only;
  return async (session) => ({ all: await Promise.all(criteria.map((criterion) => criterion(session))) });
}
