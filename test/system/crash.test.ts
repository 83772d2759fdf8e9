import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { crashRounds } from '../crash/crash.ts';

const dir = mkdtempSync(join(tmpdir(), 'facteur-crash-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('ten SIGKILLs under SMTP load lose, double and tear nothing that was answered 250', async () => {
  const report = await crashRounds({ dir, rounds: 10, connections: 6, size: 2000, life: [100, 1200] });
  expect(report.acknowledged).toBeGreaterThan(20);
  expect(report.lost).toEqual([]);
  expect(report.doubled).toEqual([]);
  expect(report.refusedButDelivered).toEqual([]);
  expect(report.notSentOn).toEqual([]);
  expect(report.torn).toEqual([]);
  expect(report.disagreements).toEqual([]);
}, 180_000);
