/**
 * `npm run soak:store -- [--rounds 1000]`: the long version of the crash test of the store. Exits with 1 when a promise
 * was broken.
 */
import { parseArgs } from 'node:util';
import { crashRounds } from '../store/crash-rounds.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '1000' } } });
const rounds = Number(values.rounds);
const { acknowledged, messages, broken } = await crashRounds({
  rounds,
  life: [30, 600],
  progress: (text) => console.log(text),
});
for (const line of broken) console.log(line);
console.log(
  `${rounds} kills: ${acknowledged} operations acknowledged, ${messages} messages at the end, ${broken.length} broken promises`,
);
process.exitCode = broken.length > 0 ? 1 : 0;
