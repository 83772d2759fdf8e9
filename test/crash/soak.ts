/**
 * `npm run soak:crash -- [--rounds 200]`: the long version of the crash test. Exits with 1 when a message was lost,
 * doubled or torn, or an account's index does not say what its Maildir does.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { crashRounds } from './crash.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '200' } } });
const dir = mkdtempSync(join(tmpdir(), 'facteur-soak-'));
const report = await crashRounds({
  dir,
  rounds: Number(values.rounds),
  connections: 8,
  size: 2000,
  life: [50, 2000],
  progress: (text) => console.log(text),
});
console.log(report);
const { lost, doubled, refusedButDelivered, notSentOn, torn, disagreements } = report;
const bad = [lost, doubled, refusedButDelivered, notSentOn, torn, disagreements].flat().length;
if (bad > 0) console.log(`kept: ${dir}`);
else rmSync(dir, { recursive: true, force: true });
process.exitCode = bad > 0 ? 1 : 0;
