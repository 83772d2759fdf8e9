import { hash } from 'node:crypto';
import { MAX_DEPTH, parsePath } from '../store/mailbox-path.ts';
import type { SpecialUse } from '../store/store.ts';
import type { Place } from './account.ts';
import type { SourceFolder } from './source.ts';

/**
 * Which mailbox a folder of a source becomes: the same path, unless the account has another one for that use
 * ("Gesendet" goes to "Sent", RFC 6154). What cannot stand in a name becomes `_`; names that become the same get `~2`.
 */
export interface Placing {
  /** Everything goes below it; a source that is one folder goes into it. */
  readonly into: string | null;
  /** `path`: never into another name. */
  readonly uses: 'map' | 'path';
}

/** A part of a name that is too long is cut here. */
const CUT = 40;

export function placeFolders(
  folders: readonly SourceFolder[],
  places: readonly Place[],
  { into, uses }: Placing,
): Map<SourceFolder, string> {
  const result = new Map<SourceFolder, string>();
  const taken = new Set<string>();
  for (const folder of folders) {
    const mapped = uses === 'map' && into === null && placeFor(folder.specialUse, places);
    const path = mapped || pathOf(folder.path, into);
    const free = mapped ? path : freeName(path, taken);
    taken.add(free);
    result.set(folder, free);
  }
  return result;
}

/** Views are not folders to keep mail in. */
function placeFor(use: SpecialUse | null, places: readonly Place[]): string | undefined {
  if (use === null || use === 'all' || use === 'flagged') return undefined;
  return places.find(({ specialUse, selectable }) => specialUse === use && selectable)?.path;
}

function pathOf(levels: readonly string[], into: string | null): string {
  const top = into === null ? [] : into.split('/');
  if (levels.length === 0) return into === null ? 'INBOX' : parsePath(into);
  const parts = [...top, ...levels.map(clean)];
  if (parts.length > MAX_DEPTH)
    parts.splice(MAX_DEPTH - 1, parts.length, parts.slice(MAX_DEPTH - 1).join('_'));
  try {
    return parsePath(parts.join('/'));
  } catch {
    const short = parts.map((part) => (part.length <= CUT ? part : cut(part)));
    try {
      return parsePath(short.join('/'));
    } catch {
      return parsePath([...top, cut(parts.join('_'))].join('/'));
    }
  }
}

function clean(part: string): string {
  const text = part
    .normalize('NFC')
    .toWellFormed()
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufffd%*/]/g, '_');
  return text === '' || text === '.' || text === '..' ? text.replaceAll('.', '_') || '_' : text;
}

function cut(part: string): string {
  return `${part
    .slice(0, CUT / 2)
    .toWellFormed()
    .replaceAll('\ufffd', '_')}~${hash('sha256', part, 'hex').slice(0, 8)}`;
}

function freeName(path: string, taken: ReadonlySet<string>): string {
  if (!taken.has(path)) return path;
  for (let count = 2; ; count++) if (!taken.has(`${path}~${count}`)) return `${path}~${count}`;
}
