import { type Keywords, MAX_KEYWORDS, newKeywords } from '../flags.ts';

/**
 * `dovecot-keywords`, one in each folder: lines `<number> <name>`; numbers 0 to 25 are the letters a to z in file names.
 * Higher ones have no letter: Dovecot keeps them in its index alone, from where nobody else can read them.
 */
export const KEYWORDS_FILE = 'dovecot-keywords';

export interface DovecotKeywords {
  readonly keywords: Keywords;
  /** Names that we cannot keep, and those without a letter. */
  readonly lost: readonly string[];
}

export function noKeywords(): Keywords {
  return new Array<string>(MAX_KEYWORDS).fill('');
}

/** Lines that make no sense are skipped; of two for one number the last one counts, as Dovecot has it. */
export function parseKeywords(text: string): DovecotKeywords {
  const keywords = noKeywords();
  const lost: string[] = [];
  for (const line of text.split('\n')) {
    const [, digits = '', name = ''] = /^(\d{1,6}) (.+)$/.exec(line) ?? [];
    if (name === '') continue;
    const number = Number(digits);
    if (number >= MAX_KEYWORDS || !isKeyword(name) || hasTwin(keywords, name, number)) lost.push(name);
    else keywords[number] = name;
  }
  return { keywords, lost };
}

export function formatKeywords(keywords: Keywords): string {
  return keywords.map((name, number) => (name === '' ? '' : `${number} ${name}\n`)).join('');
}

function isKeyword(name: string): boolean {
  if (name.startsWith('\\')) return false;
  try {
    newKeywords([name], []);
    return true;
  } catch {
    return false;
  }
}

/** Keywords are compared without case (RFC 9051 2.3.2). */
function hasTwin(keywords: Keywords, name: string, number: number): boolean {
  return keywords.some((known, at) => at !== number && known.toLowerCase() === name.toLowerCase());
}
