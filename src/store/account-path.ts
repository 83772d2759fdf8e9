import { createHash } from 'node:crypto';
import type { AccountId } from '../directory/directory.ts';

/**
 * Where an account's mail lies below the data directory: `mail/<domain>/<local>`. Each part is one safe path component
 * whatever the address holds: letters, digits and `+-=_` stand for themselves, '.' too except in front, all other
 * bytes of its UTF-8 are `%XX`. Different accounts never share a directory.
 */

/** Below NAME_MAX (255), so that suffixes of our own fit. */
const MAX_COMPONENT = 200;

export function accountDirectory(id: AccountId): string {
  const at = id.lastIndexOf('@');
  const domain = at < 0 ? '' : id.slice(at + 1);
  const local = at < 0 ? id : id.slice(0, at);
  return `mail/${pathComponent(domain)}/${pathComponent(local)}`;
}

/** The account of a directory; undefined for what is none, and for names so long that only their hash is there. */
export function accountOf(domain: string, local: string): AccountId | undefined {
  const [above, below] = [decode(domain), decode(local)];
  if (above === undefined || below === undefined) return undefined;
  const id = (above === '' ? below : `${below}@${above}`) as AccountId;
  return accountDirectory(id) === `mail/${domain}/${local}` ? id : undefined;
}

function decode(name: string): string | undefined {
  if (name === '%') return '';
  try {
    return decodeURIComponent(name);
  } catch {
    return undefined;
  }
}

/** Any text as one; different texts never as the same. */
export function pathComponent(text: string): string {
  const safe = [...Buffer.from(text)]
    .map((byte, index) => {
      const character = String.fromCharCode(byte);
      const plain = /[A-Za-z0-9+=_-]/.test(character) || (character === '.' && index > 0);
      return plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
  if (safe === '') return '%';
  if (safe.length <= MAX_COMPONENT) return safe;
  return `${safe.slice(0, 100)}%~${createHash('sha256').update(text).digest('hex')}`;
}
