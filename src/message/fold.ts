/**
 * Text as search compares it: without case, compatibility forms and accents, so that `cafe` finds `CAFÉ`.
 * This is i;unicode-casemap (RFC 5051) and one step more: RFC 5051 keeps the combining marks that its decomposition
 * makes, and people who search leave accents out.
 */

/** The marks of Latin, Greek and Cyrillic letters only: in other scripts they make other words. */
const ACCENTS = /[\u0300-\u036f]/g;

/** Fold both sides, then compare as strings. */
export function fold(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  if (!/[^\x00-\x7f]/.test(text)) return text.toUpperCase();
  // Upper case, not lower: it has no final sigma.
  return text.normalize('NFKD').replace(ACCENTS, '').toUpperCase();
}
