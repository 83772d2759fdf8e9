import type { Run } from '../run.ts';
import type { Comparator } from './comparators.ts';

/** One match type with its comparator, as a word of the script asks for it. */
export interface Matcher {
  readonly comparator: Comparator;
  readonly type: MatchType;
}

export interface MatchType {
  /** Whether any of `values` matches any of `keys`. */
  readonly matches: (
    values: readonly string[],
    keys: readonly string[],
    comparator: Comparator,
    run: Run,
  ) => boolean | Promise<boolean>;
}

/** A match type that looks at one value and one key at a time. */
export function pairwise(
  compare: (value: string, key: string, comparator: Comparator, run: Run) => boolean,
): MatchType {
  return {
    matches(values, keys, comparator, run) {
      for (const value of values)
        for (const key of keys) {
          run.charge(1, value.length + key.length);
          if (compare(value, key, comparator, run)) return true;
        }
      return false;
    },
  };
}

export const is: MatchType = pairwise((value, key, { normal }) => normal(value) === normal(key));

export const contains: MatchType = pairwise((value, key, { normal }) => normal(value).includes(normal(key)));

/** RFC 5228 2.7.1: `*` and `?`; RFC 5229 3.2: each takes as little as it can, from the left on. */
export const matches: MatchType = pairwise((value, key, { normal }, run) => {
  const found = glob(value, key, normal, (characters) => run.charge(0, characters));
  if (found) run.setMatchValues(found);
  return found !== undefined;
});

type Piece = { readonly text: readonly (string | null)[] };

/** The whole and what each wildcard stands for; undefined when it does not match. `charge` is told of each look. */
function glob(
  value: string,
  pattern: string,
  normal: (text: string) => string,
  charge: (characters: number) => void,
): string[] | undefined {
  const chars = [...value];
  const compared = chars.map(normal);
  const pieces = cut(pattern, normal);
  const first = pieces[0]?.text ?? [];
  if (!fits(compared, 0, first)) return undefined;
  const captured: string[] = [];
  const take = (piece: Piece, at: number): void =>
    piece.text.forEach((one, i) => {
      if (one === null) captured.push(chars[at + i] ?? '');
    });
  take({ text: first }, 0);
  let at = first.length;
  for (let n = 1; n < pieces.length; n++) {
    const piece = pieces[n] ?? { text: [] };
    const { length } = piece.text;
    const isLast = n === pieces.length - 1;
    let found = isLast ? chars.length - length : at;
    if (found < at) return undefined;
    if (!isLast) while (found + length <= chars.length && !fits(compared, found, piece.text)) found++;
    charge((found - at + 1) * Math.max(1, length));
    if (found + length > chars.length || !fits(compared, found, piece.text)) return undefined;
    captured.push(chars.slice(at, found).join(''));
    take(piece, found);
    at = found + length;
  }
  return at === chars.length ? [value, ...captured] : undefined;
}

function fits(compared: readonly string[], at: number, text: readonly (string | null)[]): boolean {
  if (at + text.length > compared.length) return false;
  for (let i = 0; i < text.length; i++) if (text[i] !== null && text[i] !== compared[at + i]) return false;
  return true;
}

/** What stands between the stars; null is a question mark. */
function cut(pattern: string, normal: (text: string) => string): Piece[] {
  const pieces: (string | null)[][] = [[]];
  const chars = [...pattern];
  for (let i = 0; i < chars.length; i++) {
    const char = chars[i] ?? '';
    if (char === '*') pieces.push([]);
    else if (char === '?') pieces.at(-1)?.push(null);
    else if (char === '\\' && i + 1 < chars.length) pieces.at(-1)?.push(normal(chars[++i] ?? ''));
    else pieces.at(-1)?.push(normal(char));
  }
  return pieces.map((text) => ({ text }));
}
