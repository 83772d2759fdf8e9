import { ConfigError } from '../config/problem.ts';
import { commands } from './commands.ts';
import { isExpected } from './expected.ts';
import { type CliIo, EXIT, UsageError } from './io.ts';

/**
 * The command line: finds the subcommand, runs it, turns what it throws into words and an exit code
 * (0 done, 1 refused or failed, 2 not understood).
 */
export async function run(args: readonly string[], io: CliIo): Promise<number> {
  const { config, rest, help } = globalOptions(args);
  if (config === '') {
    io.err(`facteur: --config needs the name of a file\n\n${overview()}`);
    return EXIT.usage;
  }
  const [name, ...words] = rest;
  if (name === undefined || name === 'help') {
    (name === 'help' || help ? io.out : io.err)(overview());
    return name === 'help' || help ? EXIT.ok : EXIT.usage;
  }
  if (name === '--version' || name === '-v') return run(['version'], io);
  const entry = commands.find((candidate) => candidate.name === name);
  if (!entry) {
    io.err(`facteur: there is no command "${name}"\n\n${overview()}`);
    return EXIT.usage;
  }
  const command = await entry.load();
  if (help) {
    io.out(`${command.usage}\n`);
    return EXIT.ok;
  }
  try {
    return await command.run(words, { io, configFile: config });
  } catch (error) {
    return explain(error, command.usage, io);
  }
}

/** What went wrong, for the person who typed it. Only a bug shows a stack. */
function explain(error: unknown, usage: string, io: CliIo): number {
  if (error instanceof UsageError || isParseArgsError(error)) {
    io.err(`facteur: ${(error as Error).message}\n\n${usage}\n`);
    return EXIT.usage;
  }
  if (error instanceof ConfigError) io.err(`${error.message}\n`);
  else if (isExpected(error)) io.err(`facteur: ${error.message}\n`);
  else io.err(`facteur: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failed;
}

function isParseArgsError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
}

function globalOptions(args: readonly string[]): {
  readonly config: string | undefined;
  readonly rest: readonly string[];
  readonly help: boolean;
} {
  const rest: string[] = [];
  let config: string | undefined;
  let help = false;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    if (arg === '--') {
      rest.push(...args.slice(i));
      break;
    }
    if (arg === '--config' || arg === '-c') config = args[++i] ?? '';
    else if (arg.startsWith('--config=')) config = arg.slice('--config='.length);
    else if (arg === '--help' || arg === '-h') help = true;
    else rest.push(arg);
  }
  if (help && rest.length === 0) rest.push('help');
  return { config, rest, help };
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `facteur: a complete mail server

${lines.join('\n')}

Every command takes --config FILE; without it ./facteur.yaml or /etc/facteur/facteur.yaml is read where there is one.
"facteur COMMAND --help" says more.
`;
}
