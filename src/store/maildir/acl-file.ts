import { closeSync, fstatSync, readSync } from 'node:fs';
import { type Acl, MAX_ACL_ENTRIES, MAX_IDENTIFIER, parseRights, plainRights, type Rights } from '../acl.ts';
import {
  codeOf,
  isMissing,
  isTaken,
  moveAside,
  openRegular,
  syncDirectory,
  unlinkIfThere,
  writeDurably,
} from './disk.ts';

/**
 * `facteur-acl`, in each folder that has a list: who may do what with it (RFC 4314). Lines of text:
 *
 *     facteur-acl 1                 format and its version
 *     <identifier> <rights>         bob%40example.org lrs
 *     end
 *
 * In an identifier, what is no letter, digit or one of -_.!~*'() is %XX of its UTF-8; `-` before it takes rights away.
 * Written durably as a whole: a power cut leaves the old file or the new one. It goes with its folder's directory when
 * that is renamed or removed, and a new folder gets that of its parent. A list that cannot be read to its end grants
 * nothing to anybody but the owner.
 */
export const ACL_FILE = 'facteur-acl';

const FORMAT = 'facteur-acl';
const HEADER = `${FORMAT} 1`;
/** So much of a file is read; no file of ours is longer, with all of its identifiers escaped. */
const MAX_FILE: number = MAX_ACL_ENTRIES * (3 * MAX_IDENTIFIER + 20) + 100;

export type Read =
  | { readonly is: 'list'; readonly acl: Acl }
  | { readonly is: 'damaged' | 'of a newer version'; readonly why: string };

/** Never through a link: it could lead to another account's list. Throws nothing. */
export function readAcl(directory: string): Read {
  const path = `${directory}/${ACL_FILE}`;
  let fd: number;
  try {
    // Nearly no folder has one, and to be told so costs less than an error.
    if (!isTaken(path)) return { is: 'list', acl: new Map() };
    fd = openRegular(path);
  } catch (error) {
    if (isMissing(error)) return { is: 'list', acl: new Map() };
    return { is: 'damaged', why: codeOf(error) ?? 'it is no file' };
  }
  try {
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(fd).size, MAX_FILE));
    return parseAcl(buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0)));
  } catch (error) {
    return { is: 'damaged', why: codeOf(error) ?? 'it cannot be read' };
  } finally {
    closeSync(fd);
  }
}

export function parseAcl(text: string): Read {
  const [header = '', ...lines] = text.split('\n');
  if (header !== HEADER)
    return /^facteur-acl \d{1,9}$/.test(header)
      ? { is: 'of a newer version', why: 'it was written by a newer version of this program' }
      : { is: 'damaged', why: 'it does not begin as a list does' };
  const end = lines.indexOf('end');
  if (end < 0) return { is: 'damaged', why: 'its end is missing' };
  const acl = new Map<string, Rights>();
  for (const line of lines.slice(0, end)) {
    const [, name = '', letters = ''] = /^([A-Za-z0-9\-_.!~*'()%]+) ([a-z]+)$/.exec(line) ?? [];
    const identifier = decoded(name);
    const rights = parseRights(letters);
    if (identifier === undefined || !rights || rights.size === 0 || acl.has(identifier))
      return { is: 'damaged', why: 'a line in it is no entry' };
    acl.set(identifier, rights);
  }
  return { is: 'list', acl };
}

export function formatAcl(acl: Acl): string {
  const lines = [...acl].map(
    ([identifier, rights]) => `${encodeURIComponent(identifier)} ${plainRights(rights)}\n`,
  );
  return `${HEADER}\n${lines.join('')}end\n`;
}

/** Afterwards it is durable; without entries the file goes. */
export function writeAcl(directory: string, acl: Acl): void {
  if (acl.size > 0) {
    writeDurably(directory, ACL_FILE, formatAcl(acl));
    return;
  }
  if (unlinkIfThere(`${directory}/${ACL_FILE}`)) syncDirectory(directory);
}

/** What could not be read stays beside the new list. Between the two there is none, which grants as little. */
export function setDamagedAside(directory: string): void {
  moveAside(`${directory}/${ACL_FILE}`);
}

function decoded(name: string): string | undefined {
  if (name === '') return undefined;
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}
