import type { Sqlite, Statement } from '../lib/sqlite.ts';
import { type Address, type Domain, parseAddress, parseDomain } from '../mail/address.ts';
import { type AddressKey, catchAllKey } from './address-key.ts';
import type { Account, AccountId } from './directory.ts';
import type { SecretBox } from './secret-box.ts';
import type { Credentials, Source } from './source.ts';

/** What is remembered of each kind. Guessers of addresses fill it with names that do not exist: then it starts anew. */
const MAX_CACHED = 20_000;

interface AccountRow {
  readonly address: string;
  readonly enabled: number;
  readonly quota: number | null;
  readonly quota_messages: number | null;
  readonly quota_mailboxes: number | null;
  readonly password: string;
  readonly scram_salt: Buffer | null;
  readonly scram_iterations: number | null;
  readonly scram_stored_key: Buffer | null;
  readonly scram_server_key: Buffer | null;
  readonly shared_secret: Buffer | null;
}

interface Cached {
  readonly account: Account;
  readonly credentials: Credentials;
  readonly sealed: Buffer | undefined;
}

/**
 * Lookups in the database, remembered in memory. SQLite's `data_version` tells when another connection has committed;
 * asking costs three microseconds, and then everything remembered is forgotten.
 */
export class SqliteSource implements Source {
  /** Seals and opens shared secrets; undefined where none are wanted. */
  box: SecretBox | undefined;
  readonly #accounts = new Map<AddressKey, Cached | undefined>();
  readonly #aliases = new Map<AddressKey, readonly Address[] | undefined>();
  #domains: { readonly list: readonly Domain[]; readonly set: ReadonlySet<Domain> } | undefined;
  #allHaveScram: boolean | undefined;
  #version: number | undefined;

  readonly #askVersion: Statement<[], number>;
  readonly #findAccount: Statement<[string], AccountRow>;
  readonly #findTargets: Statement<[string], string>;
  readonly #listDomains: Statement<[], string>;
  readonly #findFirst: Statement<[string], AccountRow>;
  readonly #findWithoutScram: Statement<[], number>;
  readonly #upgrade: Statement<[Record<string, unknown>]>;

  constructor(db: Sqlite) {
    this.#askVersion = db.prepare<[], number>('PRAGMA data_version').pluck();
    this.#findAccount = db.prepare('SELECT * FROM account WHERE key = ?');
    this.#findTargets = db
      .prepare<[string], string>(
        'SELECT t.address FROM alias a JOIN alias_target t ON t.alias = a.id WHERE a.key = ? ORDER BY t.position',
      )
      .pluck();
    this.#listDomains = db.prepare<[], string>('SELECT name FROM domain ORDER BY id').pluck();
    this.#findFirst = db.prepare(
      'SELECT * FROM account WHERE domain = ? AND enabled = 1 ORDER BY id LIMIT 1',
    );
    this.#findWithoutScram = db
      .prepare<[], number>('SELECT 1 FROM account WHERE scram_salt IS NULL AND enabled = 1 LIMIT 1')
      .pluck();
    this.#upgrade = db.prepare(
      `UPDATE account SET password = @hash, scram_salt = @salt, scram_iterations = @iterations,
         scram_stored_key = @storedKey, scram_server_key = @serverKey
       WHERE key = @key AND password = @from`,
    );
  }

  refresh(): void {
    const version = this.#askVersion.get();
    if (version === this.#version) return;
    this.#version = version;
    this.forget();
  }

  /** data_version does not move for our own writes: whoever writes through this connection calls this. */
  forget(): void {
    this.#accounts.clear();
    this.#aliases.clear();
    this.#domains = undefined;
    this.#allHaveScram = undefined;
  }

  isLocal(domain: Domain): boolean {
    return this.#knownDomains().set.has(domain);
  }

  account(key: AddressKey): Account | undefined {
    return this.#entry(key)?.account;
  }

  alias(key: AddressKey): readonly Address[] | undefined {
    return remembered(this.#aliases, key, () => {
      const targets = this.#findTargets.all(key).flatMap((text) => parseAddress(text) ?? []);
      return targets.length > 0 ? targets : undefined;
    });
  }

  catchAll(domain: Domain): readonly Address[] | undefined {
    return this.alias(catchAllKey(domain));
  }

  domains(): readonly Domain[] {
    return this.#knownDomains().list;
  }

  firstAccount(domain: Domain): Account | undefined {
    const row = this.#findFirst.get(domain);
    return row && toAccount(row);
  }

  credentials(key: AddressKey): Credentials | undefined {
    return this.#entry(key)?.credentials;
  }

  sharedSecret(key: AddressKey): string | undefined {
    const sealed = this.#entry(key)?.sealed;
    return sealed && this.box?.open(key, sealed);
  }

  upgrade(key: AddressKey, from: Credentials, to: Credentials): void {
    this.#upgrade.run({ key, from: from.hash, hash: to.hash, ...scramColumns(to) });
    this.forget();
  }

  allHaveScram(): boolean {
    this.#allHaveScram ??= this.#findWithoutScram.get() === undefined;
    return this.#allHaveScram;
  }

  #entry(key: AddressKey): Cached | undefined {
    return remembered(this.#accounts, key, () => {
      const row = this.#findAccount.get(key);
      return (
        row && {
          account: toAccount(row),
          credentials: { hash: row.password, scram: toScram(row) },
          sealed: row.shared_secret ?? undefined,
        }
      );
    });
  }

  #knownDomains(): { readonly list: readonly Domain[]; readonly set: ReadonlySet<Domain> } {
    if (!this.#domains) {
      const list = this.#listDomains.all().flatMap((name) => parseDomain(name) ?? []);
      this.#domains = { list, set: new Set(list) };
    }
    return this.#domains;
  }
}

/** The columns of `credentials.scram`, all empty where there are no keys. */
export function scramColumns({ scram }: Credentials): Record<string, unknown> {
  return {
    salt: scram ? Buffer.from(scram.salt) : null,
    iterations: scram?.iterations ?? null,
    storedKey: scram ? Buffer.from(scram.storedKey) : null,
    serverKey: scram ? Buffer.from(scram.serverKey) : null,
  };
}

/** @throws Error when the row's address does not parse: it was written by something else than us. */
export function toAccount(
  row: Pick<AccountRow, 'address' | 'enabled' | 'quota' | 'quota_messages' | 'quota_mailboxes'>,
): Account {
  const address = parseAddress(row.address);
  if (!address) throw new Error(`the directory has an account that is no address: ${row.address}`);
  return {
    id: row.address as AccountId,
    address,
    quotaBytes: row.quota,
    quotaMessages: row.quota_messages,
    quotaMailboxes: row.quota_mailboxes,
    enabled: row.enabled === 1,
    source: 'sqlite',
  };
}

function toScram(row: AccountRow): Credentials['scram'] {
  const { scram_salt: salt, scram_iterations: iterations } = row;
  const { scram_stored_key: storedKey, scram_server_key: serverKey } = row;
  if (!salt || iterations === null || !storedKey || !serverKey) return undefined;
  return { salt, iterations, storedKey, serverKey };
}

function remembered<T>(
  cache: Map<AddressKey, T | undefined>,
  key: AddressKey,
  find: () => T | undefined,
): T | undefined {
  const known = cache.get(key);
  if (known !== undefined || cache.has(key)) return known;
  if (cache.size >= MAX_CACHED) cache.clear();
  const found = find();
  cache.set(key, found);
  return found;
}
