import { expect, test } from 'vitest';
import { crashRounds } from './crash-rounds.ts';

test('25 times killed at work: what was acknowledged is there once, index and tree agree, no UID comes again', async () => {
  const { acknowledged, broken } = await crashRounds({ rounds: 25, life: [30, 250] });
  expect(broken).toEqual([]);
  expect(acknowledged).toBeGreaterThan(50);
}, 120_000);
