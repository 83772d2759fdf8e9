import { randomBytes } from 'node:crypto';
import type { Sqlite } from '../lib/sqlite.ts';
import { DirectoryError } from './errors.ts';

/**
 * The tables of the directory. `address` is as somebody wrote it, `key` is what is compared (address-key.ts). Domains
 * have no foreign keys: an account's domain may be declared in the configuration file.
 */
const MIGRATIONS: readonly ((db: Sqlite) => void)[] = [
  (db) => {
    db.exec(`
      CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
      CREATE TABLE domain (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE account (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        address TEXT NOT NULL,
        domain TEXT NOT NULL,
        enabled INTEGER NOT NULL,
        quota INTEGER,
        password TEXT NOT NULL,
        scram_salt BLOB,
        scram_iterations INTEGER,
        scram_stored_key BLOB,
        scram_server_key BLOB,
        shared_secret BLOB,
        created INTEGER NOT NULL,
        changed INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX account_domain ON account (domain, id);
      CREATE INDEX account_without_scram ON account (id) WHERE scram_salt IS NULL AND enabled = 1;
      -- A catch-all has the empty local part: its key is "@example.org".
      CREATE TABLE alias (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        address TEXT NOT NULL,
        domain TEXT NOT NULL,
        created INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX alias_domain ON alias (domain);
      CREATE TABLE alias_target (
        alias INTEGER NOT NULL REFERENCES alias (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        key TEXT NOT NULL,
        address TEXT NOT NULL,
        PRIMARY KEY (alias, position)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX alias_target_key ON alias_target (key);
    `);
    // From it come the made-up SCRAM salts of unknown logins, which must stay the same over restarts.
    db.prepare('INSERT INTO secret (name, value) VALUES (?, ?)').run('scram', randomBytes(32));
  },
  (db) => {
    db.exec('ALTER TABLE account ADD COLUMN quota_messages INTEGER');
  },
  (db) => {
    db.exec('ALTER TABLE account ADD COLUMN quota_mailboxes INTEGER');
  },
];

/**
 * Brings the file to this version's tables, in one transaction; two processes may do it at once.
 * @throws DirectoryError `invalid` when a newer Facteur wrote the file.
 */
export function migrate(db: Sqlite, path: string): void {
  db.transaction(() => {
    db.exec('CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL) STRICT');
    const row = db.prepare<[], number>('SELECT version FROM schema').pluck().get();
    const version = row ?? 0;
    if (version > MIGRATIONS.length)
      throw new DirectoryError(
        'invalid',
        `the accounts in ${path} were written by a newer Facteur (version ${version} of the tables, this one knows ` +
          `${MIGRATIONS.length}); run that one, or a newer one`,
      );
    if (version === MIGRATIONS.length) return;
    for (const step of MIGRATIONS.slice(version)) step(db);
    db.prepare('DELETE FROM schema').run();
    db.prepare('INSERT INTO schema (version) VALUES (?)').run(MIGRATIONS.length);
  }).immediate();
}
