import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import { defaultConfig, loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';

/** Looked for, in this order, when `--config` is not given. */
const PLACES = ['facteur.yaml', '/etc/facteur/facteur.yaml'];

/** Without a file: a server to try, on loopback, on ports that need no privilege. */
export const TRIAL: object = {
  listeners: {
    smtp: [{ host: '127.0.0.1', port: 2525 }],
    submission: [{ host: '127.0.0.1', port: 2587 }],
    submissions: [{ host: '127.0.0.1', port: 2465 }],
    imap: [{ host: '127.0.0.1', port: 2143 }],
    imaps: [{ host: '127.0.0.1', port: 2993 }],
    pop3: [{ host: '127.0.0.1', port: 2110 }],
    pop3s: [{ host: '127.0.0.1', port: 2995 }],
    managesieve: [{ host: '127.0.0.1', port: 4190 }],
  },
};

export interface FoundConfig {
  readonly config: Config;
  /** null: the built-in trial defaults. */
  readonly file: string | null;
}

/** Reads the configuration the command is to use. Relative paths count from the file's folder. Throws ConfigError. */
export function resolveConfig(given: string | undefined): FoundConfig {
  const file = given ?? PLACES.find((place) => existsSync(place));
  if (file === undefined) return { config: withHostname(defaultConfig(TRIAL, process.cwd())), file: null };
  return { config: withHostname(loadConfig(file, dirname(resolve(file)))), file };
}

/** `hostname: null` is the system's name, where that is a full one. */
function withHostname(config: Config): Config {
  return config.hostname === null ? { ...config, hostname: systemName() } : config;
}

function systemName(): string {
  const name = hostname().toLowerCase();
  return /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(name) ? name : 'localhost';
}
