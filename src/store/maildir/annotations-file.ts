import { closeSync, fstatSync, readSync } from 'node:fs';
import { type Annotations, MAX_ANNOTATIONS_SIZE } from '../annotations.ts';
import { StoreError } from '../store.ts';
import { isMissing, NotRegular, openRegular, syncDirectory, unlinkIfThere, writeDurably } from './disk.ts';

/**
 * `facteur-annotations`, in each folder that has some, and `facteur-account-annotations` in the Maildir, for those of the
 * account: what was noted with SETMETADATA (RFC 5464). Lines of text:
 *
 *     facteur-annotations 1         format and its version
 *     <name> <value>                /private/comment TXkgY29tbWVudA==
 *     end
 *
 * In a name, what is no visible ASCII is %XX (a name has no '%' of its own, RFC 5464 3.2); the value is base64, `-` when
 * it is empty. `/private/` entries are the owner's. Written durably as a whole: a power cut leaves the old file or the new
 * one. It goes with its folder's directory when that is renamed or removed. Lines that cannot be read count as none.
 */
export const FOLDER_ANNOTATIONS = 'facteur-annotations';
export const ACCOUNT_ANNOTATIONS = 'facteur-account-annotations';

const HEADER = 'facteur-annotations 1';
/** So much of a file is read; no file of ours is longer, with all of its names escaped. */
const MAX_FILE: number = 4 * MAX_ANNOTATIONS_SIZE;

export function readAnnotations(directory: string, file: string): Annotations {
  let fd: number;
  try {
    // Never through a link: it could lead to another account's.
    fd = openRegular(`${directory}/${file}`);
  } catch (error) {
    if (isMissing(error) || error instanceof NotRegular) return new Map();
    throw error;
  }
  try {
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(fd).size, MAX_FILE));
    return parseAnnotations(buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0)));
  } finally {
    closeSync(fd);
  }
}

export function parseAnnotations(text: string): Annotations {
  const found = new Map<string, string>();
  const [header = '', ...lines] = text.split('\n');
  if (header !== HEADER && /^facteur-annotations \d+$/.test(header))
    throw new StoreError('read-only', 'The mail was written by a newer version of this program');
  for (const line of lines) {
    const match = /^(\/(?:[\x21-\x24\x26-\x7e]|%[0-7][0-9A-F])+) (-|[A-Za-z0-9+/]+={0,2})$/.exec(line);
    if (!match) continue;
    const [, name = '', value = ''] = match;
    const bytes = value === '-' ? '' : Buffer.from(value, 'base64').toString('latin1');
    found.set(decodeURIComponent(name), bytes);
  }
  return found;
}

/** Afterwards they are durable; without any the file goes. */
export function writeAnnotations(directory: string, file: string, annotations: Annotations): void {
  if (annotations.size > 0) {
    writeDurably(directory, file, formatAnnotations(annotations));
    return;
  }
  if (unlinkIfThere(`${directory}/${file}`)) syncDirectory(directory);
}

export function formatAnnotations(annotations: Annotations): string {
  const lines = [...annotations].map(([name, value]) => {
    const base64 = Buffer.from(value, 'latin1').toString('base64');
    return `${name.replace(/[^\x21-\x24\x26-\x7e]/g, escaped)} ${base64 === '' ? '-' : base64}\n`;
  });
  return `${HEADER}\n${lines.join('')}end\n`;
}

function escaped(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}
