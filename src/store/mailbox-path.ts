import { decodeModifiedUtf7, encodeModifiedUtf7, shifted } from '../mail/modified-utf7.ts';
import { StoreError } from './store.ts';

/**
 * Mailbox names and their directories. A path that leaves `parsePath` is safe to encode, and what `directoryOf` makes
 * of it is one component below the Maildir: it starts with '.', holds no '/', no NUL, is neither '.' nor '..', and
 * fits into a directory entry. `pathOf` is its inverse for names that other programs made.
 */

/** The directory entry limit of the file systems we know (NAME_MAX). */
const MAX_DIRECTORY_BYTES = 255;
/** Levels of hierarchy; RFC 9051 sets no minimum, Maildir++ names end long before. */
export const MAX_DEPTH = 64;

/** Control characters, line separators, and the wildcards of LIST, which no client could address alone. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd%*]/;

/** What modified UTF-7 leaves as it is, without '.'. */
const PLAIN = /^[ -%'-\-/-~]*$/;

/** The canonical form of a path: Unicode NFC, "INBOX" in upper case as first part. Throws 'invalid-name'. */
export function parsePath(text: string): string {
  const path = text.normalize('NFC');
  if (!path.isWellFormed() || FORBIDDEN.test(path))
    throw refused('it has characters that no mailbox name may have');
  const parts = path.split('/');
  if (parts.length > MAX_DEPTH) throw refused('it has too many levels');
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    throw refused('a part of it is empty, "." or ".."');
  const [first = '', ...rest] = parts;
  const canonical = [/^inbox$/i.test(first) ? 'INBOX' : first, ...rest].join('/');
  if (canonical !== 'INBOX' && directoryOf(canonical).length > MAX_DIRECTORY_BYTES)
    throw refused('it is too long');
  return canonical;
}

/** The directory in the Maildir: '' for INBOX, else '.' and the parts in modified UTF-7, joined by '.'. */
export function directoryOf(path: string): string {
  if (path === 'INBOX') return '';
  return path
    .split('/')
    .map((part) => `.${encodePart(part)}`)
    .join('');
}

/** The path of a folder directory found on disk; undefined when it is none, or one that we could not address. */
export function pathOf(directory: string): string | undefined {
  if (directory === '') return 'INBOX';
  if (!directory.startsWith('.') || directory.length < 2) return undefined;
  const parts = directory
    .slice(1)
    .split('.')
    .map((part) => decodeModifiedUtf7(part, '.') ?? part);
  try {
    const path = parsePath(parts.join('/'));
    // A directory `.INBOX` would be a twin of the Maildir itself.
    return path === 'INBOX' || parts.some((part) => part.includes('/')) ? undefined : path;
  } catch {
    return undefined;
  }
}

/** '.' separates levels on disk: inside a name it is written as base64, which readers of modified UTF-7 understand. */
function encodePart(part: string): string {
  if (PLAIN.test(part)) return part;
  return part
    .split('.')
    .map((text) => encodeModifiedUtf7(text))
    .join(shifted('.'));
}

function refused(why: string): StoreError {
  return new StoreError('invalid-name', `This cannot be the name of a mailbox: ${why}`);
}
