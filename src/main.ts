import type { CliIo } from './cli/io.ts';
import { run } from './cli/run.ts';

/** The command line's outermost ring: the only place that knows `process`. */
const io: CliIo = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  stdin: process.stdin,
  isTTY: process.stdin.isTTY === true,
};

// `facteur queue list | head` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), io);
