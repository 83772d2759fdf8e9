import type { CliIo } from './io.ts';

/** What the overview and the search for a command need. */
export interface CliEntry {
  readonly name: string;
  /** One line in the overview. */
  readonly summary: string;
  /** Reads the code of the command and of the rooms it works with. */
  load(): Promise<CliCommand>;
}

/** One subcommand: `facteur NAME …`. */
export interface CliCommand {
  /** What `--help` and a usage error show. */
  readonly usage: string;
  /** Resolves to the exit code. Throws UsageError, ConfigError, or a room's own error with words for people. */
  run(args: readonly string[], world: CliWorld): Promise<number>;
}

export interface CliWorld {
  readonly io: CliIo;
  /** `--config`, as typed. */
  readonly configFile: string | undefined;
}
