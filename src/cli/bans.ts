import { parseArgs } from 'node:util';
import type { BanEntry } from '../admin/bans.ts';
import { ControlClient, ControlError, controlPath } from '../admin/control.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { type CliIo, EXIT, table, UsageError } from './io.ts';

const USAGE = `facteur bans list [--json]
facteur bans remove ADDRESS-OR-NAME [--json]

Addresses and login names with so many failed logins that further ones are refused for a time (auth.bans). They are in
the memory of the running daemon and end by themselves.
`;

/** `facteur bans …`: asks the running daemon, the only one that knows. */
export const bansCommand: CliCommand = {
  usage: USAGE,
  async run(args, { io, configFile }) {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: 'boolean' } },
    });
    const [verb, name, ...rest] = positionals;
    if (verb !== 'list' && verb !== 'remove')
      throw new UsageError(verb === undefined ? 'bans needs a verb' : `bans does not know "${verb}"`);
    const unexpected = verb === 'list' ? name : rest[0];
    if (unexpected !== undefined) throw new UsageError(`unexpected argument "${unexpected}"`);
    if (verb === 'remove' && name === undefined)
      throw new UsageError('which ban? an address, or a login name');
    const { config } = resolveConfig(configFile);
    const client = await ControlClient.connect(controlPath(config.dataDir));
    if (!client) throw new ControlError('no facteur is running: there are no bans');
    try {
      const json = values.json === true;
      return verb === 'list' ? await list(client, io, json) : await remove(client, io, name ?? '', json);
    } finally {
      client.close();
    }
  },
};

async function list(client: ControlClient, io: CliIo, json: boolean): Promise<number> {
  const bans = (await client.call('bans.list', null)) as readonly BanEntry[];
  if (json) for (const ban of bans) io.out(`${JSON.stringify(ban)}\n`);
  else if (bans.length === 0) io.out('No bans.\n');
  else
    io.out(
      table([
        ['BANNED', 'KIND', 'FAILURES', 'UNTIL'],
        ...bans.map(({ name, kind, failures, until }) => [name, kind, String(failures), until]),
      ]),
    );
  return EXIT.ok;
}

async function remove(client: ControlClient, io: CliIo, name: string, json: boolean): Promise<number> {
  const lifted = await client.call('bans.remove', name);
  if (json) io.out(`${JSON.stringify({ name, done: lifted ? 'removed' : 'not-found' })}\n`);
  else io.out(lifted ? `${name}: no longer banned\n` : `${name} is not banned\n`);
  return lifted ? EXIT.ok : EXIT.failed;
}
