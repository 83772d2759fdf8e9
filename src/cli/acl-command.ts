import { aclAdmin, remoteAclAdmin } from '../admin/acl.ts';
import { asDataDirError } from '../lib/data-dir.ts';
import { ACL_USAGE, runAcl } from './acl.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { withStore } from './store-command.ts';

/** Asks the running daemon; while none runs, opens the account itself. */
export const aclCommand: CliCommand = {
  usage: ACL_USAGE,
  async run(args, { io, configFile }) {
    const { config } = resolveConfig(configFile);
    try {
      return await runAcl(args, {
        io,
        dataDir: config.dataDir,
        withAdmin: (work) => withStore(config, { remote: remoteAclAdmin, local: aclAdmin }, work),
      });
    } catch (error) {
      throw asDataDirError(config.dataDir, error) ?? error;
    }
  },
};
