import { formatAliasName } from '../directory/alias-table.ts';
import type { Removal, SqliteDirectory } from '../directory/sqlite-directory.ts';
import { formatAddress } from '../mail/address.ts';
import { addressFrom, aliasNameFrom, domainFrom } from './names.ts';

/** An alias as an admin sees it; a catch-all is written `@example.org`. */
export interface AliasFacts {
  readonly address: string;
  readonly to: readonly string[];
  /** `file`: declared in the configuration file, to be changed there. */
  readonly source: 'sqlite' | 'file';
}

/** Every alias and catch-all: those of the database by domain and address, then those of the file. */
export async function listAliases(
  directory: SqliteDirectory,
  filter: { readonly domain?: string } = {},
): Promise<readonly AliasFacts[]> {
  const domain = filter.domain === undefined ? undefined : domainFrom(filter.domain);
  const { declared } = directory;
  const own = await directory.listAliases(domain === undefined ? {} : { domain });
  return [
    ...own.map(({ name, targets }): AliasFacts => {
      return { address: formatAliasName(name), to: targets.map(formatAddress), source: 'sqlite' };
    }),
    ...declared
      .aliases()
      .filter(({ address }) => domain === undefined || address.domain === domain)
      .map(({ address, targets }): AliasFacts => {
        return { address: formatAddress(address), to: targets.map(formatAddress), source: 'file' };
      }),
    ...declared
      .domains()
      .filter((name) => domain === undefined || name === domain)
      .flatMap((name): AliasFacts[] => {
        const targets = declared.catchAll(name);
        return targets ? [{ address: `@${name}`, to: targets.map(formatAddress), source: 'file' }] : [];
      }),
  ];
}

/** Makes an alias, or with `extend` gives one more targets. */
export async function addAlias(
  directory: SqliteDirectory,
  address: string,
  to: readonly string[],
  { mode }: { readonly mode: 'new' | 'extend' },
): Promise<void> {
  await directory.addAlias(aliasNameFrom(address), to.map(addressFrom), { mode });
}

/** Removes an alias, or some of its targets. */
export async function removeAlias(
  directory: SqliteDirectory,
  address: string,
  targets: readonly string[],
  removal: Removal,
): Promise<void> {
  const some = targets.length === 0 ? {} : { targets: targets.map(addressFrom) };
  await directory.removeAlias(aliasNameFrom(address), { ...removal, ...some });
}
