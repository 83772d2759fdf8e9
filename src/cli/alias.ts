import { parseArgs } from 'node:util';
import { addAlias, listAliases, removeAlias } from '../admin/aliases.ts';
import type { SqliteDirectory } from '../directory/sqlite-directory.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

export const ALIAS_USAGE = `facteur alias add ADDRESS TARGET… [--append] [--json]
facteur alias list [--domain DOMAIN] [--json]
facteur alias remove ADDRESS [TARGET…] [--force] [--json]

ADDRESS is an address of a domain here, or @DOMAIN for all that nobody has there (catch-all).
A TARGET is an address here or elsewhere; an account's own address among them keeps a copy.
--append adds targets to an alias that exists. --force takes the alias out of others that lead to it.
`;

/** `facteur alias …`: addresses that lead to others. */
export async function runAlias(
  args: readonly string[],
  io: CliIo,
  directory: SqliteDirectory,
): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean' },
      force: { type: 'boolean' },
      append: { type: 'boolean' },
      domain: { type: 'string' },
    },
  });
  const [verb, address, ...targets] = positionals;

  if (verb === 'list') {
    if (address !== undefined) throw new UsageError(`unexpected argument "${address}"`);
    const aliases = await listAliases(
      directory,
      values.domain === undefined ? {} : { domain: values.domain },
    );
    if (values.json) for (const alias of aliases) io.out(`${JSON.stringify(alias)}\n`);
    else if (aliases.length === 0) io.out('No aliases; add one with "facteur alias add ADDRESS TARGET".\n');
    else
      io.out(
        table([
          ['ALIAS', 'LEADS TO', 'WHERE'],
          ...aliases.map(({ address, to, source }) => [
            address,
            to.join(', '),
            source === 'file' ? 'configuration' : 'database',
          ]),
        ]),
      );
    return EXIT.ok;
  }
  if (verb !== 'add' && verb !== 'remove')
    throw new UsageError(verb === undefined ? 'alias needs a verb' : `alias does not know "${verb}"`);
  if (address === undefined) throw new UsageError('which alias? such as sales@example.org');

  if (verb === 'add') {
    if (targets.length === 0) throw new UsageError(`where shall ${address} lead to?`);
    await addAlias(directory, address, targets, { mode: values.append ? 'extend' : 'new' });
    io.out(
      values.json
        ? `${JSON.stringify({ alias: address, done: 'added', to: targets })}\n`
        : `${address}: ${values.append ? 'leads also' : 'leads'} to ${targets.join(', ')}\n`,
    );
    return EXIT.ok;
  }
  await removeAlias(directory, address, targets, { mode: values.force ? 'force' : 'careful' });
  io.out(
    values.json
      ? `${JSON.stringify({ alias: address, done: 'removed', ...(targets.length > 0 && { to: targets }) })}\n`
      : `${address}: ${targets.length > 0 ? `does not lead to ${targets.join(', ')} any more` : 'removed'}\n`,
  );
  return EXIT.ok;
}
