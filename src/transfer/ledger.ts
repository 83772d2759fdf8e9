import { hash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { holdLock, openSqlite, type Sqlite, type Statement } from '../lib/sqlite.ts';
import type { MailboxId, Uid } from '../store/store.ts';
import { TransferError } from './errors.ts';

/**
 * What has come into an account from where, in `import/state.sqlite` of the account's directory. A message is known
 *
 * - by its name, where the source has names that stay (IMAP UIDs, Maildir file names), or else
 * - by its content and how many of that content came before it in the same folder: two identical messages in one mbox
 *   are two, and both come; the same mbox again, grown or reordered, brings only what is new.
 *
 * An entry is written when its message is durable in the store. For what was delivered between the last entry and a
 * crash the key of the delivery serves, made of the same facts: the store remembers it for `store.rememberKeys`.
 */

const VERSION = 1;
const SCHEMA = `
  CREATE TABLE sources (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, UNIQUE (kind, name)
  );
  CREATE TABLE folders (
    id INTEGER PRIMARY KEY, source INTEGER NOT NULL, name TEXT NOT NULL, target TEXT NOT NULL,
    generation INTEGER NOT NULL, validity TEXT NOT NULL, UNIQUE (source, name, target)
  );
  CREATE TABLE contents (
    folder INTEGER NOT NULL, hash BLOB NOT NULL, generation INTEGER NOT NULL, seen INTEGER NOT NULL,
    delivered INTEGER NOT NULL, PRIMARY KEY (folder, hash)
  ) WITHOUT ROWID;
  CREATE INDEX contents_by_hash ON contents (hash);
  CREATE TABLE names (
    folder INTEGER NOT NULL, name TEXT NOT NULL, mailbox TEXT NOT NULL, uid INTEGER NOT NULL, flags TEXT NOT NULL,
    PRIMARY KEY (folder, name)
  ) WITHOUT ROWID;
`;
/** Octets of a hash that are kept: 2^64 messages would be needed for two to be alike. */
const HASH = 16;

/** A message that is about to come, or that came before. */
export interface Claim {
  readonly hash: Buffer | null;
  readonly name: string | null;
  /** How many of the same content came before it in its folder. */
  readonly nth: number;
  readonly known: boolean;
  /** Of the delivery. */
  readonly key: string;
  readonly flags: string;
}

/** Where a message with a name went. */
export interface Placed {
  readonly mailbox: MailboxId;
  readonly uid: Uid;
  /** As they were in the source. */
  readonly flags: string;
}

export class Ledger {
  readonly #db: Sqlite;
  readonly #release: () => void;

  private constructor(db: Sqlite, release: () => void) {
    this.#db = db;
    this.#release = release;
  }

  /** @param directory `import` in the account's directory. Throws TransferError while another import holds it. */
  static open(directory: string): Ledger {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const release = holdLock(join(directory, 'lock'));
    if (!release) throw new TransferError('another import into this account is running; wait for it');
    try {
      const db = openSqlite(join(directory, 'state.sqlite'), { durability: 'full' });
      const version = Number(db.pragma('user_version', { simple: true }));
      if (version > VERSION) throw new TransferError('a newer facteur has imported here; use that one');
      if (version === 0) {
        db.exec(`BEGIN; ${SCHEMA} PRAGMA user_version = ${VERSION}; COMMIT`);
      }
      return new Ledger(db, release);
    } catch (error) {
      release();
      throw error;
    }
  }

  /** @param mode `again`: forget what came from it; all comes once more. */
  source(kind: string, name: string, mode: 'continue' | 'again'): LedgerSource {
    const db = this.#db;
    db.prepare('INSERT OR IGNORE INTO sources (kind, name, epoch) VALUES (?, ?, 1)').run(kind, name);
    if (mode === 'again') {
      db.transaction(() => {
        const folders = 'folder IN (SELECT id FROM folders WHERE source = ?)';
        const { id } = sourceRow(db, kind, name);
        db.prepare('UPDATE sources SET epoch = epoch + 1 WHERE id = ?').run(id);
        db.prepare(`DELETE FROM contents WHERE ${folders}`).run(id);
        db.prepare(`DELETE FROM names WHERE ${folders}`).run(id);
        db.prepare('DELETE FROM folders WHERE source = ?').run(id);
      })();
    }
    const { id, epoch } = sourceRow(db, kind, name);
    return new LedgerSource(new Statements(db), id, `${kind}\n${name}\n${epoch}`);
  }

  close(): void {
    this.#db.close();
    this.#release();
  }
}

function sourceRow(db: Sqlite, kind: string, name: string): { readonly id: number; readonly epoch: number } {
  const row = db
    .prepare<[string, string], { id: number; epoch: number }>(
      'SELECT id, epoch FROM sources WHERE kind = ? AND name = ?',
    )
    .get(kind, name);
  if (!row) throw new Error('a source that was just made is gone');
  return row;
}

/** Each statement is prepared once. */
class Statements {
  readonly #db: Sqlite;
  readonly #prepared = new Map<string, Statement>();

  constructor(db: Sqlite) {
    this.#db = db;
  }

  run(sql: string, ...values: unknown[]): void {
    this.#statement(sql).run(...values);
  }

  get<T>(sql: string, ...values: unknown[]): T | undefined {
    return this.#statement(sql).get(...values) as T | undefined;
  }

  together(work: () => void): void {
    this.#db.transaction(work)();
  }

  #statement(sql: string): Statement {
    let statement = this.#prepared.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}

export class LedgerSource {
  readonly #db: Statements;
  readonly #id: number;
  readonly #words: string;

  constructor(db: Statements, id: number, words: string) {
    this.#db = db;
    this.#id = id;
    this.#words = words;
  }

  /** @param target where it goes: the same messages elsewhere are other messages */
  folder(name: string, target: string): LedgerFolder {
    this.#db.run(
      "INSERT OR IGNORE INTO folders (source, name, target, generation, validity) VALUES (?, ?, ?, 0, '')",
      this.#id,
      name,
      target,
    );
    const row = this.#db.get<{ id: number; generation: number; validity: string }>(
      'SELECT id, generation, validity FROM folders WHERE source = ? AND name = ? AND target = ?',
      this.#id,
      name,
      target,
    );
    if (!row) throw new Error('a folder that was just made is gone');
    return new LedgerFolder(this.#db, this.#id, row, `${this.#words}\n${name}\n${target}`);
  }
}

interface Row {
  readonly generation: number;
  readonly seen: number;
  readonly delivered: number;
}

export class LedgerFolder {
  readonly #db: Statements;
  readonly #source: number;
  readonly #id: number;
  readonly #words: string;
  #generation: number;
  #validity: string;
  /** Claims that are not in the table yet, by hash. */
  readonly #open = new Map<string, number>();

  constructor(
    db: Statements,
    source: number,
    row: { readonly id: number; readonly generation: number; readonly validity: string },
    words: string,
  ) {
    this.#db = db;
    this.#source = source;
    this.#id = row.id;
    this.#generation = row.generation;
    this.#validity = row.validity;
    this.#words = words;
  }

  /** All its messages will be read once more, and counted anew. */
  readAgain(): void {
    this.#generation++;
    this.#db.run('UPDATE folders SET generation = ? WHERE id = ?', this.#generation, this.#id);
  }

  /** Names mean something for as long as `validity` stays: after that contents tell what came. */
  valid(validity: string): void {
    if (this.#validity === validity) return;
    this.#db.together(() => {
      this.#db.run('DELETE FROM names WHERE folder = ?', this.#id);
      this.#db.run('UPDATE folders SET validity = ? WHERE id = ?', validity, this.#id);
      this.readAgain();
    });
    this.#validity = validity;
  }

  placed(name: string): Placed | undefined {
    return this.#db.get<Placed>(
      'SELECT mailbox, uid, flags FROM names WHERE folder = ? AND name = ?',
      this.#id,
      name,
    );
  }

  /** A message with a name that stays, not read yet. */
  claimName(name: string, flags: string): Claim {
    return {
      hash: null,
      name,
      nth: 0,
      known: this.placed(name) !== undefined,
      key: this.#key(`name\n${name}`),
      flags,
    };
  }

  /** A message by what is in it. @param content its SHA-256 */
  claimContent(content: Buffer, name: string | null, flags: string): Claim {
    const short = content.subarray(0, HASH);
    const text = short.toString('hex');
    const row = this.#row(short);
    const open = this.#open.get(text) ?? 0;
    const nth = (row?.generation === this.#generation ? row.seen : 0) + open;
    this.#open.set(text, open + 1);
    const known = nth < (row?.delivered ?? 0);
    return { hash: short, name, nth, known, key: this.#key(`content\n${text}\n${nth}`), flags };
  }

  /** Whether another folder of the same source brought it. */
  elsewhere(content: Buffer): boolean {
    const found = this.#db.get<unknown>(
      `SELECT 1 FROM contents c JOIN folders f ON f.id = c.folder
         WHERE c.hash = ? AND f.source = ? AND c.folder <> ? AND c.delivered > 0 LIMIT 1`,
      content.subarray(0, HASH),
      this.#source,
      this.#id,
    );
    return found !== undefined;
  }

  /** These are done, durably. `at`: where, of those that came now. */
  settle(claims: readonly { readonly claim: Claim; readonly at: Omit<Placed, 'flags'> | null }[]): void {
    if (claims.length === 0) return;
    this.#db.together(() => {
      for (const { claim, at } of claims) {
        if (claim.hash) this.#count(claim, claim.hash);
        if (claim.name !== null && (at || claim.hash))
          this.#db.run(
            'INSERT OR REPLACE INTO names VALUES (?, ?, ?, ?, ?)',
            this.#id,
            claim.name,
            at?.mailbox ?? '',
            at?.uid ?? 0,
            claim.flags,
          );
      }
    });
    for (const { claim } of claims) if (claim.hash) this.#forget(claim.hash.toString('hex'));
  }

  /** The source's flags are ours now. */
  setFlags(name: string, flags: string): void {
    this.#db.run('UPDATE names SET flags = ? WHERE folder = ? AND name = ?', flags, this.#id, name);
  }

  #row(content: Buffer): Row | undefined {
    return this.#db.get<Row>(
      'SELECT generation, seen, delivered FROM contents WHERE folder = ? AND hash = ?',
      this.#id,
      content,
    );
  }

  #count(claim: Claim, content: Buffer): void {
    const row = this.#row(content);
    const seen = (row?.generation === this.#generation ? row.seen : 0) + 1;
    const delivered = Math.max(row?.delivered ?? 0, claim.nth + 1);
    this.#db.run(
      `INSERT INTO contents VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
         SET generation = excluded.generation, seen = excluded.seen, delivered = excluded.delivered`,
      this.#id,
      content,
      this.#generation,
      seen,
      delivered,
    );
  }

  #forget(content: string): void {
    const open = (this.#open.get(content) ?? 1) - 1;
    if (open > 0) this.#open.set(content, open);
    else this.#open.delete(content);
  }

  #key(what: string): string {
    return `i${hash('sha256', `${this.#words}\n${what}`, 'hex').slice(0, 2 * HASH)}`;
  }
}
