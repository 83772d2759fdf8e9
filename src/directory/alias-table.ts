import type { Sqlite } from '../lib/sqlite.ts';
import { type Address, asciiDomain, type Domain, formatAddress, parseAddress } from '../mail/address.ts';
import { type AddressKey, addressKey, catchAllKey, stripped } from './address-key.ts';
import { DirectoryError } from './errors.ts';
import { MAX_DESTINATIONS, route } from './routing.ts';
import type { Source } from './source.ts';

/** What an alias stands for: one address, or all that nobody has in a domain. */
export type AliasName =
  | { readonly is: 'address'; readonly address: Address }
  | { readonly is: 'catch-all'; readonly domain: Domain };

export interface AliasEntry {
  readonly name: AliasName;
  readonly targets: readonly Address[];
  readonly createdAt: Date;
}

/** `sales@example.org`, or `@example.org` for a catch-all. */
export function formatAliasName(name: AliasName): string {
  return name.is === 'address' ? formatAddress(name.address) : `@${name.domain}`;
}

/** The aliases of the database. Its methods run inside a transaction of SqliteDirectory. */
export class AliasTable {
  readonly #db: Sqlite;
  readonly #all: Source;
  delimiters = '';

  /** @param all every source there is: an alias may lead to what the configuration file declares. */
  constructor(db: Sqlite, all: Source) {
    this.#db = db;
    this.#all = all;
  }

  add(name: AliasName, targets: readonly Address[], mode: 'new' | 'extend', now: number): void {
    const key = keyOf(name);
    const text = formatAliasName(name);
    const existing = this.#find(key);
    this.#checkName(name, existing !== undefined);
    if (existing && mode === 'new')
      throw new DirectoryError(
        'exists',
        `${text} is an alias already; use --append to give it more targets, or remove it first`,
      );
    const before = existing ? (this.#targetsOf(key) ?? []) : [];
    const after = distinct([...before, ...targets]);
    if (after.length === 0) throw new DirectoryError('invalid', `${text} needs an address to lead to`);
    if (after.length > MAX_DESTINATIONS)
      throw new DirectoryError('invalid', `an alias has at most ${MAX_DESTINATIONS} targets`);
    this.#checkTargets(name, after, targets);

    const id =
      existing ??
      this.#db
        .prepare('INSERT INTO alias (key, address, domain, created) VALUES (?, ?, ?, ?)')
        .run(key, text, domainOf(name), now).lastInsertRowid;
    this.#db.prepare('DELETE FROM alias_target WHERE alias = ?').run(id);
    const insert = this.#db.prepare(
      'INSERT INTO alias_target (alias, position, key, address) VALUES (?, ?, ?, ?)',
    );
    for (const [i, target] of after.entries()) insert.run(id, i, addressKey(target), formatAddress(target));
  }

  list(domain: Domain | undefined): readonly AliasEntry[] {
    const rows = this.#db
      .prepare<
        [Record<string, unknown>],
        { key: AddressKey; address: string; domain: Domain; created: number; target: string }
      >(
        `SELECT a.key, a.address, a.domain, a.created, t.address AS target
         FROM alias a JOIN alias_target t ON t.alias = a.id
         WHERE @domain IS NULL OR a.domain = @domain ORDER BY a.domain, a.key, t.position`,
      )
      .all({ domain: domain ?? null });
    const entries = new Map<AddressKey, { name: AliasName; targets: Address[]; createdAt: Date }>();
    for (const row of rows) {
      const target = parseAddress(row.target);
      const address = parseAddress(row.address);
      const name: AliasName = address ? { is: 'address', address } : { is: 'catch-all', domain: row.domain };
      const entry = entries.get(row.key) ?? { name, targets: [], createdAt: new Date(row.created) };
      if (target) entry.targets.push(target);
      entries.set(row.key, entry);
    }
    return [...entries.values()];
  }

  remove(name: AliasName, targets: readonly Address[] | undefined, mode: 'careful' | 'force'): void {
    const key = keyOf(name);
    const text = formatAliasName(name);
    const id = this.#find(key);
    if (id === undefined) {
      this.#checkName(name, false);
      throw new DirectoryError(
        'not-found',
        `there is no alias ${text}; "facteur alias list" shows those there are`,
      );
    }
    if (targets !== undefined) {
      for (const target of targets) {
        const { changes } = this.#db
          .prepare('DELETE FROM alias_target WHERE alias = ? AND key = ?')
          .run(id, addressKey(target));
        if (changes === 0)
          throw new DirectoryError('not-found', `${text} does not lead to ${formatAddress(target)}`);
      }
      if (this.#db.prepare('SELECT 1 FROM alias_target WHERE alias = ?').get(id) !== undefined) return;
    }
    // Where an account has the same name, what leads here goes on leading there.
    if (name.is === 'address' && !this.#all.account(key)) this.releaseTarget(name.address, mode);
    this.#db.prepare('DELETE FROM alias WHERE id = ?').run(id);
  }

  removeDomain(domain: Domain): void {
    this.#db.prepare('DELETE FROM alias WHERE domain = ?').run(domain);
  }

  /** Nothing leads to `address` or its sub-addresses afterwards. Throws `in-use` unless forced. */
  releaseTarget(address: Address, mode: 'careful' | 'force'): void {
    const key = addressKey(address);
    const leading = this.#db
      .prepare<[], { alias: number; position: number; name: string; target: string }>(
        'SELECT t.alias, t.position, a.address AS name, t.address AS target FROM alias_target t JOIN alias a ON a.id = t.alias',
      )
      .all()
      .filter(({ target }) => this.#means(target, key));
    if (leading.length === 0) return;
    if (mode === 'careful') {
      const names = [...new Set(leading.map(({ name }) => name))];
      const shown = names.slice(0, 5).join(', ') + (names.length > 5 ? ', …' : '');
      throw new DirectoryError(
        'in-use',
        `${formatAddress(address)} is a target of ${shown}; change that first, or use --force to take it out there`,
      );
    }
    const remove = this.#db.prepare('DELETE FROM alias_target WHERE alias = ? AND position = ?');
    for (const { alias, position } of leading) remove.run(alias, position);
    this.#db
      .prepare(
        'DELETE FROM alias WHERE NOT EXISTS (SELECT 1 FROM alias_target WHERE alias_target.alias = alias.id)',
      )
      .run();
  }

  #means(target: string, key: AddressKey): boolean {
    const address = parseAddress(target);
    if (!address) return false;
    if (addressKey(address) === key) return true;
    for (const { address: shorter } of stripped(address, this.delimiters))
      if (addressKey(shorter) === key) return true;
    return false;
  }

  #checkName(name: AliasName, known: boolean): void {
    const domain = domainOf(name);
    const text = formatAliasName(name);
    if (!this.#all.isLocal(domain))
      throw new DirectoryError(
        'not-found',
        `there is no domain ${domain} here; add it with "facteur domain add ${asciiDomain(domain)}"`,
      );
    if (!known && this.#targetsOf(keyOf(name)))
      throw new DirectoryError('read-only', `${text} is declared in the configuration file; change it there`);
  }

  /** Every target here must lead somewhere, and none in a circle, with the alias as it will be. */
  #checkTargets(name: AliasName, after: readonly Address[], added: readonly Address[]): void {
    const overlay = overlaid(this.#all, name, after);
    const options = { delimiters: this.delimiters, postmaster: undefined };
    const text = formatAliasName(name);
    const starts = name.is === 'address' ? [name.address, ...added] : added;
    if (starts.some((start) => route(overlay, start, options).to === 'loop'))
      throw new DirectoryError('invalid', `${text} would lead back to itself, or over too many aliases`);
    for (const target of added)
      if (route(overlay, target, options).to === 'unknown')
        throw new DirectoryError(
          'not-found',
          `${formatAddress(target)} is neither an account nor an alias here; add it first`,
        );
  }

  #find(key: AddressKey): number | bigint | undefined {
    return this.#db.prepare<[string], number>('SELECT id FROM alias WHERE key = ?').pluck().get(key);
  }

  #targetsOf(key: AddressKey): readonly Address[] | undefined {
    return key.startsWith('@') ? this.#all.catchAll(key.slice(1) as Domain) : this.#all.alias(key);
  }
}

function keyOf(name: AliasName): AddressKey {
  return name.is === 'address' ? addressKey(name.address) : catchAllKey(name.domain);
}

function domainOf(name: AliasName): Domain {
  return name.is === 'address' ? name.address.domain : name.domain;
}

function distinct(addresses: readonly Address[]): readonly Address[] {
  return [...new Map(addresses.map((address) => [addressKey(address), address])).values()];
}

/** The sources as they will be once `name` leads to `targets`. */
function overlaid(source: Source, name: AliasName, targets: readonly Address[]): Source {
  const key = keyOf(name);
  return {
    ...source,
    alias: (asked) => (name.is === 'address' && asked === key ? targets : source.alias(asked)),
    catchAll: (domain) => (catchAllKey(domain) === key ? targets : source.catchAll(domain)),
  };
}
