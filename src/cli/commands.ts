import { adoptCommand, releaseCommand } from './adopt-command.ts';
import { checkConfig } from './check-config.ts';
import type { CliCommand } from './command.ts';
import { accountCommand, aliasCommand, domainCommand } from './directory-command.ts';
import { exportCommand } from './export.ts';
import { importCommand } from './import.ts';
import { queueCommand } from './queue-command.ts';
import { serve } from './serve.ts';
import { storeCommand } from './store-command.ts';
import { versionCommand } from './version.ts';

/** Every subcommand, in the order the overview shows them. */
export const commands: readonly CliCommand[] = [
  serve,
  checkConfig,
  domainCommand,
  accountCommand,
  aliasCommand,
  queueCommand,
  storeCommand,
  importCommand,
  exportCommand,
  adoptCommand,
  releaseCommand,
  versionCommand,
];
