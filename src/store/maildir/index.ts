import { closeSync, fdatasync, openSync, statSync } from 'node:fs';
import { isCorruption, openSqlite, type Sqlite, type Statement } from '../../lib/sqlite.ts';
import { StoreError } from '../store.ts';
import { exists, isDirectory, moveAside, unlinkIfThere } from './disk.ts';
import { finish, type Steps } from './turns.ts';

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
  // 2: what SEARCH, SORT and THREAD ask, made behind the delivery (indexer.ts); a message without a row in keys has
  // still to be read.
  `
  -- doc: row in the full text, shared by copies. state: 0 all of it is there, 1 its text was cut off, 2 it could not be
  -- read. date: the Date field in UTC, else the internal date; sent: as it reads. subject: number in subjects, negative
  -- for replies and forwards. node: its Message-ID; refs: those before it, oldest first, numbers in nodes.
  CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    doc INTEGER NOT NULL,
    state INTEGER NOT NULL,
    date INTEGER NOT NULL,
    sent INTEGER,
    subject INTEGER NOT NULL,
    node INTEGER NOT NULL,
    thread INTEGER NOT NULL,
    refs TEXT
  );
  CREATE INDEX docs ON keys (doc);
  CREATE INDEX incomplete ON keys (id) WHERE state <> 0;
  -- What SORT compares, folded and cut.
  CREATE TABLE sort_keys (
    id INTEGER PRIMARY KEY,
    subject TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    cc TEXT NOT NULL,
    display_from TEXT NOT NULL,
    display_to TEXT NOT NULL
  );
  -- hash: of a Message-ID, of a base subject. thread: the first it was seen in; of a subject, its latest original's.
  CREATE TABLE nodes (number INTEGER PRIMARY KEY, hash INTEGER NOT NULL UNIQUE, thread INTEGER NOT NULL);
  CREATE TABLE subjects (number INTEGER PRIMARY KEY, hash INTEGER NOT NULL UNIQUE, thread INTEGER);
  CREATE VIRTUAL TABLE texts USING fts5(
    subject, sender, recipient, cc, bcc, header, body,
    content='', contentless_delete=1, detail=column, tokenize="ascii tokenchars '!#$%&''*+-./=?@\^_\`{|}~'"
  );
  -- Every word of the full text, once: to know a new one, and in pages that are searched for parts of words.
  CREATE TABLE words (word TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE vocabulary (page INTEGER PRIMARY KEY, words BLOB NOT NULL);
  -- Texts whose message is gone, unless a copy has them too.
  CREATE TABLE forgotten (doc INTEGER PRIMARY KEY);
  -- Messages of a folder up to this id have been read.
  CREATE TABLE indexed (folder INTEGER PRIMARY KEY, upto INTEGER NOT NULL);
  CREATE TRIGGER appeared AFTER INSERT ON messages
    WHEN new.id <= (SELECT upto FROM indexed WHERE folder = new.id >> 32)
    BEGIN UPDATE indexed SET upto = new.id - 1 WHERE folder = new.id >> 32; END;
  `,
  // 3: accents matter (message/fold.ts), so words and keys are made anew.
  `
  DELETE FROM keys;
  DELETE FROM sort_keys;
  INSERT INTO texts (texts) VALUES ('delete-all');
  DELETE FROM words;
  DELETE FROM vocabulary;
  DELETE FROM forgotten;
  DELETE FROM indexed;
  `,
];

/** What is known of a message beside its row, and what a copy of it takes over: table and columns without the id. */
export const DERIVED: readonly (readonly [table: string, columns: string])[] = [
  ['summaries', 'sent, envelope, body, body_structure, part'],
  ['headers', 'header'],
  ['keys', 'doc, state, date, sent, subject, node, thread, refs'],
  ['sort_keys', 'subject, sender, recipient, cc, display_from, display_to'],
];

/**
 * Inside a transaction. The texts themselves go behind, unless a copy has them too.
 * @param tables 'keys': only what a search could still find; the caller sees to the rest later
 */
export function forgetDerived(
  index: Index,
  ids: { readonly list: string } | { readonly first: number; readonly last: number },
  tables: 'all' | 'keys' = 'all',
): void {
  const [where, values] =
    'list' in ids
      ? ['IN (SELECT value FROM json_each(?))', [ids.list]]
      : ['BETWEEN ? AND ?', [ids.first, ids.last]];
  index
    .prepare(`INSERT OR IGNORE INTO forgotten SELECT doc FROM keys WHERE id ${where} AND doc > 0`)
    .run(...values);
  for (const [table] of DERIVED)
    if (tables === 'all' || table === 'keys')
      index.prepare(`DELETE FROM ${table} WHERE id ${where}`).run(...values);
}

/** A negative number of KB: what one account's index may keep in memory. */
const CACHE = -1024;

/** The database and what SQLite keeps beside it. */
const PARTS = ['', '-wal', '-shm'];

/** A sound file, and not the one that belongs here. */
export class StrangeIndex extends Error {
  override readonly name = 'StrangeIndex';
}

/**
 * The next one of a list that goes by id. A damaged index may have its rows in no order: who goes on behind the last one would
 * never come to an end. Throws StrangeIndex.
 */
export function onwards(before: number, id: number): number {
  if (!(id > before)) throw new StrangeIndex('the rows of the index are in no order');
  return id;
}

export class Index {
  readonly path: string;
  readonly #db: Sqlite;
  readonly #inode: number;
  readonly #statements = new Map<string, Statement>();
  readonly #columns = new Map<string, Statement>();
  /** False once this process has changed something: then a crash may lose commits. */
  #clean: boolean;
  #examined = false;
  /** `wait` does not wait for the time being: who runs the work does that. */
  #deferring = false;
  /** Commits that were to wait, and those of them that are on the disk. */
  #deferred = 0;
  #synced = 0;
  #syncing: Promise<void> | undefined;
  /** The log of commits, open for its syncs; -1 when there were none. */
  #log = -1;
  #closed = false;

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

  /** The first column of every row: half the time of `prepare(…).all()`. */
  column<T = number>(sql: string, ...values: readonly unknown[]): T[] {
    let statement = this.#columns.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql).pluck(true);
      this.#columns.set(sql, statement);
    }
    return statement.all(...values) as T[];
  }

  /** Before anything changes, on disk or here: from now on only a scan tells what a crash left. */
  markUnclean(): void {
    if (!this.#clean) return;
    this.#clean = false;
    const deferring = this.#deferring;
    this.#deferring = false;
    try {
      this.transaction('wait', () => this.setMeta('clean', 0));
    } finally {
      this.#deferring = deferring;
    }
  }

  /** What `work` commits with `wait` is not yet on the disk when this returns, but when `durable` resolves. */
  withoutWaiting<T>(work: () => T): T {
    this.#deferring = true;
    try {
      return work();
    } finally {
      this.#deferring = false;
    }
  }

  /** Resolves when all that was committed before is on the disk: commits that wait at the same time share a sync. */
  async durable(): Promise<void> {
    const wanted = this.#deferred;
    while (this.#synced < wanted) {
      this.#syncing ??= this.#sync();
      await this.#syncing;
    }
  }

  /** What SQLite does itself at the end of a commit with `synchronous = FULL`, in libuv's threads. */
  async #sync(): Promise<void> {
    const reached = this.#deferred;
    try {
      // Closing has brought everything into the database, which is on the disk.
      if (this.#closed) {
        this.#synced = reached;
        return;
      }
      // Deleted while in use: what is written goes nowhere, and the names say it when the index is left (open-accounts.ts).
      if (this.#log < 0 && !exists(`${this.path}-wal`)) {
        this.#synced = reached;
        return;
      }
      if (this.#log < 0) this.#log = openSync(`${this.path}-wal`, 'r');
      const log = this.#log;
      await new Promise<void>((resolve, reject) =>
        fdatasync(log, (error) => (error ? reject(error) : resolve())),
      );
      this.#synced = reached;
    } finally {
      this.#syncing = undefined;
    }
  }

  /** `wait`: committed only when a power cut can no longer take it. */
  transaction<T>(durability: 'wait' | 'later', work: () => T): T {
    return finish(
      // biome-ignore lint/correctness/useYield: it has one step
      this.transacting(durability, function* () {
        return work();
      }),
    );
  }

  /** Nobody else may use the index before it has come to its end. */
  *transacting<T>(durability: 'wait' | 'later', work: () => Steps<T>): Steps<T> {
    this.markUnclean();
    const waits = durability === 'wait' && !this.#deferring;
    if (durability === 'wait' && !waits) this.#deferred++;
    if (waits) this.#db.exec('PRAGMA synchronous = FULL');
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = yield* work();
        this.#db.exec('COMMIT');
        return result;
      } catch (error) {
        if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    } finally {
      if (waits) this.#db.exec('PRAGMA synchronous = NORMAL');
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

  /**
   * Why `error` came: what is wrong with the file, undefined when nothing is. What a row holds may be nonsense that breaks
   * whoever reads it; then all of the file is looked at, once, because that takes long.
   */
  damageBehind(error: unknown): unknown {
    if (isDamaged(error)) return error;
    if (!isNonsense(error) || this.#examined) return undefined;
    this.#examined = true;
    try {
      const [problem] = this.integrity();
      return problem === undefined ? undefined : new Error(problem, { cause: error });
    } catch (damage) {
      return damage;
    }
  }

  /** It is not in place any more: closing it need not wait for a disk that will have none of it. */
  giveUp(): void {
    this.#db.pragma('synchronous = OFF');
    this.close('unclean');
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
    this.#columns.clear();
    this.#db.close();
    this.#closed = true;
    this.#closeLog();
  }

  #closeLog(): void {
    const log = this.#log;
    this.#log = -1;
    if (log < 0) return;
    if (this.#syncing !== undefined) void this.#syncing.catch(() => undefined).then(() => closeSync(log));
    else closeSync(log);
  }
}

/**
 * `isNew`: the file was not there. Throws 'read-only' for a newer schema, and what `isCorruption` recognises when the
 * file is damaged.
 */
export function openIndex(path: string): { readonly index: Index; readonly isNew: boolean } {
  clearTheWay(path);
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
  for (const suffix of PARTS) {
    if (isDirectory(path + suffix)) moveAside(path + suffix);
    else unlinkIfThere(path + suffix);
  }
}

/** What SQLite would take for its own, or stumble over. */
function clearTheWay(path: string): void {
  for (const suffix of PARTS) if (isDirectory(path + suffix)) moveAside(path + suffix);
  // A log without its database would be played into the new one.
  if (exists(path) && statSync(path).size > 0) return;
  for (const suffix of PARTS.slice(1)) unlinkIfThere(path + suffix);
}

/** What SQLite says without a code of its own, of a schema cut off in its creation and of a full text without sense. */
const SAID_OF_DAMAGE =
  /no such (table|column)|invalid fts5 file format|unsupported file format|vtable constructor failed|error in fts5|fts5: (corrupt|checksum)/;

/**
 * Also what an index cut off in the middle of its creation looks like, and rows that contradict each other: no
 * constraint is ever broken by what we write into a sound one.
 */
export function isDamaged(error: unknown): boolean {
  const missing = error instanceof Error && SAID_OF_DAMAGE.test(error.message);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const contradiction = code.startsWith('SQLITE_CONSTRAINT') || code === 'SQLITE_MISMATCH';
  // Sizes of nonsense are more than there is room for.
  const isHuge = code.startsWith('SQLITE_NOMEM') || code === 'SQLITE_TOOBIG';
  return missing || contradiction || isHuge || error instanceof StrangeIndex || isCorruption(error);
}

/** What code says that gets a value of another kind than the schema promises. */
export function isNonsense(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
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
