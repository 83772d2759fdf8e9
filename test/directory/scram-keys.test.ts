import { expect, test } from 'vitest';
import { deriveScramKeys, inventScramKeys } from '../../src/directory/scram-keys.ts';

test('derives what another server derived of the same password (RFC 5802 3)', async () => {
  const keys = await deriveScramKeys('pässword 1', Buffer.from('X3x2JM8jjfnmrGt7axMbKw==', 'base64'), 4096);
  expect(Buffer.from(keys.storedKey).toString('base64')).toBe('74NxR26JF1QSZhvfYkc/CVABlbXoQwcJTBNO53X5UgQ=');
  expect(Buffer.from(keys.serverKey).toString('base64')).toBe('6HHXhyvLoMjvzneh0UbwQhpyL+J/vuGfhPxaI9BJkTM=');
});

test('at least 4096 iterations and 16 octets of salt, another for each (RFC 7677 4)', async () => {
  const [a, b] = [await deriveScramKeys('x'), await deriveScramKeys('x')];
  expect(a.iterations).toBeGreaterThanOrEqual(4096);
  expect(a.salt).toHaveLength(16);
  expect(a.salt).not.toEqual(b.salt);
});

test('made-up keys are the same for a name, and look like real ones', async () => {
  const secret = Buffer.alloc(32, 7);
  const real = await deriveScramKeys('x');
  const made = inventScramKeys(secret, 'nobody@example.org');
  expect(inventScramKeys(secret, 'nobody@example.org')).toEqual(made);
  expect(inventScramKeys(secret, 'nobody2@example.org').salt).not.toEqual(made.salt);
  expect(inventScramKeys(Buffer.alloc(32, 8), 'nobody@example.org').salt).not.toEqual(made.salt);
  expect(made.iterations).toBe(real.iterations);
  expect(made.salt).toHaveLength(real.salt.length);
  expect(made.storedKey).toHaveLength(real.storedKey.length);
});
