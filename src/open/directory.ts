import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { FileDirectory } from '../directory/file-directory.ts';
import type { Passwords } from '../directory/password.ts';
import { SqliteDirectory, type SqliteDirectorySettings } from '../directory/sqlite-directory.ts';
import type { Clock } from '../lib/clock.ts';

/** The directory of a configuration, for the daemon and for the command line beside it. */
export function openDirectory(config: Config, clock: Clock, passwords: Passwords): SqliteDirectory {
  return new SqliteDirectory({
    path: join(config.dataDir, 'directory.sqlite'),
    clock,
    passwords,
    declared: new FileDirectory(config.directory),
    ...sqliteSettings(config),
  });
}

/** What of its settings follows the configuration. */
export function sqliteSettings(config: Config): SqliteDirectorySettings {
  return {
    recipientDelimiters: config.directory.recipientDelimiters,
    sharedSecrets: config.auth.cramMd5 ? { keyFile: join(config.dataDir, 'secrets.key') } : null,
  };
}
