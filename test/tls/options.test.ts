import { expect, test } from 'vitest';
import { tlsOptions } from '../../src/tls/options.ts';

test('by default there is no certificate, and TLS 1.2 is the oldest', () => {
  expect(tlsOptions.parse({})).toMatchObject({
    cert: null,
    key: null,
    certificates: [],
    minVersion: 'TLSv1.2',
  });
});

test('cert and key go together', () => {
  expect(tlsOptions.parse({ cert: 'a.crt', key: 'a.key' }).cert).toBe('a.crt');
  const half = tlsOptions.safeParse({ cert: 'a.crt' });
  expect(half.error?.issues[0]).toMatchObject({
    path: ['key'],
    message: expect.stringMatching(/go together/),
  });
  expect(tlsOptions.safeParse({ key: 'a.key' }).error?.issues[0]?.path).toEqual(['cert']);
});

test('more certificates have files, and names where they need others', () => {
  const one = { cert: 'b.crt', key: 'b.key' };
  expect(tlsOptions.parse({ certificates: [one] }).certificates).toEqual([{ ...one, names: null }]);
  expect(tlsOptions.safeParse({ certificates: [{ cert: 'b.crt' }] }).success).toBe(false);
  expect(tlsOptions.safeParse({ minVersion: 'TLSv1.1' }).success).toBe(false);
});
