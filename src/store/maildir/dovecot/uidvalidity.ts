import { closeSync, openSync, readdirSync } from 'node:fs';
import { readOptional, syncDirectory, unlinkIfThere, writeDurably } from '../disk.ts';

/**
 * The highest UIDVALIDITY that Dovecot gave in an account, eight hexadecimal digits: the content of
 * `dovecot-uidvalidity`, and, the one that counts, in the name of an empty file `dovecot-uidvalidity.<hex>`.
 */
const NAME = 'dovecot-uidvalidity';

/** 0 when there is none. */
export function readLastUidValidity(directory: string): number {
  const content = readOptional(`${directory}/${NAME}`)?.toString('latin1').trim() ?? '';
  const values = [content, ...suffixes(directory)].filter((text) => /^[0-9a-f]{8}$/i.test(text));
  return values.reduce((highest, text) => Math.max(highest, Number.parseInt(text, 16)), 0);
}

/** Durably, and never lower than what is there. */
export function writeLastUidValidity(directory: string, uidValidity: number): void {
  const highest = Math.max(uidValidity, readLastUidValidity(directory));
  const hex = highest.toString(16).padStart(8, '0');
  // First the file that counts: Dovecot takes the first one it finds, so the others go.
  closeSync(openSync(`${directory}/${NAME}.${hex}`, 'a', 0o444));
  for (const suffix of suffixes(directory))
    if (suffix !== hex) unlinkIfThere(`${directory}/${NAME}.${suffix}`);
  syncDirectory(directory);
  writeDurably(directory, NAME, hex);
}

function suffixes(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith(`${NAME}.`))
    .map((name) => name.slice(NAME.length + 1))
    .filter((suffix) => /^[0-9a-f]{8}$/i.test(suffix));
}
