import { statSync } from 'node:fs';
import { isCorruption, openSqlite, type Sqlite, type Statement } from '../../lib/sqlite.ts';
import { StoreError } from '../store.ts';
import { exists, unlinkIfThere } from './disk.ts';

/**
 * The index of one account: a SQLite file beside its Maildir. Everything in it can be made again from the tree except
 * what is only a matter of hours (flag changes whose file names have not followed yet), which is why those commits wait
 * for the disk and all others do not. A newer schema is refused, an older one migrated in place, a damaged file thrown
 * away by whoever opened it (`openIndex` says so).
 */

/** Row ids are `folder * SPAN + uid`: a folder's messages lie together, in UID order, under the table's own key. */
export const SPAN: number = 2 ** 32;

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE folders (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mailbox TEXT NOT NULL UNIQUE,
    dir TEXT NOT NULL UNIQUE,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    uid_mark INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    modseq_mark INTEGER NOT NULL,
    special_use TEXT,
    keywords TEXT NOT NULL,
    total INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    size INTEGER NOT NULL,
    first_recent INTEGER NOT NULL,
    vanished_floor INTEGER NOT NULL,
    new_time REAL NOT NULL,
    cur_time REAL NOT NULL,
    certain INTEGER NOT NULL
  );
  -- id: folder and uid. place: 0 new/, 1 cur/. info: the letters on disk. lf: has bare LFs, is converted when read.
  CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    saved_date INTEGER NOT NULL,
    size INTEGER NOT NULL,
    email_high INTEGER NOT NULL,
    email_low INTEGER NOT NULL,
    place INTEGER NOT NULL,
    lf INTEGER NOT NULL,
    info TEXT,
    base TEXT NOT NULL
  );
  CREATE INDEX fresh ON messages (id) WHERE place = 0;
  -- Messages whose file name has still to follow. cur: it leaves new/ even without flags.
  CREATE TABLE pending (id INTEGER PRIMARY KEY, cur INTEGER NOT NULL);
  CREATE TABLE tombstones (id INTEGER PRIMARY KEY, modseq INTEGER NOT NULL);
  -- Files of expunged messages that have still to go.
  CREATE TABLE removals (id INTEGER PRIMARY KEY, base TEXT NOT NULL, place INTEGER NOT NULL, info TEXT);
  -- torn: a power cut left the file incomplete; the same key replaces it.
  CREATE TABLE deliveries (key TEXT PRIMARY KEY, id INTEGER NOT NULL, at INTEGER NOT NULL, torn INTEGER NOT NULL)
    WITHOUT ROWID;
  -- Copies and moves of several messages under way.
  CREATE TABLE intents (number INTEGER PRIMARY KEY, plan TEXT NOT NULL);
  CREATE TABLE summaries (
    id INTEGER PRIMARY KEY,
    sent INTEGER,
    envelope TEXT NOT NULL,
    body TEXT NOT NULL,
    body_structure TEXT NOT NULL,
    part TEXT NOT NULL
  );
  CREATE TABLE headers (id INTEGER PRIMARY KEY, header BLOB NOT NULL);
  INSERT INTO meta VALUES ('clean', 0), ('tmp_cleaned', 0);
  `,
];

/** A negative number of KB: what one account's index may keep in memory. */
const CACHE = -1024;

export class Index {
  readonly path: string;
  readonly #db: Sqlite;
  readonly #inode: number;
  readonly #statements = new Map<string, Statement>();
  /** False once this process has changed something: then a crash may lose commits. */
  #clean: boolean;

  constructor(path: string, db: Sqlite) {
    this.path = path;
    this.#db = db;
    this.#inode = statSync(path).ino;
    this.#clean = this.meta('clean') === 1;
  }

  get clean(): boolean {
    return this.#clean;
  }

  /** A statement is compiled once; rows come as arrays. */
  prepare<Row = unknown[]>(sql: string): Statement<unknown[], Row> {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      if (statement.reader) statement.raw(true);
      this.#statements.set(sql, statement);
    }
    return statement as Statement<unknown[], Row>;
  }

  /** Before anything changes, on disk or here: from now on only a scan tells what a crash left. */
  markUnclean(): void {
    if (!this.#clean) return;
    this.#clean = false;
    this.transaction('wait', () => this.setMeta('clean', 0));
  }

  /** `wait`: committed only when a power cut can no longer take it. */
  transaction<T>(durability: 'wait' | 'later', work: () => T): T {
    this.markUnclean();
    if (durability === 'wait') this.#db.exec('PRAGMA synchronous = FULL');
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#db.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    } finally {
      if (durability === 'wait') this.#db.exec('PRAGMA synchronous = NORMAL');
    }
  }

  meta(name: string): number {
    return this.prepare<[number]>('SELECT value FROM meta WHERE name = ?').get(name)?.[0] ?? 0;
  }

  setMeta(name: string, value: number): void {
    this.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value').run(
      name,
      value,
    );
  }

  /** False when somebody deleted or replaced the file under us: what we write goes nowhere. */
  isInPlace(): boolean {
    return statSync(this.path, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  /** SQLite's own opinion of the file; empty when it is sound. */
  integrity(): readonly string[] {
    const rows = this.#db.pragma('integrity_check') as readonly { readonly integrity_check: string }[];
    return rows.map((row) => row.integrity_check).filter((text) => text !== 'ok');
  }

  /** `clean`: everything is committed and every file name is right; the next start trusts it without a scan. */
  close(state: 'clean' | 'unclean'): void {
    if (state === 'clean' && !this.#clean) this.transaction('wait', () => this.setMeta('clean', 1));
    this.#statements.clear();
    this.#db.close();
  }
}

/**
 * `isNew`: the file was not there. Throws 'read-only' for a newer schema, and what `isCorruption` recognises when the
 * file is damaged.
 */
export function openIndex(path: string): { readonly index: Index; readonly isNew: boolean } {
  const isNew = !exists(path);
  const db = openSqlite(path, { durability: 'normal' });
  try {
    db.pragma(`cache_size = ${CACHE}`);
    migrate(db);
    return { index: new Index(path, db), isNew };
  } catch (error) {
    db.close();
    throw error;
  }
}

export function removeIndex(path: string): void {
  for (const suffix of ['', '-wal', '-shm']) unlinkIfThere(path + suffix);
}

/** Also what an index cut off in the middle of its creation looks like. */
export function isDamaged(error: unknown): boolean {
  const missing = error instanceof Error && /no such (table|column)/.test(error.message);
  return missing || isCorruption(error);
}

function migrate(db: Sqlite): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  if (version > MIGRATIONS.length)
    throw new StoreError('read-only', 'The mail index was written by a newer version of this program');
  for (let next = version; next < MIGRATIONS.length; next++) {
    db.transaction(() => {
      db.exec(MIGRATIONS[next] ?? '');
      db.pragma(`user_version = ${next + 1}`);
    })();
  }
}
