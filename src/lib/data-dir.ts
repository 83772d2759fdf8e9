import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { holdLock, isDiskFull } from './sqlite.ts';

/** The layout of what lies in the data directory; raised when an older Facteur could not read it any more. */
const VERSION = 1;

/** The data directory cannot be used; `message` says what to do about it. */
export class DataDirError extends Error {
  override readonly name = 'DataDirError';
}

/**
 * Makes the data directory where it is missing and takes it for this process alone. Throws DataDirError when another
 * process has it, when it cannot be written, or when a newer Facteur made it.
 * @returns how to give it back.
 */
export function claimDataDir(dir: string): () => void {
  prepareDataDir(dir);
  let release: (() => void) | undefined;
  try {
    release = holdLock(join(dir, 'lock'));
  } catch (error) {
    throw new DataDirError(`cannot write in the data directory ${dir}: ${reason(error)}. ${advice(error)}`, {
      cause: error,
    });
  }
  if (!release)
    throw new DataDirError(
      `the data directory ${dir} is in use by another facteur${runningPid(dir)}; stop that one first`,
    );
  try {
    checkVersion(dir);
    notePid(dir);
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

/** Only for the message that another process is running: on a full disk it goes without. */
function notePid(dir: string): void {
  try {
    writeFileSync(join(dir, 'pid'), `${process.pid}\n`);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  }
}

/** Makes the data directory where it is missing. Throws DataDirError. */
export function prepareDataDir(dir: string): void {
  try {
    // Mail is private: nobody but this user and its group even lists it.
    mkdirSync(dir, { recursive: true, mode: 0o750 });
  } catch (error) {
    throw new DataDirError(`cannot use the data directory ${dir}: ${reason(error)}`, { cause: error });
  }
}

/** What a failure to use something in the data directory `dir` means for the admin; undefined when it is another error. */
export function asDataDirError(dir: string, error: unknown): DataDirError | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^(EACCES|EPERM|EROFS|ENOSPC|SQLITE_(CANTOPEN|READONLY|FULL|PERM))/.test(code)) return undefined;
  return new DataDirError(`cannot write in the data directory ${dir}: ${reason(error)}. ${advice(error)}`, {
    cause: error,
  });
}

/** Whether a process holds the data directory now. */
export function isClaimed(dir: string): boolean {
  let release: (() => void) | undefined;
  try {
    release = holdLock(join(dir, 'lock'));
  } catch {
    return false;
  }
  release?.();
  return release === undefined;
}

function checkVersion(dir: string): void {
  const file = join(dir, 'version');
  let text: string | undefined;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  if (text === undefined) {
    writeFileSync(file, `${VERSION}\n`);
    return;
  }
  const found = Number(text);
  if (found !== VERSION)
    throw new DataDirError(
      `the data directory ${dir} has version ${text.trim()}, this facteur knows version ${VERSION}; ` +
        'run the facteur that wrote it, or a newer one',
    );
}

function runningPid(dir: string): string {
  try {
    return ` (process ${Number(readFileSync(join(dir, 'pid'), 'utf8'))})`;
  } catch {
    return '';
  }
}

function advice(error: unknown): string {
  if (isDiskFull(error)) return 'Make room on it first.';
  return 'Run facteur as the user who owns it.';
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (isDiskFull(error)) return 'the disk is full';
  if (code === 'EACCES' || code === 'EPERM' || code === 'SQLITE_READONLY') return 'permission denied';
  if (code === 'EROFS') return 'the file system is read-only';
  if (code === 'ENOTDIR' || code === 'EEXIST') return 'a file is in the way';
  return error instanceof Error ? error.message : String(error);
}
