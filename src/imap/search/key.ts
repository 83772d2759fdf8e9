import { decodeBytes } from '../../message/charset.ts';
import type { SearchCriteria } from '../../store/store.ts';
import type { ImapSession } from '../command.ts';
import type { Parser } from '../parser.ts';
import type { Selected } from '../selected.ts';
import type { FuzzyTerm } from './fuzzy.ts';

/** A SEARCH key is a value in a file with its kin; `parse` has taken its name and reads what follows it. */
export interface SearchKey {
  /** Upper case. */
  readonly name: string;
  readonly capability?: string;
  parse(p: Parser, context: SearchContext): Criterion;
}

/** What the keys of one SEARCH have in common. */
export interface SearchContext {
  /** Of the strings. */
  charset: string;
  /** The key was used that makes SEARCH tell the highest MODSEQ (RFC 7162 3.1.5). */
  modSeq: boolean;
  /** The keys name sequence numbers. */
  sequences: boolean;
  /** The key that is being read is to be compared fuzzily (RFC 6203). */
  fuzzy: boolean;
  /** What relevancy is made of; null where FUZZY does not occur. */
  terms: FuzzyTerm[] | null;
  /** Filters whose searches are still to be put in (RFC 5466 3.1). */
  readonly filters: FilterPlace[];
  /** The filters that the key being read is in. */
  within: readonly string[];
  /** One more key, below this one: bounded. */
  key(p: Parser): Criterion;
}

/** Where a filter is named, and what it stands for, once that is known. */
export interface FilterPlace {
  readonly name: string;
  readonly fuzzy: boolean;
  readonly within: readonly string[];
  criterion: Criterion;
}

/** What is to be found, once it is known which messages the session sees and what time it is. */
export type Criterion = (scope: SearchScope) => SearchCriteria | Promise<SearchCriteria>;

/** Where a search goes: the selected mailbox, or one that is looked at as if it were (RFC 7377). */
export type SearchScope = Pick<ImapSession, 'selected' | 'world' | 'store'>;

/** A string to search for, as text. */
export function searchString(p: Parser, { charset }: SearchContext): string {
  return decodeBytes(p.astring(), charset).normalize('NFC');
}

/** Means for ever what it meant when the command came, however often the search is repeated (RFC 5267 4.3). */
export function fixed(criterion: Criterion): Criterion {
  const known = new WeakMap<Selected, SearchCriteria>();
  return async (scope) => {
    const criteria = known.get(scope.selected) ?? (await criterion(scope));
    known.set(scope.selected, criteria);
    return criteria;
  };
}
