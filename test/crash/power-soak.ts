/**
 * `npm run soak:power -- [--runs 100] [--rounds 12] [--cuts 200] [--seed N]`: the long version of the test of power
 * cuts on a simulated disk. Exits with 1 when a promise was broken.
 */
import { parseArgs } from 'node:util';
import { powerCuts } from '../store/power-cut-rounds.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100' },
    rounds: { type: 'string', default: '12' },
    cuts: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
});
const { cuts, broken } = await powerCuts({
  runs: Number(values.runs),
  rounds: Number(values.rounds),
  cuts: Number(values.cuts),
  seed: Number(values.seed),
  progress: (text) => console.log(text),
});
for (const line of broken) console.log(line);
console.log(`${cuts} cuts, ${broken.length} broken promises`);
process.exitCode = broken.length > 0 ? 1 : 0;
