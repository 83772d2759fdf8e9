import type { SearchCriteria } from '../../store/store.ts';
import type { SearchContext, SearchKey } from './key.ts';

/**
 * FUZZY (RFC 6203): strings are found by their words, in any order, each by its beginning, without accents; of three to five words one may
 * be missing. What is no string is compared as always, which section 5 leaves to us.
 */

/** Words of one string that are looked for; the rest of a long one is ignored. */
const MAX_WORDS = 8;
/** From so many words on one may be missing, up to so many. */
const FORGIVING = { from: 3, to: 5 };
/** Shorter words are whole or not there. */
const SHORTEST_STEM = 3;
/** Strings of one search that are compared so; further ones are compared as always. */
const MAX_TERMS = 10;

/** Criteria that compare strings. */
type StringCriteria = Extract<SearchCriteria, { readonly header: string } | { readonly text: string }>;

/** A string that is looked for so, with what its relevancy is made of. */
export interface FuzzyTerm {
  readonly exact: SearchCriteria;
  readonly words: readonly { readonly whole: SearchCriteria; readonly stem: SearchCriteria }[];
}

export const fuzzyKeys: readonly SearchKey[] = [
  {
    name: 'FUZZY',
    capability: 'SEARCH=FUZZY',
    parse(p, context) {
      const before = context.fuzzy;
      context.terms ??= [];
      context.fuzzy = true;
      const inner = context.key(p.sp());
      context.fuzzy = before;
      return inner;
    },
  },
];

/** A string to search for, fuzzily where FUZZY stands before it. */
export function stringCriteria(
  { fuzzy, terms }: SearchContext,
  text: string,
  criteriaFor: (text: string) => StringCriteria,
): SearchCriteria {
  const words = wordsOf(text);
  if (!fuzzy || !terms || terms.length >= MAX_TERMS || words.length === 0) return criteriaFor(text);
  const like = (part: string): StringCriteria => ({ ...criteriaFor(part), accents: 'ignored' });
  const exact = like(text);
  const both = words.map((word) => ({ whole: like(word), stem: like(stemOf(word)) }));
  terms.push({ exact, words: both });
  const stems = both.map(({ stem }) => stem);
  const any: SearchCriteria[] = [exact, { all: stems }];
  if (stems.length >= FORGIVING.from && stems.length <= FORGIVING.to)
    for (const missing of stems) any.push({ all: stems.filter((stem) => stem !== missing) });
  return { any };
}

function wordsOf(text: string): readonly string[] {
  return [...new Set(text.toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? [])].slice(0, MAX_WORDS);
}

/** Without a quarter of its letters: "helo" finds "hello" and "help", "invoices" finds "invoice". */
function stemOf(word: string): string {
  const letters = [...word];
  const length = Math.max(SHORTEST_STEM, letters.length - Math.max(1, Math.floor(letters.length / 4)));
  return letters.slice(0, length).join('');
}
