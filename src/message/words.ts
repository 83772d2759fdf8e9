/**
 * Folded text (fold.ts) as words for a full-text index that must answer like a search for parts of strings: what is
 * found by words is what `includes` would find, or a little more, which `Wanted` then says. Linear, never throws.
 *
 * A word is a run of letters and digits. Where scripts have no blanks between words (Han, kana) every two characters
 * that follow each other are one; other symbols and emoji stand alone. In address fields only what parts one address
 * from the next ends a word, so that `ann@example.org` is one.
 */
import type { Accents } from './fold.ts';

/** Longer runs are cut into overlapping pieces: what is no longer than OVERLAP lies whole in one of them. */
const MAX_WORD = 64;
const OVERLAP = 32;

export type WordStyle = 'text' | 'address';

/** What a text must have to contain the needle. Several conditions: all of them. */
export type Condition =
  | { readonly is: 'word'; readonly word: string }
  | { readonly is: 'part'; readonly of: 'any' | 'begin' | 'end'; readonly text: string };

export interface Wanted {
  /** Empty: words tell nothing about it. */
  readonly conditions: readonly Condition[];
  /** `yes`: texts that fulfil the conditions contain the needle; `maybe`: they have to be looked at. */
  readonly proves: 'yes' | 'maybe';
}

type Kind = 'letters' | 'ideographs' | 'symbol';

interface Run {
  readonly kind: Kind;
  readonly text: string;
  readonly start: number;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
const NOT_ASCII = /[^\x00-\x7f]/;
const ASCII_WORD = /[A-Z0-9]+/g;
const IDEOGRAPH = '[\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}]';
const WORD = new RegExp(
  `(${IDEOGRAPH}+)|((?:(?!${IDEOGRAPH})[\\p{L}\\p{N}\\p{M}])+)|([^\\x00-\\x7f\\p{P}\\p{Z}\\p{C}])`,
  'gu',
);
const ADDRESS_WORD = /[^\s\p{Z}\p{C},;:<>()[\]"\\]+/gu;

/** The words of a folded text, each once, added to `into`. */
export function addWords(text: string, style: WordStyle, into: Set<string>): void {
  if (style === 'text' && !NOT_ASCII.test(text)) {
    for (const word of text.match(ASCII_WORD) ?? []) {
      if (word.length <= MAX_WORD) into.add(word);
      else for (const piece of cut('letters', word)) into.add(piece);
    }
    return;
  }
  for (const { kind, text: run } of runs(text, style)) for (const piece of cut(kind, run)) into.add(piece);
}

/**
 * How texts that contain this folded, non-empty needle are found by their words. Where accents are ignored, each letter
 * of the text may have one: only half as many letters are sure to lie together.
 */
export function wantedWords(needle: string, style: WordStyle, accents: Accents = 'matter'): Wanted {
  // Half a character is in no word.
  if (!needle.isWellFormed()) return { conditions: [], proves: 'maybe' };
  const found = [...runs(needle, style)];
  const [only] = found;
  if (only && only.text === needle) return wholeRun(only, accents === 'matter' ? OVERLAP : OVERLAP / 2);
  return { conditions: found.flatMap((run) => conditionsOf(run, needle)), proves: 'maybe' };
}

/** The needle is inside one run of the text, if it is anywhere. */
function wholeRun({ kind, text }: Run, overlap: number): Wanted {
  const length = lengthOf(text);
  if (kind === 'symbol') return { conditions: [{ is: 'word', word: text }], proves: 'yes' };
  if (kind === 'ideographs') {
    if (length <= 2) return { conditions: [{ is: 'part', of: 'any', text }], proves: 'yes' };
    return { conditions: words(kind, text), proves: 'maybe' };
  }
  if (length <= overlap) return { conditions: [{ is: 'part', of: 'any', text }], proves: 'yes' };
  const ends = [text.slice(0, overlap), text.slice(-overlap)].map(wellFormed);
  return { conditions: ends.map((end) => ({ is: 'part', of: 'any', text: end })), proves: 'maybe' };
}

/** One of several runs: on the side where the needle goes on, the run in the text ends too. */
function conditionsOf({ kind, text, start }: Run, needle: string): Condition[] {
  if (kind === 'symbol') return words(kind, text);
  if (kind === 'ideographs')
    return lengthOf(text) > 1 ? words(kind, text) : [{ is: 'part', of: 'any', text }];
  const begins = start > 0;
  const ends = start + text.length < needle.length;
  if (begins && ends) return words(kind, text);
  if (begins) return [{ is: 'part', of: 'begin', text: wellFormed(text.slice(0, OVERLAP)) }];
  return [{ is: 'part', of: 'end', text: wellFormed(text.slice(-OVERLAP)) }];
}

function words(kind: Kind, text: string): Condition[] {
  return cut(kind, text).map((word) => ({ is: 'word', word }));
}

function* runs(text: string, style: WordStyle): Generator<Run> {
  if (style === 'address') {
    for (const match of text.matchAll(ADDRESS_WORD))
      yield { kind: 'letters', text: match[0], start: match.index };
    return;
  }
  for (const match of text.matchAll(WORD)) {
    const kind = match[1] !== undefined ? 'ideographs' : match[2] !== undefined ? 'letters' : 'symbol';
    yield { kind, text: match[0], start: match.index };
  }
}

function cut(kind: Kind, run: string): string[] {
  if (kind === 'letters' && run.length <= MAX_WORD) return [run];
  if (kind === 'symbol') return [run];
  const characters = Array.from(run);
  const [size, step] = kind === 'ideographs' ? [2, 1] : [MAX_WORD, OVERLAP];
  const pieces: string[] = [];
  for (let at = 0; ; at += step) {
    pieces.push(characters.slice(at, at + size).join(''));
    if (at + size >= characters.length) return pieces;
  }
}

function lengthOf(text: string): number {
  return NOT_ASCII.test(text) ? Array.from(text).length : text.length;
}

/** Without the half of a character that a cut left at an end. */
function wellFormed(text: string): string {
  return text.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, '');
}
