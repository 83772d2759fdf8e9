import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runFile } from './suite.ts';

/**
 * Runs the .svtest files below a directory: `npm run sieve:testsuite -- DIRECTORY [part of a name]`. Prints each failure,
 * a line a file, and the sum.
 */
const [root, part = ''] = process.argv.slice(2);
if (root === undefined) {
  process.stderr.write('usage: npm run sieve:testsuite -- DIRECTORY [part of a name]\n');
  process.exit(2);
}
let passed = 0;
let failed = 0;
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
  /\.svtest(?:\.in)?$/.test(name),
);
for (const file of files.sort()) {
  if (!file.includes(part)) continue;
  const { tests, failures } = await runFile(join(root, file));
  const wrong = failures.filter(({ test }) => test !== '(file)').length;
  passed += tests.length - wrong;
  failed += failures.length;
  if (failures.length > 0) process.stdout.write(`${file}: ${tests.length - wrong} of ${tests.length}\n`);
  for (const { test, reason } of failures) process.stdout.write(`  ${test}: ${reason.slice(0, 300)}\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
