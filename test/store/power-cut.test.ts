import { expect, test } from 'vitest';
import { powerCuts } from './power-cut-rounds.ts';

test('the power fails at any step: what was acknowledged is there, no number stands for two things, all or nothing', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const { cuts, broken } = await powerCuts({ runs: 5, rounds: 12, cuts: 30, seed });
  expect(broken, `seed ${seed}`).toEqual([]);
  expect(cuts).toBeGreaterThan(100);
}, 180_000);
