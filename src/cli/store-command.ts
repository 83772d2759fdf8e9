import { ControlClient, controlPath } from '../admin/control.ts';
import { accountFrom } from '../admin/names.ts';
import { remoteStoreAdmin, storeAdmin } from '../admin/store.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../lib/clock.ts';
import { asDataDirError, claimDataDir } from '../lib/data-dir.ts';
import { createLogger } from '../lib/logger.ts';
import type { MaildirStore } from '../store/maildir-store.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { runStore, STORE_USAGE } from './store.ts';

/** Asks the running daemon; while none runs, opens the accounts itself. */
export const storeCommand: CliCommand = {
  usage: STORE_USAGE,
  async run(args, { io, configFile }) {
    const { config } = resolveConfig(configFile);
    try {
      return await runStore(args, {
        io,
        dataDir: config.dataDir,
        // Also of an account that was removed: its mail may still be there.
        account: accountFrom,
        withAdmin: (work) => withStore(config, { remote: remoteStoreAdmin, local: storeAdmin }, work),
      });
    } catch (error) {
      throw asDataDirError(config.dataDir, error) ?? error;
    }
  },
};

/** The running daemon's store, or this process's own while none runs, for as long as `work` takes. */
export async function withStore<A>(
  config: Config,
  admin: { readonly remote: (client: ControlClient) => A; readonly local: (store: MaildirStore) => A },
  work: (admin: A) => Promise<number>,
): Promise<number> {
  const client = await ControlClient.connect(controlPath(config.dataDir));
  if (client) {
    try {
      return await work(admin.remote(client));
    } finally {
      client.close();
    }
  }
  const { openStore } = await import('../open/store.ts');
  const release = claimDataDir(config.dataDir);
  try {
    // Standard output is for the answer: `--json` is read by programs.
    const log = createLogger({ level: 'warn', format: config.log.format }, process.stderr);
    const store = openStore(config, { clock: systemClock, log });
    try {
      return await work(admin.local(store));
    } finally {
      await store.close();
      log.flush();
    }
  } finally {
    release();
  }
}
