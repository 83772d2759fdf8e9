import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AccountId } from '../directory/directory.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { isCorruption, openSqlite, type Sqlite } from '../lib/sqlite.ts';
import { exists, moveAside } from './maildir/disk.ts';

/**
 * Small facts that expire: whom vacation has answered, what `duplicate` has seen, which actions of a delivery are done.
 * Each is durable when the call returns. Several threads may have the file open at once.
 */
export interface KeyValue {
  /** undefined: there is none, or it has expired. */
  get(account: AccountId, space: string, key: string): string | undefined;
  /** @param expires ms since the epoch */
  set(account: AccountId, space: string, key: string, value: string, expires: number): void;
}

/** Of one account in one space; beyond it the ones that expire first go. */
export const MAX_ENTRIES = 10_000;
/** Sets between two looks for what has expired. */
const SWEEP = 200;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS fact (
    account TEXT NOT NULL, space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, expires INTEGER NOT NULL,
    PRIMARY KEY (account, space, key)
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS fact_expires ON fact (expires);
`;

/** In a SQLite file. One that is damaged is moved aside, loudly: at worst somebody is answered twice. */
export class SqliteKeyValue implements KeyValue {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #db: Sqlite | undefined;
  #sets = 0;

  constructor(path: string, clock: Clock, log: Logger) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
  }

  get(account: AccountId, space: string, key: string): string | undefined {
    return this.#healing((db) => {
      const row = db
        .prepare<[string, string, string, number], { value: string }>(
          'SELECT value FROM fact WHERE account = ? AND space = ? AND key = ? AND expires > ?',
        )
        .get(account, space, key, this.#clock.now().getTime());
      return row?.value;
    });
  }

  set(account: AccountId, space: string, key: string, value: string, expires: number): void {
    this.#healing((db) => {
      db.prepare(
        'INSERT OR REPLACE INTO fact (account, space, key, value, expires) VALUES (?, ?, ?, ?, ?)',
      ).run(account, space, key, value, Math.round(expires));
      if (this.#sets++ % SWEEP === 0) this.#sweep(db, account, space);
    });
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }

  #sweep(db: Sqlite, account: string, space: string): void {
    db.prepare('DELETE FROM fact WHERE expires <= ?').run(this.#clock.now().getTime());
    db.prepare(
      `DELETE FROM fact WHERE account = ? AND space = ? AND key IN (
         SELECT key FROM fact WHERE account = ? AND space = ? ORDER BY expires DESC LIMIT -1 OFFSET ?)`,
    ).run(account, space, account, space, MAX_ENTRIES);
  }

  #healing<T>(work: (db: Sqlite) => T): T {
    try {
      return work(this.#open());
    } catch (error) {
      if (!isCorruption(error)) throw error;
      this.#log.error({ file: this.#path, err: error }, 'damaged, begun anew');
      this.close();
      for (const suffix of ['', '-wal', '-shm'])
        if (exists(`${this.#path}${suffix}`)) moveAside(`${this.#path}${suffix}`);
      return work(this.#open());
    }
  }

  #open(): Sqlite {
    if (this.#db) return this.#db;
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    const db = openSqlite(this.#path, { durability: 'full' });
    try {
      db.exec(SCHEMA);
    } catch (error) {
      db.close();
      throw error;
    }
    this.#db = db;
    return db;
  }
}
