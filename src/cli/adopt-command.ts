import { join } from 'node:path';
import { type AdoptionAdmin, adoptionAdmin, remoteAdoptionAdmin } from '../admin/adopt.ts';
import { ControlClient, controlPath } from '../admin/control.ts';
import { addressFrom } from '../admin/names.ts';
import type { Config } from '../config/schema.ts';
import { addressKey } from '../directory/address-key.ts';
import type { AccountId } from '../directory/directory.ts';
import { DirectoryError } from '../directory/errors.ts';
import { Passwords } from '../directory/password.ts';
import { systemClock } from '../lib/clock.ts';
import { asDataDirError, claimDataDir, DataDirError, prepareDataDir } from '../lib/data-dir.ts';
import { createLogger } from '../lib/logger.ts';
import { holdLock } from '../lib/sqlite.ts';
import { openDirectory } from '../open/directory.ts';
import { uidlFormatOf } from '../pop3/uidl.ts';
import { ADOPT_USAGE, type AdoptionWorld, RELEASE_USAGE, runAdopt, runRelease } from './adopt.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';

/** Works on the tree itself; asks the running daemon for what belongs to it. */
function adoptionCommand(
  usage: string,
  run: (args: readonly string[], world: AdoptionWorld) => Promise<number>,
): CliCommand {
  return {
    usage,
    async run(args, { io, configFile }) {
      const { config } = resolveConfig(configFile);
      prepareDataDir(config.dataDir);
      const passwords = new Passwords();
      try {
        return await run(args, {
          io,
          clock: systemClock,
          dataDir: config.dataDir,
          defaultFolders: config.store.defaultFolders,
          uidl: uidlFormatOf(config.pop3.uidl).text,
          account: (address) => accountOf(config, passwords, address),
          withAdmin: (work) => withAdmin(config, work),
        });
      } catch (error) {
        throw asDataDirError(config.dataDir, error) ?? error;
      } finally {
        await passwords.close();
      }
    },
  };
}

export const adoptCommand: CliCommand = adoptionCommand(ADOPT_USAGE, runAdopt);

export const releaseCommand: CliCommand = adoptionCommand(RELEASE_USAGE, runRelease);

function accountOf(config: Config, passwords: Passwords, text: string): AccountId {
  const key = addressKey(addressFrom(text));
  const directory = openDirectory(config, systemClock, passwords);
  try {
    const account = directory.account(key) ?? directory.declared.account(key);
    if (!account)
      throw new DirectoryError(
        'not-found',
        `there is no account ${text}; "facteur account add ${text}" makes it`,
      );
    return account.id;
  } finally {
    directory.close();
  }
}

/** One such command at a time, and no daemon may start in the middle of it. */
async function withAdmin<T>(config: Config, work: (admin: AdoptionAdmin) => Promise<T>): Promise<T> {
  const unlock = holdLock(join(config.dataDir, 'adopt.lock'));
  if (!unlock) throw new DataDirError('another "facteur adopt" or "facteur release" is at work; wait for it');
  try {
    const client = await ControlClient.connect(controlPath(config.dataDir));
    if (client) {
      try {
        return await work(remoteAdoptionAdmin(client));
      } finally {
        client.close();
      }
    }
    const { openStore } = await import('../open/store.ts');
    const release = claimDataDir(config.dataDir);
    try {
      // Standard output is for the answer: `--json` is read by programs. That an index is missing is no news here.
      const log = createLogger({ level: 'error', format: config.log.format }, process.stderr);
      const store = openStore(config, { clock: systemClock, log });
      try {
        return await work(adoptionAdmin(store));
      } finally {
        await store.close();
        log.flush();
      }
    } finally {
      release();
    }
  } finally {
    unlock();
  }
}
