import { parseArgs } from 'node:util';
import { ConfigError } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { listensAnywhere, unserved } from '../listeners.ts';
import type { CliCommand } from './command.ts';
import { resolveConfig } from './config-file.ts';
import { type CliIo, EXIT } from './io.ts';

/** Says whether `serve` would take the configuration, and everything that is wrong with it. */
export const checkConfig: CliCommand = {
  usage: 'facteur check-config [--config FILE] [--json]',
  async run(args, { io, configFile }) {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean' } } });
    return values.json ? checkForPrograms(io, configFile) : checkForPeople(io, configFile);
  },
};

function checkForPeople(io: CliIo, configFile: string | undefined): number {
  const { file, config } = resolveConfig(configFile);
  for (const warning of warningsAbout(config)) io.out(`warning: ${warning}\n`);
  io.out(
    file === null
      ? 'No configuration file: the built-in defaults are used.\n'
      : `${file}: no problems found\n`,
  );
  return EXIT.ok;
}

function checkForPrograms(io: CliIo, configFile: string | undefined): number {
  try {
    const { file, config } = resolveConfig(configFile);
    io.out(`${JSON.stringify({ file, problems: [], warnings: warningsAbout(config) })}\n`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    io.out(`${JSON.stringify({ file: error.file, problems: error.problems, warnings: [] })}\n`);
    return EXIT.failed;
  }
}

/** What is allowed and will surprise. */
function warningsAbout(config: Config): string[] {
  return [
    ...(listensAnywhere(config) ? [] : ['no listener that this version serves: facteur will not start']),
    ...unserved(config).map((service) => `listeners.${service} is not served in this version`),
  ];
}
