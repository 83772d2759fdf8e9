import Database, { type Database as Handle } from 'better-sqlite3';

export type Sqlite = Handle;
export type { Statement } from 'better-sqlite3';

export interface SqliteOptions {
  /**
   * `full`: a commit survives a power cut. `normal`: a power cut may take the last commits but never the
   * consistency (WAL); only for what can be rebuilt.
   */
  readonly durability: 'full' | 'normal';
  readonly readonly?: boolean;
}

/**
 * Opens a SQLite file in WAL mode. The one door to better-sqlite3: its build defaults to synchronous=NORMAL in
 * WAL mode, so every caller says which durability it needs.
 */
export function openSqlite(path: string, options: SqliteOptions): Sqlite {
  const db = new Database(path, { timeout: 10_000, readonly: options.readonly ?? false });
  if (!options.readonly) db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${options.durability === 'full' ? 'FULL' : 'NORMAL'}`);
  db.pragma('foreign_keys = ON');
  return db;
}

/** True for errors that say the file itself is damaged or not a database. */
export function isCorruption(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB';
}

/** True when the disk (or the quota of the file system) is full. */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT';
}

/**
 * Holds an exclusive lock on `path` until the returned function is called or the process ends, however it ends: the
 * kernel gives it back, so no stale lock is ever left. Node has no flock(2); SQLite's own lock serves.
 * @returns undefined when another process has it.
 */
export function holdLock(path: string): (() => void) | undefined {
  const db = new Database(path, { timeout: 0 });
  try {
    db.pragma('journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY'))
      return undefined;
    throw error;
  }
  return () => db.close();
}
