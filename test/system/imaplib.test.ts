import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startWorld, type World } from '../world.ts';

/** Python's imaplib and poplib, which half of the world's scripts use: a whole session of each. */

const ALICE = 'alice@example.org';
const PASSWORD = 'wonder Land.1';
const SCRIPT = fileURLToPath(new URL('imaplib_session.py', import.meta.url));

const isMissing = spawnSync('python3', ['-c', 'import imaplib, poplib, ssl']).status !== 0;
if (isMissing) console.log('python3 is not installed: the test of imaplib and poplib is left out');

describe.skipIf(isMissing)('imaplib and poplib', () => {
  let world: World;

  beforeAll(async () => {
    world = await startWorld({ accounts: { [ALICE]: PASSWORD } });
  });
  afterAll(() => world?.close());

  test('do all that they can', { timeout: 30_000 }, async () => {
    const ports = [world.port('imap'), world.port('pop3')].map(String);
    const python = spawn('python3', [SCRIPT, ...ports, ALICE, PASSWORD], {
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [python.stdout, python.stderr])
      stream.on('data', (chunk: Buffer) => {
        said += chunk.toString();
      });
    const timer = setTimeout(() => python.kill('SIGKILL'), 20_000);
    const [status] = await once(python, 'close');
    clearTimeout(timer);
    expect({ status, said }).toEqual({ status: 0, said: 'all as it should be\n' });
    expect(world.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
