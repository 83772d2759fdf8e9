import type { Flag } from '../store.ts';
import { StoreError } from '../store.ts';

/**
 * Flags as bits of one integer, as letters of a file name, and as IMAP's words. Bits 0-4 are the system flags, bits
 * 5-30 the keywords of one folder, letter 'a' first, as dovecot-keywords numbers them. Letters that mean nothing to us
 * (Maildir's P, keywords of another program) are carried along untouched.
 */

/** A folder's keywords by letter; '' is a free one. */
export type Keywords = string[];

/** Letters a-z in the file name. RFC 9051 asks for no minimum. */
export const MAX_KEYWORDS = 26;
/** Longer keywords are refused; the longest registered one has 13 characters. */
const MAX_KEYWORD_LENGTH = 100;

export const SEEN = 1;

const SYSTEM: readonly { readonly flag: Flag; readonly letter: string }[] = [
  { flag: '\\Seen', letter: 'S' },
  { flag: '\\Answered', letter: 'R' },
  { flag: '\\Flagged', letter: 'F' },
  { flag: '\\Deleted', letter: 'T' },
  { flag: '\\Draft', letter: 'D' },
];
const BY_NAME: ReadonlyMap<string, number> = new Map(
  SYSTEM.map(({ flag }, bit) => [flag.toLowerCase(), 1 << bit]),
);
const BY_LETTER: ReadonlyMap<string, number> = new Map(SYSTEM.map(({ letter }, bit) => [letter, 1 << bit]));
const FIRST_KEYWORD = SYSTEM.length;

/** The bit of one flag; 0 for a keyword that the folder does not have, and for system flags we do not store. */
export function bitOf(flag: Flag, keywords: Keywords): number {
  const lower = flag.toLowerCase();
  if (lower.startsWith('\\')) return BY_NAME.get(lower) ?? 0;
  const at = keywords.findIndex((keyword) => keyword !== '' && keyword.toLowerCase() === lower);
  return at < 0 ? 0 : 1 << (FIRST_KEYWORD + at);
}

export function bitsOf(flags: readonly Flag[], keywords: Keywords): number {
  let bits = 0;
  for (const flag of flags) bits |= bitOf(flag, keywords);
  return bits;
}

/** The keywords among `flags` that the folder has no letter for yet. Throws 'limit' for one that cannot be stored. */
export function newKeywords(flags: readonly Flag[], keywords: Keywords): Flag[] {
  const found: Flag[] = [];
  for (const flag of flags) {
    if (flag.startsWith('\\') || bitOf(flag, [...keywords, ...found]) !== 0) continue;
    if (!isKeyword(flag)) throw new StoreError('limit', 'This keyword cannot be stored');
    found.push(flag);
  }
  return found;
}

/** An atom (RFC 9051 9): it stands on a line of its own in the folder's file, and as it is in FLAGS. */
export function isKeyword(text: string): boolean {
  return /^[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+$/.test(text) && text.length <= MAX_KEYWORD_LENGTH;
}

export function keywordBit(index: number): number {
  return 1 << (FIRST_KEYWORD + index);
}

export function flagsOf(bits: number, keywords: Keywords): Flag[] {
  const flags: Flag[] = [];
  SYSTEM.forEach(({ flag }, bit) => {
    if (bits & (1 << bit)) flags.push(flag);
  });
  keywords.forEach((keyword, at) => {
    if (keyword !== '' && bits & keywordBit(at)) flags.push(keyword);
  });
  return flags;
}

/** The flags in the letters of a file name. */
export function bitsOfInfo(info: string | null, keywords: Keywords): number {
  let bits = 0;
  for (const letter of info ?? '') {
    const at = letter.charCodeAt(0) - 97;
    if (at >= 0 && at < MAX_KEYWORDS) {
      if (keywords[at]) bits |= keywordBit(at);
    } else bits |= BY_LETTER.get(letter) ?? 0;
  }
  return bits;
}

/** The letters for `bits`, in ASCII order as Maildir wants them, keeping those of `previous` that are not ours. */
export function infoOf(bits: number, keywords: Keywords, previous: string | null): string {
  const letters = new Set<string>();
  for (const letter of previous ?? '') {
    const at = letter.charCodeAt(0) - 97;
    const ours = BY_LETTER.has(letter) || (at >= 0 && at < MAX_KEYWORDS && keywords[at]);
    if (!ours) letters.add(letter);
  }
  SYSTEM.forEach(({ letter }, bit) => {
    if (bits & (1 << bit)) letters.add(letter);
  });
  for (let at = 0; at < MAX_KEYWORDS; at++)
    if (keywords[at] && bits & keywordBit(at)) letters.add(String.fromCharCode(97 + at));
  return [...letters].sort().join('');
}
