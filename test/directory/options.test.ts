import { expect, test } from 'vitest';
import { directoryOptions } from '../../src/directory/options.ts';

const HASH = '{SHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=';

test('nothing is declared by default, and + begins a sub-address', () => {
  expect(directoryOptions.parse({})).toEqual({
    recipientDelimiters: '+',
    postmaster: null,
    admins: [],
    domains: [],
    accounts: [],
    aliases: [],
  });
});

test('domains, accounts and aliases are declared', () => {
  const parsed = directoryOptions.parse({
    recipientDelimiters: '+-',
    postmaster: 'noc@remote.example',
    domains: [{ name: 'Example.org', catchAll: 'alice@example.org' }],
    accounts: [{ address: 'alice@example.org', password: HASH, quota: '2GB', enabled: false }],
    aliases: [{ address: 'sales@example.org', to: ['alice@example.org', 'x@remote.example'] }],
  });
  expect(parsed.accounts[0]?.quota).toBe(2 * 1024 ** 3);
});

test.each([
  [{ recipientDelimiters: 'a' }, 'recipientDelimiters'],
  [{ recipientDelimiters: '@' }, 'recipientDelimiters'],
  [{ postmaster: 'nobody' }, 'postmaster'],
  [{ domains: [{ name: 'a..b' }] }, 'domains.0.name'],
  [{ domains: [{ name: 'a.org', catchall: 'x@a.org' }] }, 'domains.0'],
  [{ domains: [{ name: 'a.org' }, { name: 'A.org' }] }, 'domains.1.name'],
  [{ accounts: [{ address: 'alice@a.org', password: HASH }] }, 'accounts.0.address'],
  [{ domains: [{ name: 'a.org' }], accounts: [{ address: 'x@a.org' }] }, 'accounts.0.password'],
  [
    { domains: [{ name: 'a.org' }], accounts: [{ address: 'x@a.org', password: 'geheim' }] },
    'accounts.0.password',
  ],
  [
    { domains: [{ name: 'a.org' }], accounts: [{ address: 'x@a.org', password: '{PLAIN}geheim' }] },
    'accounts.0.password',
  ],
  [
    { domains: [{ name: 'a.org' }], accounts: [{ address: 'x@a.org', password: HASH, quota: 'much' }] },
    'accounts.0.quota',
  ],
  [
    {
      domains: [{ name: 'a.org' }],
      accounts: [
        { address: 'x@a.org', password: HASH },
        { address: 'X@a.org', password: HASH },
      ],
    },
    'accounts.1.address',
  ],
  [{ domains: [{ name: 'a.org' }], aliases: [{ address: 'x@a.org', to: [] }] }, 'aliases.0.to'],
  [{ domains: [{ name: 'a.org' }], aliases: [{ address: 'x@a.org', to: ['nobody'] }] }, 'aliases.0.to.0'],
  [{ nonsense: 1 }, ''],
])('%j is refused at %s', (value, path) => {
  const result = directoryOptions.safeParse(value);
  const issues = result.error?.issues ?? [];
  expect(issues.map((issue) => issue.path.join('.'))).toEqual([path]);
  expect(JSON.stringify(issues)).not.toContain('geheim');
});
