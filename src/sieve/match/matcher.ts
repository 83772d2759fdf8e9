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

/** What machines compare many characters at a time, beside one that we look at ourselves. */
const FAST = 8;

/** Values and keys are made normal once each. */
function normalised(compare: (value: string, key: string) => boolean): MatchType {
  return {
    matches(values, keys, { normal }, run) {
      const wanted = keys.map(normal);
      for (const value of values) {
        run.charge(1, value.length / FAST);
        const given = normal(value);
        for (const key of wanted) {
          run.charge(1, (value.length + key.length) / FAST);
          if (compare(given, key)) return true;
        }
      }
      return false;
    },
  };
}

export const is: MatchType = normalised((value, key) => value === key);

export const contains: MatchType = normalised((value, key) => value.includes(key));

/** RFC 5228 2.7.1: `*` and `?`; RFC 5229 3.2: each takes as little as it can, from the left on. */
export const matches: MatchType = pairwise((value, key, comparator, run) => {
  const charge = (characters: number): void => run.charge(0, characters);
  const found =
    comparator.keepsPlaces && !key.includes('?')
      ? globOfStars(value, key, comparator.normal, charge)
      : glob(value, key, comparator.normal, charge);
  if (found) run.setMatchValues(found);
  return found !== undefined;
});

/** The same where all wildcards are stars, as they nearly always are: what stands between them is looked for as a whole. */
function globOfStars(
  value: string,
  pattern: string,
  normal: (text: string) => string,
  charge: (characters: number) => void,
): string[] | undefined {
  const [first = '', ...others] = cut(pattern, normal).map(({ text }) => text.join(''));
  const compared = normal(value);
  if (!compared.startsWith(first)) return undefined;
  const last = others.pop();
  if (last === undefined) return compared.length === first.length ? [value] : undefined;
  let at = first.length;
  const captured: string[] = [];
  for (const piece of others) {
    const found = compared.indexOf(piece, at);
    charge(((found < 0 ? compared.length : found) - at + piece.length) / FAST);
    if (found < 0) return undefined;
    captured.push(value.slice(at, found));
    at = found + piece.length;
  }
  const end = compared.length - last.length;
  if (end < at || !compared.endsWith(last)) return undefined;
  return [value, ...captured, value.slice(at, end)];
}

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
