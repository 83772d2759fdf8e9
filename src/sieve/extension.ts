import type { Bound } from './bound.ts';
import type { Compiler } from './compile.ts';
import type { SieveLimits } from './limits.ts';
import type { Comparator } from './match/comparators.ts';
import type { MatchType } from './match/matcher.ts';
import type { Run } from './run.ts';

/** One file an extension: the words that it adds to the language, and the tags that it lends to others' words. */

export type Kind = 'string' | 'strings' | 'number';

export interface Tag {
  /** Of the tags of one group there can be one; without a group the tag stands for itself. */
  readonly group?: string;
  /** What stands behind it. */
  readonly value?: Kind;
}

export type Tags = Readonly<Record<string, Tag>>;

/** Families of tags that many words take: how to compare, which part of an address, which of several fields, MIME. */
export type Family = 'match' | 'address' | 'index' | 'mime';

interface Word {
  readonly tags?: Tags;
  /** Positional arguments. */
  readonly arguments?: readonly Kind[];
  /** So many of the first of them may be missing (RFC 5232: the names of variables). */
  readonly optional?: number;
  /** The same of the last of them (RFC 5293: the patterns). */
  readonly trailing?: number;
  readonly takes?: readonly Family[];
  readonly tests?: 'one' | 'some';
  /** Looks at what was written, before any script runs; complains to the compiler. */
  readonly compile?: (bound: Bound, compiler: Compiler) => void;
}

/** What goes on after a command: the next one, nothing any more, the script that includes this one, or behind a loop. */
export type Flow = 'on' | 'stop' | 'return' | { readonly behind: Bound };

export interface Command extends Word {
  readonly block?: 'must';
  /** Words one of which must stand right before it. */
  readonly after?: readonly string[];
  readonly run: (
    bound: Bound,
    run: Run,
  ) => Flow | undefined | Promise<Flow | undefined> | Promise<void> | void;
}

export interface Test extends Word {
  readonly check: (bound: Bound, run: Run) => boolean | Promise<boolean>;
}

/** A tag that says how to compare. */
export interface MatchTag {
  readonly of: (value: string | true | undefined, complain: (message: string) => void) => MatchType;
  /** Whether it looks at parts of strings, which not every comparator can. */
  readonly substrings?: boolean;
  /** Whether it has no use for a comparator (RFC 6134 2.2). */
  readonly comparesItself?: boolean;
  /** What is wrong with a key that no variable changes. */
  readonly keyProblem?: (key: string, limits: SieveLimits) => string | undefined;
}

/** What `set` does with a value before it is kept (RFC 5229 4.1): the highest first. */
export interface Modifier {
  readonly precedence: number;
  /** Not longer than so many octets, cut where it makes sense. */
  readonly apply: (value: string, most: number) => string;
}

export interface Extension {
  /** As `require` names it. */
  readonly name: string;
  /** What describes it. */
  readonly source: string;
  readonly commands?: Readonly<Record<string, Command>>;
  readonly tests?: Readonly<Record<string, Test>>;
  /** Lent to these words, where they are there. */
  readonly tags?: Readonly<Record<string, Tags>>;
  readonly families?: Readonly<Partial<Record<Family, Tags>>>;
  /** Of the tags in `families.match`, what each means. */
  readonly matchTypes?: Readonly<Record<string, MatchTag>>;
  readonly comparators?: Readonly<Record<string, Comparator>>;
  readonly modifiers?: Readonly<Record<string, Modifier>>;
  /** Variables that begin with a name and a dot (RFC 5229 3). */
  readonly namespaces?: Readonly<Record<string, (name: string, run: Run) => string>>;
  /** Extensions that must be required beside it. */
  readonly needs?: readonly string[];
  /** Extensions that come with it. */
  readonly implies?: readonly string[];
  /** Sees the strings of the script as they are compiled (RFC 5228 2.4.2.4). */
  readonly string?: (text: string, complain: (message: string) => void) => string;
}
