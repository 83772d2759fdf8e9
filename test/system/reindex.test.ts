import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { reindex } from './reindex.ts';

const missing = spawnSync('sh', ['-c', 'command -v mbsync']).status !== 0;
if (missing) console.log('the index deleted under load skipped: mbsync is not installed');

test.skipIf(missing)('the index deleted under load: nobody notices', async () => {
  const report = await reindex({ messages: 3000, during: 6000, progress: () => {} });
  console.log(JSON.stringify(report));
  expect(report.faults).toEqual([]);
  expect(report.delivered).toBeGreaterThan(10);
  expect(report.syncs).toBeGreaterThan(1);
});
