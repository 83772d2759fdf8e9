import { existsSync, lstatSync, mkdirSync, readlinkSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreError } from '../../store.ts';
import { DIRECTORY_MODE, exists, syncDirectory, unlinkIfThere, writeDurably } from '../disk.ts';
import { removeIndex } from '../index.ts';

/**
 * How an adopted tree becomes an account's: it is staged as `Maildir.adopting` in the account's directory (a link to
 * where it lies, or the tree itself, renamed), and takes the place of `Maildir` in the thread that owns the account.
 */
const STAGED = 'Maildir.adopting';
/** In the account's directory: the tree is somebody else's for the time being. */
const RELEASED = 'released';

/** Durably: nobody opens the account any more, as two who give UIDs would give one twice. */
export function markReleased(directory: string): void {
  writeDurably(directory, RELEASED, 'released to Dovecot; "facteur adopt" takes it back\n');
}

export function isReleased(directory: string): boolean {
  return exists(`${directory}/${RELEASED}`);
}

/** Durably. `link`: the tree stays where it is. `move`: it is renamed. Throws 'invalid-name' on another file system. */
export function stage(directory: string, tree: string, mode: 'link' | 'move'): void {
  mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
  const staged = `${directory}/${STAGED}`;
  if (mode === 'link') {
    if (isLink(staged)) unlinkSync(staged);
    symlinkSync(tree, staged);
  } else if (!exists(staged)) {
    try {
      renameSync(tree, staged);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
      throw new StoreError(
        'invalid-name',
        'It lies on another file system and can only be linked there, not moved',
      );
    }
    syncDirectory(dirname(tree));
  }
  // Up to the data directory, where mail/ itself may be new.
  for (const path of [
    directory,
    dirname(directory),
    dirname(dirname(directory)),
    dirname(dirname(dirname(directory))),
  ])
    syncDirectory(path);
}

/** A tree that was moved there by an adoption that was stopped afterwards. */
export function stagedTree(directory: string): string | undefined {
  const staged = `${directory}/${STAGED}`;
  return existsSync(staged) && !isLink(staged) ? staged : undefined;
}

/** In the account's own thread, while it is closed. @param setAside takes the old tree away */
export function takePlace(directory: string, setAside: (path: string) => void): void {
  const staged = `${directory}/${STAGED}`;
  const maildir = `${directory}/Maildir`;
  if (exists(staged)) {
    if (lstatSync(maildir, { throwIfNoEntry: false })) setAside(maildir);
    removeIndex(`${directory}/index.sqlite`);
    renameSync(staged, maildir);
  } else if (isReleased(directory)) removeIndex(`${directory}/index.sqlite`);
  else throw new StoreError('not-found', 'There is no tree to adopt');
  syncDirectory(directory);
  if (unlinkIfThere(`${directory}/${RELEASED}`)) syncDirectory(directory);
}

/** Where a tree lies that stayed in its place; undefined when it lies in the data directory. */
export function linkedTree(directory: string): string | undefined {
  const maildir = `${directory}/Maildir`;
  return isLink(maildir) ? readlinkSync(maildir) : undefined;
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
