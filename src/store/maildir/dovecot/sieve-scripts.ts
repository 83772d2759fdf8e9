import {
  closeSync,
  copyFileSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  statSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { HASHED, scriptFileName } from '../../script-store.ts';
import { DIRECTORY_MODE, syncDirectory, writeDurably } from '../disk.ts';

/**
 * Sieve scripts as Pigeonhole keeps them: `.dovecot.sieve` is the active one, mostly a link into a directory `sieve/`
 * with one `<name>.sieve` a script; they lie in the account's home, beside the Maildir, or in it. They are copied, byte
 * for byte, to `sieve/` in the account's directory; `sieve/active` says the name of the active one.
 */

/** Larger ones are no scripts; Pigeonhole's own limit is 1 MB. */
const MAX_SCRIPT = 4 * 1024 * 1024;
/** An active script that is no link. */
const LONE = 'dovecot';

export interface SieveScripts {
  readonly scripts: readonly { readonly name: string; readonly file: string; readonly bytes: number }[];
  readonly active: string | null;
}

/** @param tree the Maildir */
export function findScripts(tree: string): SieveScripts {
  const scripts = new Map<string, SieveScripts['scripts'][number]>();
  let active: string | null = null;
  for (const home of [tree, dirname(tree)]) {
    for (const name of namesIn(`${home}/sieve`))
      if (name.endsWith('.sieve')) add(scripts, name.slice(0, -'.sieve'.length), `${home}/sieve/${name}`);
    const lone = `${home}/.dovecot.sieve`;
    if (active !== null || !statSync(lone, { throwIfNoEntry: false })?.isFile()) continue;
    const target = basename(linkTarget(lone) ?? '', '.sieve');
    active = scripts.has(target) ? target : LONE;
    if (active === LONE) add(scripts, LONE, lone);
  }
  return { scripts: [...scripts.values()], active };
}

export function copyScripts({ scripts, active }: SieveScripts, to: string): void {
  if (scripts.length === 0) return;
  mkdirSync(to, { recursive: true, mode: DIRECTORY_MODE });
  for (const { name, file } of scripts) {
    const own = scriptFileName(name);
    if (own.startsWith(HASHED)) writeDurably(to, `${own}.name`, name);
    copyDurably(file, `${to}/${own}.sieve`);
  }
  if (active !== null) writeDurably(to, 'active', `${active}\n`);
  syncDirectory(dirname(to));
}

function copyDurably(from: string, to: string): void {
  copyFileSync(from, `${to}.new`);
  const fd = openSync(`${to}.new`, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${to}.new`, to);
}

function add(scripts: Map<string, SieveScripts['scripts'][number]>, name: string, file: string): void {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > MAX_SCRIPT || scripts.has(name)) return;
  scripts.set(name, { name, file, bytes: stats.size });
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // A file of its own.
    return undefined;
  }
}

function namesIn(directory: string): string[] {
  return statSync(directory, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(directory).sort() : [];
}
