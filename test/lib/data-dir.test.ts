import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimDataDir, DataDirError, isClaimed } from '../../src/lib/data-dir.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'facteur-data-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('a second claim is refused until the first is given back', () => {
  const dir = join(base, 'deep/data');
  const release = claimDataDir(dir);
  expect(isClaimed(dir)).toBe(true);
  expect(() => claimDataDir(dir)).toThrow(/in use by another facteur/);
  release();
  expect(isClaimed(dir)).toBe(false);
  claimDataDir(dir)();
});

test('a killed process leaves no lock behind', async () => {
  const module = new URL('../../src/lib/data-dir.ts', import.meta.url).href;
  const script = `const { claimDataDir } = await import(${JSON.stringify(module)});
    claimDataDir(${JSON.stringify(base)}); console.log('claimed'); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(() => claimDataDir(base)).toThrow(new RegExp(`process ${child.pid}`));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  claimDataDir(base)();
});

test('the data of a newer version is left alone', () => {
  claimDataDir(base)();
  writeFileSync(join(base, 'version'), '99\n');
  expect(() => claimDataDir(base)).toThrow(DataDirError);
  expect(() => claimDataDir(base)).toThrow(/version 99/);
});

test('a file in the way is named', () => {
  const file = join(base, 'file');
  writeFileSync(file, '');
  expect(() => claimDataDir(file)).toThrow(/a file is in the way/);
});
