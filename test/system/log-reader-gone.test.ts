import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { place } from '../processes.ts';

/** `facteur serve | head`: the end of whoever reads the log is not in the way of ours. */
test('nobody reads the log any more: SIGTERM ends the daemon all the same', async () => {
  const at = place({ listeners: { smtp: [{ host: '127.0.0.1', port: 0 }] } });
  const daemon = spawn(
    process.execPath,
    [join(import.meta.dirname, '../../bin/facteur.js'), '--config', at.file, 'serve'],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  let log = '';
  for await (const chunk of daemon.stdout) {
    log += String(chunk);
    if (log.includes('"started"')) break;
  }
  daemon.stdout.destroy();
  const ended = once(daemon, 'exit');
  daemon.kill('SIGTERM');
  const timer = setTimeout(() => daemon.kill('SIGKILL'), 20_000);
  const [code] = await ended;
  clearTimeout(timer);
  at.remove();
  expect(code).toBe(0);
});
