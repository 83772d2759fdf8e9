import { SieveError } from '../sieve/errors.ts';
import { EXIT } from './io.ts';
import { readInput, type SieveWorld, scriptsOf, tellMistakes } from './sieve-world.ts';

/** `facteur sieve check`. */
export function checkScripts(world: SieveWorld, paths: readonly string[]): number {
  const { io, config, form } = world;
  const scripts = scriptsOf(config);
  let bad = 0;
  for (const path of paths) {
    try {
      const { warnings } = scripts.compile(readInput(path).toString('utf8'));
      if (form === 'json') io.out(`${JSON.stringify({ type: 'good', script: path, warnings })}\n`);
      else {
        for (const { line, column, message } of warnings)
          io.err(`${path}:${line}:${column}: warning: ${message}\n`);
        io.out(`${path}: no mistakes\n`);
      }
    } catch (error) {
      if (!(error instanceof SieveError)) throw error;
      bad++;
      tellMistakes(world, path, error);
    }
  }
  return bad > 0 ? EXIT.failed : EXIT.ok;
}
