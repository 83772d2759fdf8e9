import { type Address, type Domain, formatAddress, parseAddress, parseDomain } from '../mail/address.ts';
import { type AddressKey, addressKey } from './address-key.ts';
import type { Account, AccountId } from './directory.ts';
import { DirectoryError } from './errors.ts';
import type { Declared } from './options.ts';
import type { Credentials, Source } from './source.ts';
import { parseStoredHash } from './stored-hash.ts';

interface FileAccount {
  readonly account: Account;
  readonly credentials: Credentials;
}

interface Content {
  readonly domains: ReadonlyMap<Domain, readonly Address[] | undefined>;
  readonly accounts: ReadonlyMap<AddressKey, FileAccount>;
  readonly aliases: ReadonlyMap<
    AddressKey,
    { readonly address: Address; readonly targets: readonly Address[] }
  >;
}

/** What the configuration file declares. Read-only: it changes when the file is read again. */
export class FileDirectory implements Source {
  #content: Content;

  /** @throws DirectoryError `invalid` when something declared cannot be: validation should have said so. */
  constructor(declared: Declared) {
    this.#content = read(declared);
  }

  /** The file was read again. Keeps the old content when the new one is refused. */
  replace(declared: Declared): void {
    this.#content = read(declared);
  }

  refresh(): void {}

  isLocal(domain: Domain): boolean {
    return this.#content.domains.has(domain);
  }

  account(key: AddressKey): Account | undefined {
    return this.#content.accounts.get(key)?.account;
  }

  alias(key: AddressKey): readonly Address[] | undefined {
    return this.#content.aliases.get(key)?.targets;
  }

  catchAll(domain: Domain): readonly Address[] | undefined {
    return this.#content.domains.get(domain);
  }

  domains(): readonly Domain[] {
    return [...this.#content.domains.keys()];
  }

  firstAccount(domain: Domain): Account | undefined {
    return this.accounts().find((account) => account.enabled && account.address.domain === domain);
  }

  credentials(key: AddressKey): Credentials | undefined {
    return this.#content.accounts.get(key)?.credentials;
  }

  sharedSecret(): undefined {
    return undefined;
  }

  upgrade(): void {}

  allHaveScram(): boolean {
    return [...this.#content.accounts.values()].every(
      ({ account, credentials }) => !account.enabled || credentials.scram !== undefined,
    );
  }

  /** In the order of the file. */
  accounts(): readonly Account[] {
    return [...this.#content.accounts.values()].map(({ account }) => account);
  }

  /** In the order of the file. */
  aliases(): readonly { readonly address: Address; readonly targets: readonly Address[] }[] {
    return [...this.#content.aliases.values()];
  }
}

function read(declared: Declared): Content {
  const domains = new Map<Domain, readonly Address[] | undefined>();
  for (const { name, catchAll } of declared.domains) {
    const domain = parseDomain(name);
    if (domain === undefined) throw new DirectoryError('invalid', `"${name}" is not a domain`);
    domains.set(domain, catchAll === undefined ? undefined : [addressOf(catchAll)]);
  }
  const accounts = new Map<AddressKey, FileAccount>();
  for (const { address: text, password, quota, enabled, ...limits } of declared.accounts) {
    const address = addressOf(text);
    const account: Account = {
      id: formatAddress(address) as AccountId,
      address,
      quotaBytes: quota ?? null,
      quotaMessages: limits.quotaMessages ?? null,
      quotaMailboxes: limits.quotaMailboxes ?? null,
      enabled: enabled ?? true,
      source: 'file',
    };
    accounts.set(addressKey(address), { account, credentials: credentialsOf(text, password) });
  }
  const aliases = new Map<AddressKey, { address: Address; targets: readonly Address[] }>();
  for (const { address: text, to } of declared.aliases) {
    const address = addressOf(text);
    aliases.set(addressKey(address), { address, targets: to.map(addressOf) });
  }
  return { domains, accounts, aliases };
}

function credentialsOf(address: string, hash: string): Credentials {
  const stored = parseStoredHash(hash);
  if (stored.is === 'plain')
    throw new DirectoryError('invalid', `the password of ${address} must be a hash, not the password itself`);
  return { hash, scram: stored.is === 'scram' ? stored : undefined };
}

function addressOf(text: string): Address {
  const address = parseAddress(text);
  if (!address) throw new DirectoryError('invalid', `"${text}" is not an address`);
  return address;
}
