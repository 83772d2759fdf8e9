/**
 * `npm run clients -- [--only mbsync,curl] [--skip …] [--internet]`: runs the real mail programs of
 * ../shared/clients against this checkout. With --internet it also starts the harness's DNS and remote MTA. The
 * programs must be installed (its install.sh does that).
 */
import { parseArgs } from 'node:util';
import { runClients } from './client-suite.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    skip: { type: 'string' },
    internet: { type: 'boolean', default: false },
    out: { type: 'string' },
    modules: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

const { status, kept } = await runClients({
  ...values,
  keep: values.keep ? 'always' : 'failed',
  print: (text) => void process.stdout.write(text),
});
if (kept !== undefined) console.log(`kept: ${kept}`);
process.exitCode = status ?? 1;
