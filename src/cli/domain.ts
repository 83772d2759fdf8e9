import { parseArgs } from 'node:util';
import { addDomain, listDomains, removeDomain } from '../admin/domains.ts';
import type { SqliteDirectory } from '../directory/sqlite-directory.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

export const DOMAIN_USAGE = `facteur domain add DOMAIN [--json]
facteur domain list [--json]
facteur domain remove DOMAIN [--force] [--json]   --force removes its accounts and aliases too (no mail)
`;

/** `facteur domain …`: the domains whose mail stays here. */
export async function runDomain(
  args: readonly string[],
  io: CliIo,
  directory: SqliteDirectory,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { json: { type: 'boolean' }, force: { type: 'boolean' } },
  });
  const [verb, name, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`unexpected argument "${rest[0]}"`);
  const say = (done: string, domain: string): number => {
    io.out(values.json ? `${JSON.stringify({ domain, done })}\n` : `${domain}: ${done}\n`);
    return EXIT.ok;
  };

  switch (verb) {
    case 'list': {
      if (name !== undefined) throw new UsageError(`unexpected argument "${name}"`);
      const domains = await listDomains(directory);
      if (values.json) for (const domain of domains) io.out(`${JSON.stringify(domain)}\n`);
      else if (domains.length === 0) io.out('No domains yet; add one with "facteur domain add DOMAIN".\n');
      else
        io.out(
          table([
            ['DOMAIN', 'ACCOUNTS', 'ALIASES', 'CATCH-ALL', 'WHERE'],
            ...domains.map(({ name, accounts, aliases, catchAll, source }) => [
              name,
              String(accounts),
              String(aliases),
              catchAll.join(', ') || '-',
              source === 'file' ? 'configuration' : 'database',
            ]),
          ]),
        );
      return EXIT.ok;
    }
    case 'add':
      return say('added', await addDomain(directory, needed(name)));
    case 'remove': {
      const mode = values.force ? 'force' : 'careful';
      return say('removed', await removeDomain(directory, needed(name), { mode }));
    }
    default:
      throw new UsageError(verb === undefined ? 'domain needs a verb' : `domain does not know "${verb}"`);
  }
}

function needed(name: string | undefined): string {
  if (name === undefined) throw new UsageError('which domain? such as example.org');
  return name;
}
