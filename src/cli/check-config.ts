import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { EXIT } from './io.ts';

/** Says whether `serve` would take the configuration, and everything that is wrong with it. */
export const checkConfig: CliCommand = {
  name: 'check-config',
  summary: 'check the configuration file, without starting anything',
  usage: 'facteur check-config [--config FILE]',
  async run(_args, { io, configFile }) {
    const { file } = resolveConfig(configFile);
    io.out(
      file === null
        ? 'No configuration file: the built-in defaults are used.\n'
        : `${file}: no problems found\n`,
    );
    return EXIT.ok;
  },
};
