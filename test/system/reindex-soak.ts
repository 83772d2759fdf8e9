/**
 * `npm run soak:reindex -- [--messages 100000] [--seconds 60]`: the long version of reindex.test.ts. Exits with 1 when
 * anybody noticed.
 */
import { parseArgs } from 'node:util';
import { reindex } from './reindex.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '60' },
  },
});
const report = await reindex({
  messages: Number(values.messages),
  during: Number(values.seconds) * 1000,
  progress: (text) => console.log(text),
});
console.log(report);
process.exitCode = report.faults.length > 0 ? 1 : 0;
