import type { Removal, SqliteDirectory } from '../directory/sqlite-directory.ts';
import { formatAddress } from '../mail/address.ts';
import { domainFrom } from './names.ts';

/** A domain as an admin sees it. */
export interface DomainFacts {
  readonly name: string;
  readonly accounts: number;
  readonly aliases: number;
  /** Who gets what is for nobody else; empty without a catch-all. */
  readonly catchAll: readonly string[];
  /** `file`: declared in the configuration file, to be changed there. */
  readonly source: 'sqlite' | 'file';
}

/** All domains whose mail stays here, by name. */
export async function listDomains(directory: SqliteDirectory): Promise<readonly DomainFacts[]> {
  directory.refresh();
  const { declared } = directory;
  const own = await directory.listDomains();
  const facts = own.map(({ name, accounts, aliases }): DomainFacts => {
    const catchAll = (directory.catchAll(name) ?? []).map(formatAddress);
    return { name, accounts, aliases, catchAll, source: 'sqlite' };
  });
  for (const name of declared.domains()) {
    if (own.some((domain) => domain.name === name)) continue;
    const here = await directory.listAccounts({ domain: name, limit: 0 });
    const aliases = await directory.listAliases({ domain: name });
    facts.push({
      name,
      accounts: here.total + declared.accounts().filter(({ address }) => address.domain === name).length,
      aliases: aliases.length + declared.aliases().filter(({ address }) => address.domain === name).length,
      catchAll: (directory.catchAll(name) ?? declared.catchAll(name) ?? []).map(formatAddress),
      source: 'file',
    });
  }
  return facts.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Takes mail for the domain from now on. Resolves to its name as it is kept. */
export async function addDomain(directory: SqliteDirectory, name: string): Promise<string> {
  const domain = domainFrom(name);
  await directory.addDomain(domain);
  return domain;
}

/** Refuses while the domain has accounts or aliases; `force` removes those too, but no mail. */
export async function removeDomain(
  directory: SqliteDirectory,
  name: string,
  removal: Removal,
): Promise<string> {
  const domain = domainFrom(name);
  await directory.removeDomain(domain, removal);
  return domain;
}
