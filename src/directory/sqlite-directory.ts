import { closeSync, openSync } from 'node:fs';
import type { Clock } from '../lib/clock.ts';
import { openSqlite, type Sqlite } from '../lib/sqlite.ts';
import { type Address, asciiDomain, type Domain, formatAddress } from '../mail/address.ts';
import { type AddressKey, addressKey, stripped } from './address-key.ts';
import { type AliasEntry, type AliasName, AliasTable } from './alias-table.ts';
import type { Account } from './directory.ts';
import { DirectoryError } from './errors.ts';
import type { FileDirectory } from './file-directory.ts';
import { checkPassword, type Passwords } from './password.ts';
import { migrate } from './schema.ts';
import { deriveScramKeys } from './scram-keys.ts';
import { SecretBox } from './secret-box.ts';
import { type Credentials, joinSources, type Source } from './source.ts';
import { SqliteSource, scramColumns, toAccount } from './sqlite-source.ts';
import { parseStoredHash } from './stored-hash.ts';

export interface SqliteDirectoryOptions extends SqliteDirectorySettings {
  /** The database file; made where there is none. `:memory:` for tests. */
  readonly path: string;
  readonly clock: Clock;
  readonly passwords: Passwords;
  /** What the configuration file declares: it cannot be changed here, and its domains can have accounts here. */
  readonly declared: FileDirectory;
}

/** What a reload of the configuration may change. */
export interface SqliteDirectorySettings {
  readonly recipientDelimiters: string;
  /**
   * `auth.cramMd5`: keep passwords that are set, sealed with the key in `keyFile`. null: keep none, and show none.
   */
  readonly sharedSecrets: { readonly keyFile: string } | null;
}

/** A password as somebody gives it: to be hashed, or hashed elsewhere (an import). */
export type NewPassword =
  | { readonly is: 'password'; readonly password: string }
  | { readonly is: 'hash'; readonly hash: string };

export interface NewAccount {
  readonly address: Address;
  readonly password: NewPassword;
  readonly quotaBytes?: number | null;
  readonly quotaMessages?: number | null;
  readonly quotaMailboxes?: number | null;
  readonly enabled?: boolean;
}

export interface DomainEntry {
  readonly name: Domain;
  readonly accounts: number;
  readonly aliases: number;
  readonly createdAt: Date;
}

export interface AccountEntry {
  readonly account: Account;
  readonly createdAt: Date;
  /** When the password was last set. */
  readonly passwordAt: Date;
  /** Whether the account can log in with SCRAM; an imported hash allows it after the first login. */
  readonly scram: boolean;
  /** Whether it can log in with CRAM-MD5 and APOP. */
  readonly sharedSecret: boolean;
}

/** Whether to go on although something else depends on what is removed. */
export interface Removal {
  readonly mode: 'careful' | 'force';
}

/** What is not named stays; null is what `store.quota` says, 0 no limit. */
export interface QuotaChange {
  readonly bytes?: number | null;
  readonly messages?: number | null;
  readonly mailboxes?: number | null;
}

/**
 * Domains, accounts and aliases in SQLite, and everything an admin does with them. Several processes may use the file
 * at once: each sees what the others commit with its next question.
 */
export class SqliteDirectory implements Source {
  readonly #db: Sqlite;
  readonly #clock: Clock;
  readonly #passwords: Passwords;
  readonly #declared: FileDirectory;
  #delimiters = '';
  readonly #source: SqliteSource;
  readonly #aliases: AliasTable;
  /** Made once for this database: the made-up SCRAM keys of unknown logins come from it. */
  readonly scramSecret: Uint8Array;

  /** @throws DirectoryError `invalid` when a newer Facteur wrote the file. */
  constructor(options: SqliteDirectoryOptions) {
    const { path } = options;
    // Password hashes: nobody else reads them. SQLite gives -wal and -shm the mode of the file itself.
    if (path !== ':memory:') closeSync(openSync(path, 'a', 0o600));
    this.#db = openSqlite(path, { durability: 'full' });
    this.#clock = options.clock;
    this.#passwords = options.passwords;
    this.#declared = options.declared;
    try {
      migrate(this.#db, path);
      this.#source = new SqliteSource(this.#db);
      this.#aliases = new AliasTable(this.#db, joinSources([this.#source, options.declared]));
      this.configure(options);
      const secret = this.#db
        .prepare<[], Buffer>("SELECT value FROM secret WHERE name = 'scram'")
        .pluck()
        .get();
      if (!secret) throw new Error(`${path} has lost its secret`);
      this.scramSecret = secret;
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** The configuration was read again. Throws when the key file cannot be used; then everything stays as it was. */
  configure({ recipientDelimiters, sharedSecrets }: SqliteDirectorySettings): void {
    this.#source.box = sharedSecrets === null ? undefined : SecretBox.open(sharedSecrets.keyFile);
    this.#delimiters = recipientDelimiters;
    this.#aliases.delimiters = recipientDelimiters;
  }

  refresh(): void {
    this.#source.refresh();
  }

  isLocal(domain: Domain): boolean {
    return this.#source.isLocal(domain);
  }

  account(key: AddressKey): Account | undefined {
    return this.#source.account(key);
  }

  alias(key: AddressKey): readonly Address[] | undefined {
    return this.#source.alias(key);
  }

  catchAll(domain: Domain): readonly Address[] | undefined {
    return this.#source.catchAll(domain);
  }

  domains(): readonly Domain[] {
    return this.#source.domains();
  }

  firstAccount(domain: Domain): Account | undefined {
    return this.#source.firstAccount(domain);
  }

  credentials(key: AddressKey): Credentials | undefined {
    return this.#source.credentials(key);
  }

  sharedSecret(key: AddressKey): string | undefined {
    return this.#source.sharedSecret(key);
  }

  upgrade(key: AddressKey, from: Credentials, to: Credentials): void {
    this.#source.upgrade(key, from, to);
  }

  allHaveScram(): boolean {
    return this.#source.allHaveScram();
  }

  /** What the configuration file declares beside this. */
  get declared(): FileDirectory {
    return this.#declared;
  }

  /** Takes mail for `domain` from now on. Throws `exists`. */
  async addDomain(domain: Domain): Promise<void> {
    this.#write(() => {
      if (this.#declared.isLocal(domain))
        throw new DirectoryError('exists', `${domain} is declared in the configuration file already`);
      const { changes } = this.#db
        .prepare('INSERT INTO domain (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING')
        .run(domain, this.#now());
      if (changes === 0) throw new DirectoryError('exists', `${domain} is here already`);
    });
  }

  /** The domains of the database by name, with what they have. */
  async listDomains(): Promise<readonly DomainEntry[]> {
    return this.#db
      .prepare<[], { name: Domain; accounts: number; aliases: number; created: number }>(
        `SELECT name, created,
           (SELECT count(*) FROM account WHERE domain = name) AS accounts,
           (SELECT count(*) FROM alias WHERE domain = name) AS aliases
         FROM domain ORDER BY name`,
      )
      .all()
      .map(({ name, accounts, aliases, created }) => ({
        name,
        accounts,
        aliases,
        createdAt: new Date(created),
      }));
  }

  /** Throws `not-found`, `read-only`, or `in-use` while there are accounts and aliases, which `force` removes too. */
  async removeDomain(domain: Domain, { mode }: Removal): Promise<void> {
    this.#write(() => {
      if (!this.#source.isLocal(domain)) throw this.#noDomain(domain);
      const count = (table: string): number =>
        this.#db
          .prepare<[string], number>(`SELECT count(*) FROM ${table} WHERE domain = ?`)
          .pluck()
          .get(domain) ?? 0;
      const [accounts, aliases] = [count('account'), count('alias')];
      if (mode === 'careful' && accounts + aliases > 0)
        throw new DirectoryError(
          'in-use',
          `${domain} has ${plural(accounts, 'account')} and ${plural(aliases, 'alias')}; remove them first, or use --force`,
        );
      this.#db.prepare('DELETE FROM account WHERE domain = ?').run(domain);
      this.#aliases.removeDomain(domain);
      this.#db.prepare('DELETE FROM domain WHERE name = ?').run(domain);
    });
  }

  /** Throws `exists`, `not-found` (its domain), `read-only`, `invalid` (password). */
  async addAccount(account: NewAccount): Promise<Account> {
    const {
      address,
      quotaBytes = null,
      quotaMessages = null,
      quotaMailboxes = null,
      enabled = true,
    } = account;
    const key = addressKey(address);
    // Before the work of hashing; and again with the write, since another process may be quicker.
    this.refresh();
    this.#checkNewAccount(address);
    const columns = await this.#passwordColumns(key, account.password);
    this.#write(() => {
      this.#checkNewAccount(address);
      const now = this.#now();
      this.#db
        .prepare(
          `INSERT INTO account (key, address, domain, enabled, quota, quota_messages, quota_mailboxes, created, ${PASSWORD_COLUMNS})
           VALUES (@key, @address, @domain, @enabled, @quota, @quotaMessages, @quotaMailboxes, @now, ${PASSWORD_VALUES})`,
        )
        .run({
          ...columns,
          key,
          address: formatAddress(address),
          domain: address.domain,
          enabled: enabled ? 1 : 0,
          quota: quotaBytes,
          quotaMessages,
          quotaMailboxes,
          now,
        });
    });
    return this.#existing(address);
  }

  /** Accounts of the database by address, `limit` of them after `after`, and how many there are in all. */
  async listAccounts(
    filter: { readonly domain?: Domain; readonly after?: Address; readonly limit?: number } = {},
  ): Promise<{ readonly accounts: readonly AccountEntry[]; readonly total: number }> {
    const { domain = null, after, limit = -1 } = filter;
    const rows = this.#db
      .prepare<[Record<string, unknown>], AccountListRow>(
        `SELECT address, enabled, quota, quota_messages, quota_mailboxes, created, changed, scram_salt IS NOT NULL AS scram,
           shared_secret IS NOT NULL AS secret
         FROM account
         WHERE (@domain IS NULL OR domain = @domain) AND (@after IS NULL OR (domain, key) > (@afterDomain, @after))
         ORDER BY domain, key LIMIT @limit`,
      )
      .all({ domain, after: after ? addressKey(after) : null, afterDomain: after?.domain ?? null, limit });
    const total = this.#db
      .prepare<[Record<string, unknown>], number>(
        'SELECT count(*) FROM account WHERE @domain IS NULL OR domain = @domain',
      )
      .pluck()
      .get({ domain });
    return {
      accounts: rows.map((row) => ({
        account: toAccount(row),
        createdAt: new Date(row.created),
        passwordAt: new Date(row.changed),
        scram: row.scram === 1,
        sharedSecret: row.secret === 1,
      })),
      total: total ?? 0,
    };
  }

  /**
   * Removes the account, not its mail. Throws `not-found`, `read-only`, or `in-use` while aliases lead to it; `force`
   * takes it out of them.
   */
  async removeAccount(address: Address, { mode }: Removal): Promise<void> {
    this.#write(() => {
      this.#existing(address);
      this.#aliases.releaseTarget(address, mode);
      this.#db.prepare('DELETE FROM account WHERE key = ?').run(addressKey(address));
    });
  }

  /** A disabled account cannot log in, and its mail is refused. Throws `not-found`, `read-only`. */
  async setState(address: Address, state: 'enabled' | 'disabled'): Promise<void> {
    this.#change(address, 'UPDATE account SET enabled = ? WHERE key = ?', state === 'enabled' ? 1 : 0);
  }

  /** What is not named stays; null is what `store.quota` says, 0 no limit. Throws `not-found`, `read-only`. */
  async setQuota(address: Address, { bytes, messages, mailboxes }: QuotaChange): Promise<void> {
    this.#write(() => {
      const now = this.#existing(address);
      this.#db
        .prepare('UPDATE account SET quota = ?, quota_messages = ?, quota_mailboxes = ? WHERE key = ?')
        .run(
          bytes === undefined ? now.quotaBytes : bytes,
          messages === undefined ? now.quotaMessages : messages,
          mailboxes === undefined ? now.quotaMailboxes : mailboxes,
          addressKey(address),
        );
    });
  }

  /** Throws `not-found`, `read-only`, `invalid`. */
  async setPassword(address: Address, password: NewPassword): Promise<void> {
    const key = addressKey(address);
    this.refresh();
    this.#existing(address);
    const columns = await this.#passwordColumns(key, password);
    this.#write(() => {
      this.#existing(address);
      this.#db
        .prepare(`UPDATE account SET (${PASSWORD_COLUMNS}) = (${PASSWORD_VALUES}) WHERE key = @key`)
        .run({ ...columns, key, now: this.#now() });
    });
  }

  /** Throws `exists`, `not-found` (its domain, or a target here), `read-only`, `invalid` (a circle, too many). */
  async addAlias(
    name: AliasName,
    targets: readonly Address[],
    { mode }: { readonly mode: 'new' | 'extend' } = { mode: 'new' },
  ): Promise<void> {
    this.#write(() => this.#aliases.add(name, targets, mode, this.#now()));
  }

  /** Aliases of the database by address, catch-alls among them. */
  async listAliases(filter: { readonly domain?: Domain } = {}): Promise<readonly AliasEntry[]> {
    return this.#aliases.list(filter.domain);
  }

  /** Removes the whole alias, or only some of its targets. Throws `not-found`, `read-only`, `in-use`. */
  async removeAlias(
    name: AliasName,
    { mode, targets }: Removal & { readonly targets?: readonly Address[] } = { mode: 'careful' },
  ): Promise<void> {
    this.#write(() => this.#aliases.remove(name, targets, mode));
  }

  close(): void {
    this.#db.close();
  }

  /** One transaction that other processes wait for, so that what it checks still holds when it writes. */
  #write(act: () => void): void {
    this.#db
      .transaction(() => {
        this.refresh();
        try {
          act();
        } finally {
          this.#source.forget();
        }
      })
      .immediate();
  }

  #change(address: Address, sql: string, value: number | null): void {
    this.#write(() => {
      this.#existing(address);
      this.#db.prepare(sql).run(value, addressKey(address));
    });
  }

  #checkNewAccount(address: Address): void {
    const key = addressKey(address);
    const name = formatAddress(address);
    if (this.#declared.account(key))
      throw new DirectoryError('read-only', `${name} is declared in the configuration file; change it there`);
    if (this.#source.account(key)) throw new DirectoryError('exists', `${name} is an account already`);
    const targets = this.#source.alias(key) ?? this.#declared.alias(key);
    // Nothing would ever reach the account, unless the alias names it and so keeps a copy.
    if (targets && !targets.some((target) => addressKey(target) === key))
      throw new DirectoryError(
        'exists',
        `${name} is an alias already, and gets no mail itself; remove it first`,
      );
    if (!this.#source.isLocal(address.domain) && !this.#declared.isLocal(address.domain))
      throw this.#noDomain(address.domain);
  }

  #existing(address: Address): Account {
    const key = addressKey(address);
    const account = this.#source.account(key);
    if (account) return account;
    const name = formatAddress(address);
    if (this.#declared.account(key))
      throw new DirectoryError('read-only', `${name} is declared in the configuration file; change it there`);
    for (const { address: shorter } of stripped(address, this.#delimiters))
      if (this.#source.account(addressKey(shorter)))
        throw new DirectoryError(
          'not-found',
          `${name} is a sub-address; the account is ${formatAddress(shorter)}`,
        );
    throw new DirectoryError(
      'not-found',
      this.#source.alias(key)
        ? `${name} is an alias, not an account`
        : `there is no account ${name}; "facteur account list" shows those there are`,
    );
  }

  #noDomain(domain: Domain): DirectoryError {
    return this.#declared.isLocal(domain)
      ? new DirectoryError('read-only', `${domain} is declared in the configuration file; change it there`)
      : new DirectoryError(
          'not-found',
          `there is no domain ${domain} here; add it with "facteur domain add ${asciiDomain(domain)}"`,
        );
  }

  /** Everything that is kept of a password; a plain one from an import is hashed like any other. */
  async #passwordColumns(key: AddressKey, given: NewPassword): Promise<Record<string, unknown>> {
    if (given.is === 'hash') {
      const stored = parseStoredHash(given.hash);
      if (stored.is === 'plain')
        return this.#passwordColumns(key, { is: 'password', password: stored.password });
      const scram = stored.is === 'scram' ? stored : undefined;
      return { hash: given.hash, ...scramColumns({ hash: given.hash, scram }), secret: null };
    }
    checkPassword(given.password);
    const [hash, scram] = await Promise.all([
      this.#passwords.hash(given.password),
      deriveScramKeys(given.password),
    ]);
    return {
      hash,
      ...scramColumns({ hash, scram }),
      secret: this.#source.box?.seal(key, given.password) ?? null,
    };
  }

  #now(): number {
    return this.#clock.now().getTime();
  }
}

interface AccountListRow {
  readonly address: string;
  readonly enabled: number;
  readonly quota: number | null;
  readonly quota_messages: number | null;
  readonly quota_mailboxes: number | null;
  readonly created: number;
  readonly changed: number;
  readonly scram: number;
  readonly secret: number;
}

const PASSWORD_COLUMNS =
  'password, scram_salt, scram_iterations, scram_stored_key, scram_server_key, shared_secret, changed';
const PASSWORD_VALUES = '@hash, @salt, @iterations, @storedKey, @serverKey, @secret, @now';

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`;
}
