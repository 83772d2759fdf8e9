import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { clientsFolder, runClients } from './client-suite.ts';

/** The quickest of the real mail programs that need no DNS; `npm run clients` runs them all. */
const QUICK = ['msmtp', 'mpop', 'curl', 'imapfilter'];

/** What the harness itself is made of. */
const NEEDED = ['bash', 'openssl', 'python3', 'curl'];

/** ManageSieve comes with Sieve: nothing listens there. */
const WITHOUT_SIEVE = /^FAIL connect\/sieve:/;

const reason = cannotRun();
if (reason !== undefined) console.log(`real mail programs skipped: ${reason}`);

describe.skipIf(reason !== undefined)('real mail programs', () => {
  const there = QUICK.filter(installed);
  const missing = QUICK.filter((program) => !there.includes(program));
  if (missing.length > 0) console.log(`not installed, not tried: ${missing.join(', ')}`);

  test.skipIf(there.length === 0)(
    `${there.join(', ')} work with Facteur`,
    async () => {
      const { checks } = await runClients({ only: there.join(',') });
      expect(checks.filter((line) => line.startsWith('FAIL ') && !WITHOUT_SIEVE.test(line))).toEqual([]);
      for (const client of there)
        expect(checks.filter((line) => line.startsWith(`PASS ${client}/`)).length, client).toBeGreaterThan(
          10,
        );
    },
    300_000,
  );
});

function cannotRun(): string | undefined {
  if (!existsSync(clientsFolder)) return 'no ../shared/clients beside this checkout';
  const missing = NEEDED.filter((program) => !installed(program));
  return missing.length > 0 ? `not installed: ${missing.join(', ')}` : undefined;
}

function installed(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}
