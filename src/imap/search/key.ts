import { decodeBytes } from '../../message/charset.ts';
import type { SearchCriteria } from '../../store/store.ts';
import type { ImapSession } from '../command.ts';
import type { Parser } from '../parser.ts';

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
  readonly charset: string;
  /** The key was used that makes SEARCH tell the highest MODSEQ (RFC 7162 3.1.5). */
  modSeq: boolean;
  /** The keys name sequence numbers. */
  sequences: boolean;
  /** One more key, below this one: bounded. */
  key(p: Parser): Criterion;
}

/** What is to be found, once it is known which messages the session sees and what time it is. */
export type Criterion = (session: ImapSession) => SearchCriteria | Promise<SearchCriteria>;

/** A string to search for, as text. */
export function searchString(p: Parser, { charset }: SearchContext): string {
  return decodeBytes(p.astring(), charset).normalize('NFC');
}

/** Means for ever what it meant when the command came, however often the search is repeated (RFC 5267 4.3). */
export function fixed(criterion: Criterion): Criterion {
  let known: SearchCriteria | undefined;
  return async (session) => {
    known ??= await criterion(session);
    return known;
  };
}
