import { expect, test } from 'vitest';
import { HeldOctets } from '../../src/imap/held-octets.ts';

const MB = 1024 * 1024;

test('from 32 MB on it is much, until they are released', () => {
  const all = new HeldOctets();
  const some = all.hold(31 * MB);
  const others = all.hold(100);
  expect(all.isMuch).toBe(false);
  others.are(MB);
  expect(all.isMuch).toBe(true);
  some.release();
  expect(all.isMuch).toBe(false);
  // Only once, and what comes afterwards counts no more.
  some.release();
  some.are(40 * MB);
  expect(all.isMuch).toBe(false);
  others.are(32 * MB);
  expect(all.isMuch).toBe(true);
  others.release();
  expect(all.isMuch).toBe(false);
});
