/**
 * Text as search and sort compare it: without case and compatibility forms, which is i;unicode-casemap (RFC 5051), the
 * comparator of I18NLEVEL=1 (RFC 5255 4.3). An accent is a mark behind its letter, as that comparator has it: `cafe` is in
 * `CAFÉ`, `resume` is not in `résumé`. Who searches loosely (FUZZY) leaves accents out.
 */

/** The marks of Latin, Greek and Cyrillic letters only: in other scripts they make other words. */
const ACCENTS = /[\u0300-\u036f]/g;

/** Whether accents count. */
export type Accents = 'matter' | 'ignored';

/** Fold both sides, then compare as strings. */
export function fold(text: string, accents: Accents = 'matter'): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  if (!/[^\x00-\x7f]/.test(text)) return text.toUpperCase();
  const decomposed = text.normalize('NFKD');
  // Upper case, not lower: it has no final sigma. RFC 5051 2 maps letter by letter, so ß stays what it is.
  const folded = decomposed.includes('ß')
    ? decomposed
        .split('ß')
        .map((part) => part.toUpperCase())
        .join('ß')
    : decomposed.toUpperCase();
  return accents === 'matter' ? folded : withoutAccents(folded);
}

/** Folded text as `fold(text, 'ignored')` would have it. */
export function withoutAccents(folded: string): string {
  return folded.replace(ACCENTS, '').replace(/[ßẞ]/g, 'SS');
}
