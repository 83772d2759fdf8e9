import { expect, test } from 'vitest';
import { storeOptions } from '../../src/store/options.ts';

/** The settings of limits and expiry: what is taken, and in which words the rest is refused. */

const problems = (settings: object): string[] => {
  const parsed = storeOptions.safeParse(settings);
  return parsed.success
    ? []
    : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test('nothing is limited, and nothing expires, unless somebody says so', () => {
  expect(storeOptions.parse({})).toMatchObject({
    quota: { storage: null, messages: null },
    mailboxSizeLimit: [],
    expire: [],
    notify: 'inotify',
    delivery: 'rename',
  });
});

test('rules by name or by special use', () => {
  const parsed = storeOptions.parse({
    mailboxSizeLimit: [{ folder: 'Lists/*', storage: '1GB' }],
    expire: [
      { use: 'trash', after: '30d' },
      { folder: 'Junk/%', messages: 500 },
    ],
  });
  expect(parsed.mailboxSizeLimit).toEqual([{ folder: 'Lists/*', storage: 1024 ** 3, messages: null }]);
  expect(parsed.expire[0]).toEqual({ use: 'trash', after: 30 * 86_400_000 });
});

test.each([
  [{ expire: [{ after: '30d' }] }, 'expire.0: must say which folder, by folder: or by use:'],
  [{ expire: [{ use: 'trash' }] }, 'expire.0: must say when: after:, messages: or both'],
  [
    { mailboxSizeLimit: [{ storage: '1GB' }] },
    'mailboxSizeLimit.0: must say which folder, by folder: or by use:',
  ],
])('%j: %s', (settings, problem) => {
  expect(problems(settings)).toEqual([problem]);
});

test.each([
  { expire: [{ use: 'waste', after: '30d' }] },
  { expire: [{ use: 'trash', after: '30' }] },
  { expire: [{ use: 'trash', messages: 0 }] },
  { quotaWarnings: [101] },
  { quotaGrace: -1 },
  { quota: { storage: 5 } },
  { notify: 'sometimes' },
])('%j is refused', (settings) => {
  expect(problems(settings)).toHaveLength(1);
});
