import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { isDiskFull } from '../../lib/sqlite.ts';
import { StoreError } from '../store.ts';

/** The few steps on files from which the Maildir is built; synchronous, because the store lives in a worker thread. */

export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

/** Turns what the disk says into what the store says; anything else stays as it is. */
export function toStoreError(error: unknown): unknown {
  if (error instanceof StoreError || !isDiskFull(error)) return error;
  return new StoreError('disk-full', 'There is no room on the disk', error);
}

/** undefined when there is no such file; what is a pipe or a directory by that name counts as none. */
export function readOptional(path: string): Buffer | undefined {
  try {
    const fd = openRegular(path, 'links');
    try {
      return readFileSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isMissing(error) || error instanceof NotRegular) return undefined;
    throw error;
  }
}

/** A name that should be a file's, and is something else's. */
export class NotRegular extends Error {
  override readonly name = 'NotRegular';
}

/**
 * Opens a file for reading; never a pipe, at which a thread would wait for ever. A message is never a link either:
 * it would lead out of the tree, to what its owner may not read. Throws `NotRegular`.
 */
export function openRegular(path: string, follow: 'no links' | 'links' = 'no links'): number {
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (follow === 'links' ? 0 : constants.O_NOFOLLOW);
  let fd: number;
  try {
    fd = openSync(path, flags);
  } catch (error) {
    // A link; a socket.
    if (['ELOOP', 'ENXIO'].includes(codeOf(error) ?? '')) throw new NotRegular(path, { cause: error });
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new NotRegular(path);
}

/** All of it. Throws `NotRegular`. */
export function readRegular(path: string): Buffer {
  const fd = openRegular(path);
  try {
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Gives another name to a directory that is in the way: nobody knows what somebody keeps in it. */
export function moveAside(path: string): void {
  for (let attempt = 1; ; attempt++) {
    const aside = `${path}.aside-${attempt}`;
    if (exists(aside)) continue;
    renameSync(path, aside);
    return;
  }
}

export function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Whatever it is, a link to nowhere too. */
export function isTaken(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Also true of what a link leads to. */
export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

export function writeAll(fd: number, bytes: Uint8Array): void {
  let at = 0;
  // A short write comes before ENOSPC: the next one tells.
  while (at < bytes.length) at += writeSync(fd, bytes, at, bytes.length - at);
}

/** Files written or synced between two yields. */
const TOGETHER = 8;

/** Replaces a small file: afterwards a power cut leaves the new one, before it the old one. */
export function writeDurably(directory: string, name: string, text: string): void {
  const temporary = `${directory}/${name}.new`;
  try {
    const fd = openNew(temporary);
    try {
      writeAll(fd, Buffer.from(text));
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (isDirectory(`${directory}/${name}`)) moveAside(`${directory}/${name}`);
    renameSync(temporary, `${directory}/${name}`);
    syncDirectory(directory);
  } catch (error) {
    unlinkIfThere(temporary);
    throw toStoreError(error);
  }
}

/**
 * The same for files of one name in several directories, whose syncs share the commits of the file system's journal.
 * @returns why some could not be written, by directory
 */
export function* writingDurably(
  name: string,
  files: readonly { readonly directory: string; readonly text: string }[],
): Generator<null, ReadonlyMap<string, unknown>> {
  const failed = new Map<string, unknown>();
  function* each(step: (temporary: string, directory: string, text: string) => void): Generator<null, void> {
    for (const [at, { directory, text }] of files.entries()) {
      if (at % TOGETHER === 0) yield null;
      if (failed.has(directory)) continue;
      const temporary = `${directory}/${name}.new`;
      try {
        step(temporary, directory, text);
      } catch (error) {
        failed.set(directory, toStoreError(error));
        discard(temporary);
      }
    }
  }
  yield* each((temporary, _, text) => {
    const fd = openNew(temporary);
    try {
      // See deliver.ts for what it is good for.
      ftruncateSync(fd, 0);
      writeAll(fd, Buffer.from(text));
    } finally {
      closeSync(fd);
    }
  });
  yield* each((temporary) => syncFile(temporary));
  yield* each((temporary, directory) => {
    if (isDirectory(`${directory}/${name}`)) moveAside(`${directory}/${name}`);
    renameSync(temporary, `${directory}/${name}`);
  });
  yield* each((_, directory) => syncDirectory(directory));
  return failed;
}

/** A directory that refuses a file may refuse its removal as well. */
function discard(temporary: string): void {
  try {
    unlinkIfThere(temporary);
  } catch {
    // It lies in nobody's way.
  }
}

/** Never what lies there already: a link would have us write somewhere else, a pipe wait for a reader. */
function openNew(path: string): number {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  try {
    return openSync(path, flags, FILE_MODE);
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    if (isDirectory(path)) moveAside(path);
    else unlinkIfThere(path);
    return openSync(path, flags, FILE_MODE);
  }
}

/** A new file whose sync comes later, with those of others; see deliver.ts for what ftruncate is good for. */
export function writeSoon(path: string, text: string): void {
  const fd = openSync(path, 'w', FILE_MODE);
  try {
    ftruncateSync(fd, 0);
    writeAll(fd, Buffer.from(text));
  } finally {
    closeSync(fd);
  }
}

export function syncFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes created, renamed and removed names in a directory survive a power cut. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The same while the thread has something else to do; rejects with the first that fails. */
export async function syncDirectories(paths: readonly string[]): Promise<void> {
  const one = (path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const fd = openSync(path, 'r');
      fsync(fd, (error) => {
        closeSync(fd);
        if (error) reject(error);
        else resolve();
      });
    });
  await Promise.all(paths.map(one));
}

/** False when it is not there. */
export function unlinkIfThere(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** False when it is not there. */
export function renameIfThere(from: string | Buffer, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * A second name for a file's bytes: a link, or a durable copy where the file system refuses (another file system, too
 * many links, one that knows none).
 * @param temporary where a copy is made before it appears
 */
export function linkOrCopy(from: string, to: string, temporary: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!refusesLinks(error)) throw error;
    copyFileSync(from, temporary, constants.COPYFILE_EXCL);
    try {
      const { mtimeMs } = statSync(from);
      const fd = openSync(temporary, 'r+');
      try {
        futimesSync(fd, mtimeMs / 1000, mtimeMs / 1000);
        fdatasyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(temporary, to);
    } catch (failure) {
      unlinkIfThere(temporary);
      throw failure;
    }
  }
}

/**
 * From tmp/ into new/ as on NFS: by a second name, and then without the first. It never replaces a file, and a link that
 * was made while its answer was lost is known by the file having two names. What stays in tmp/ after a crash is a name.
 */
export function linkIntoPlace(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (refusesLinks(error)) {
      renameSync(from, to);
      return;
    }
    const here = codeOf(error) === 'EEXIST' ? statSync(to, { throwIfNoEntry: false }) : undefined;
    if (!here || here.ino !== statSync(from).ino) throw error;
  }
  unlinkIfThere(from);
}

export function refusesLinks(error: unknown): boolean {
  const codes = ['EXDEV', 'EMLINK', 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];
  return codes.includes(codeOf(error) ?? '');
}

/** When a directory last changed, ms; 0 when it is not there. */
export function changedAt(directory: string): number {
  return statSync(directory, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Also true of what cannot be looked at. */
export function mayExist(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

export function exists(path: string): boolean {
  return existsSync(path);
}
