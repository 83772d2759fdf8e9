/** `npm run interop:postfix`: mail to and from a Postfix that plays the world, with a table of what became of it. */
import { table } from '../../src/cli/io.ts';
import { noInternet } from './internet.ts';
import { postfixInterop } from './postfix-suite.ts';

const reason = await noInternet();
if (reason !== undefined) {
  console.error(`Not run: ${reason}.`);
  process.exit(1);
}
const rows = await postfixInterop();
console.log(
  table(rows.map((row) => [row.fine ? 'PASS' : 'FAIL', row.case, row.what, row.expected, row.found])),
);
const failed = rows.filter(({ fine }) => !fine).length;
console.log(`${rows.length - failed} of ${rows.length} as expected`);
process.exitCode = failed === 0 ? 0 : 1;
