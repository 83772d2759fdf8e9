import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import type { CliIo } from './cli/io.ts';

// Half of a start is stripping types and compiling. What is compiled is kept beside the code, where only who may change
// the code can write; elsewhere, as in the system's temporary directory, others could put something in its place. Where
// it cannot be written nothing is kept.
const kept = join(import.meta.dirname, '../node_modules/.cache/facteur');
if (process.env['NODE_COMPILE_CACHE'] === undefined && enableCompileCache(kept).directory !== undefined)
  // For the worker threads.
  process.env['NODE_COMPILE_CACHE'] = kept;
const { run } = await import('./cli/run.ts');

/** The command line's outermost ring: the only place that knows `process`. */
const io: CliIo = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  stdin: process.stdin,
  isTTY: process.stdin.isTTY === true,
  isErrTTY: process.stderr.isTTY === true,
  env: process.env,
};

// `facteur queue list | head` is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await run(process.argv.slice(2), io);
