import { Passwords } from '../directory/password.ts';
import type { SqliteDirectory } from '../directory/sqlite-directory.ts';
import { systemClock } from '../lib/clock.ts';
import { asDataDirError, prepareDataDir } from '../lib/data-dir.ts';
import { openDirectory } from '../open/directory.ts';
import { ACCOUNT_USAGE, runAccount } from './account.ts';
import { ALIAS_USAGE, runAlias } from './alias.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { DOMAIN_USAGE, runDomain } from './domain.ts';
import type { CliIo } from './io.ts';

type Run = (args: readonly string[], io: CliIo, directory: SqliteDirectory) => Promise<number>;

/** Works on the directory's file itself: a running daemon sees what is committed with its next question. */
function directoryCommand(usage: string, run: Run): CliCommand {
  return {
    usage,
    async run(args, { io, configFile }) {
      const { config } = resolveConfig(configFile);
      prepareDataDir(config.dataDir);
      const passwords = new Passwords();
      let directory: SqliteDirectory | undefined;
      try {
        directory = openDirectory(config, systemClock, passwords);
        return await run(args, io, directory);
      } catch (error) {
        throw asDataDirError(config.dataDir, error) ?? error;
      } finally {
        directory?.close();
        await passwords.close();
      }
    },
  };
}

export const domainCommand: CliCommand = directoryCommand(DOMAIN_USAGE, runDomain);

export const accountCommand: CliCommand = directoryCommand(ACCOUNT_USAGE, runAccount);

export const aliasCommand: CliCommand = directoryCommand(ALIAS_USAGE, runAlias);
