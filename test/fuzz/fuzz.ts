/**
 * `npm run fuzz -- [--seconds 60] [--seed N] [--only imap,mime]`: millions of mutated inputs through each target of
 * targets.ts. Stops at the first that fails and prints it, made as short as it goes, with the seed that makes it again.
 */
import { parseArgs } from 'node:util';
import { fuzz } from './run.ts';
import { targets } from './targets.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const only = values.only?.split(',');
for (const target of targets.filter(({ name }) => only?.includes(name) !== false)) {
  const since = performance.now();
  const { inputs, found } = fuzz(target, { seed: Number(values.seed), ms: Number(values.seconds) * 1000 });
  const seconds = (performance.now() - since) / 1000;
  console.log(`${target.name}: ${inputs} inputs, ${Math.round(inputs / seconds)} a second`);
  if (!found) continue;
  console.log(`${found.error}\nseed ${found.seed}, input ${JSON.stringify(found.input)}`);
  process.exitCode = 1;
  break;
}
