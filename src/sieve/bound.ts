import type { Command, Test } from './extension.ts';
import type { Matcher } from './match/matcher.ts';
import type { Text } from './text.ts';

/** Of a command whose block never runs here and was not looked at (RFC 5463 4). */
export const SKIPPED = 'skipped';

export type Value = number | Text | { readonly texts: readonly Text[] };

/** A command or test whose words are known and whose arguments are what they should be. */
export interface Bound {
  readonly name: string;
  readonly at: number;
  readonly command: Command | null;
  readonly test: Test | null;
  /** By name, without the colon; true where nothing stands behind it. */
  readonly tags: ReadonlyMap<string, Value | true>;
  /** undefined for an optional one that is missing. */
  readonly args: readonly (Value | undefined)[];
  readonly tests: readonly Bound[];
  readonly block: readonly Bound[];
  /** Of words that compare. */
  readonly matcher: Matcher | null;
  /** What `compile` of the word found out, for `run`. */
  readonly notes: Map<string, unknown>;
}
