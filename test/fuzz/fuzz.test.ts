import { describe, expect, test } from 'vitest';
import { minimise } from './mutate.ts';
import { fuzz } from './run.ts';
import { type Target, targets } from './targets.ts';

describe('a second of inputs finds nothing (npm run fuzz has more)', () => {
  test.each(targets.map((target) => [target.name, target] as const))('%s', async (_name, target) => {
    const { inputs, found } = await fuzz(target, { seed: Math.floor(Math.random() * 2 ** 31), ms: 1000 });
    expect(found).toBeNull();
    expect(inputs).toBeGreaterThan(0);
  });
});

test('what fails is found, and made short', async () => {
  const faulty: Target = {
    name: 'imap',
    tokens: ['NIL'],
    run(input) {
      if (input.includes('NIL')) throw new TypeError('as the test wants it');
    },
  };
  expect((await fuzz(faulty, { seed: 1, ms: 10_000 })).found?.input).toBe('NIL');
  expect(await minimise('aaaXbbbYccc', (text) => /X.*Y/.test(text))).toBe('XY');
});
