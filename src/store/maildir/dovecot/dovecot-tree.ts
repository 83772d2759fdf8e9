import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { pathOf } from '../../mailbox-path.ts';
import { exists } from '../disk.ts';

/**
 * What lies at a path: a Maildir++ tree (Dovecot's default: folders are `.Sent`, `.Archive.2024` beside INBOX's cur/),
 * one in LAYOUT=fs (folders are `Sent/`, `Archive/2024/`), another of Dovecot's formats, or none of these.
 */
export type Layout = 'maildir++' | 'fs' | 'dbox' | 'file' | 'missing' | 'none';

export interface DovecotFolder {
  /** In the tree: '' is INBOX. */
  readonly dir: string;
  /** As clients see it. */
  readonly path: string;
  readonly directory: string;
  /** Where its dovecot-uidlist and dovecot-keywords lie: `CONTROL=` of mail_location moves them. */
  readonly control: string;
}

export interface DovecotTree {
  readonly folders: readonly DovecotFolder[];
  /** Directories with mail in them whose names cannot be those of a mailbox here, or are another one's in other spelling. */
  readonly nameless: readonly string[];
}

/** Folders of LAYOUT=fs are looked for so deep; one is enough to know it. */
const FS_DEPTH = 3;

export function layoutOf(path: string): Layout {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) return 'missing';
  if (!stats.isDirectory()) return 'file';
  if (exists(`${path}/mailboxes`) || exists(`${path}/storage`)) return 'dbox';
  if (hasFsFolder(path, FS_DEPTH)) return 'fs';
  return isFolder(path) ? 'maildir++' : 'none';
}

export function dovecotTree(path: string, control: string): DovecotTree {
  const folders: DovecotFolder[] = [{ dir: '', path: 'INBOX', directory: path, control }];
  const nameless: string[] = [];
  const taken = new Set(['INBOX']);
  // The same order in which the store takes folders: of two spellings of a name the first one counts.
  for (const dir of readdirSync(path).sort()) {
    if (!dir.startsWith('.') || dir === '.' || dir === '..' || dir.startsWith('..facteur-')) continue;
    const directory = `${path}/${dir}`;
    if (!isFolder(directory)) continue;
    const name = pathOf(dir);
    if (name === undefined || taken.has(name)) {
      nameless.push(dir);
      continue;
    }
    taken.add(name);
    folders.push({ dir, path: name, directory, control: control === path ? directory : `${control}/${dir}` });
  }
  return { folders, nameless };
}

function isFolder(directory: string): boolean {
  return statSync(`${directory}/cur`, { throwIfNoEntry: false })?.isDirectory() === true;
}

function hasFsFolder(path: string, depth: number): boolean {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const { name } = entry;
    if (name.startsWith('.') || ['cur', 'new', 'tmp'].includes(name) || !entry.isDirectory()) continue;
    if (isFolder(`${path}/${name}`) || (depth > 1 && hasFsFolder(`${path}/${name}`, depth - 1))) return true;
  }
  return false;
}

/** A program that works in the tree now. */
export interface OpenBy {
  readonly pid: number;
  readonly command: string;
}

/** Other processes that have files below `path` open, as far as the system lets us see. `proc` is where it tells. */
export function openBy(path: string, self: number, proc = '/proc'): OpenBy[] {
  const found: OpenBy[] = [];
  for (const pid of namesIn(proc)) {
    if (!/^\d+$/.test(pid) || Number(pid) === self) continue;
    const holds = namesIn(`${proc}/${pid}/fd`).some((fd) =>
      linkOf(`${proc}/${pid}/fd/${fd}`).startsWith(`${path}/`),
    );
    if (holds) found.push({ pid: Number(pid), command: linkOf(`${proc}/${pid}/exe`) });
  }
  return found;
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Gone meanwhile, somebody else's, or a system without it.
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
