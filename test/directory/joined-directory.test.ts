import { describe, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import type { Declared } from '../../src/directory/options.ts';
import { Passwords } from '../../src/directory/password.ts';
import { directoryContract, ending, TOWN, type Town } from './directory.contract.ts';
import { address, CHEAP, memoryDirectory, type Population } from './memory-directory.ts';

/** Everybody in the configuration file. */
async function declaredTown(): Promise<Declared> {
  const passwords = new Passwords(CHEAP);
  const accounts = [];
  for (const [name, password] of Object.entries(TOWN.accounts)) {
    const enabled = !(TOWN.disabled as readonly string[]).includes(name);
    accounts.push({ address: name, password: await passwords.hash(password), enabled });
  }
  const catchAlls: Readonly<Record<string, string>> = TOWN.catchAll;
  return {
    domains: TOWN.domains.map((name) => ({ name, catchAll: catchAlls[name] })),
    accounts,
    aliases: Object.entries(TOWN.aliases).map(([name, to]) => ({ address: name, to })),
  };
}

/** `name` of both catch-alls and aliases, in the order in which they can be made: what is led to first. */
const ALIASES: Record<string, readonly string[]> = {
  ...Object.fromEntries(Object.entries(TOWN.catchAll).map(([name, to]) => [`@${name}`, [to]])),
  ...TOWN.aliases,
};

async function open(population: Population): Promise<Town> {
  const memory = await memoryDirectory(population);
  for (const name of TOWN.disabled) await memory.sqlite.setState(address(name), 'disabled');
  return { directory: memory.directory, close: () => memory.close() };
}

directoryContract('the database', () =>
  open({ domains: TOWN.domains, accounts: TOWN.accounts, aliases: ALIASES }),
);

directoryContract('the configuration file', async () => {
  const memory = await memoryDirectory({ declared: await declaredTown() });
  return { directory: memory.directory, close: () => memory.close() };
});

directoryContract('accounts in the database, domains and aliases in the file', async () => {
  const { domains, aliases } = await declaredTown();
  return open({ accounts: TOWN.accounts, declared: { domains, aliases } });
});

directoryContract('accounts in the file, aliases in the database', async () => {
  const { accounts, domains } = await declaredTown();
  const memory = await memoryDirectory({
    aliases: ALIASES,
    declared: { accounts, domains: domains.map(({ name }) => ({ name })) },
  });
  return { directory: memory.directory, close: () => memory.close() };
});

describe('routing', () => {
  const route = async (population: Population, text: string): Promise<string[]> => {
    const memory = await memoryDirectory(population);
    const found = await memory.directory.route(address(text));
    await memory.close();
    return ending(found);
  };
  const declared = (aliases: Record<string, readonly string[]>): Population => ({
    accounts: { 'a@example.org': 'pw', 'b@example.org': 'pw' },
    declared: {
      domains: [{ name: 'example.org' }],
      aliases: Object.entries(aliases).map(([name, to]) => ({ address: name, to })),
    },
  });

  test('a circle of aliases is a loop, whatever else they lead to', async () => {
    const circle = declared({
      'x@example.org': ['y@example.org', 'a@example.org'],
      'y@example.org': ['z@example.org'],
      'z@example.org': ['x@example.org'],
    });
    expect(await route(circle, 'x@example.org')).toEqual(['loop']);
    expect(await route(circle, 'z@example.org')).toEqual(['loop']);
    expect(await route(declared({ 'x@example.org': ['x+y@example.org'] }), 'x@example.org')).toEqual([
      'loop',
    ]);
  });

  test('two accounts that forward to each other and keep copies are no loop', async () => {
    const both = declared({
      'a@example.org': ['a@example.org', 'b@example.org'],
      'b@example.org': ['b@example.org', 'a@example.org'],
    });
    expect(await route(both, 'a@example.org')).toEqual(['a@example.org', 'b@example.org']);
  });

  test('a diamond is no loop, and costs no more than its aliases', async () => {
    const aliases: Record<string, string[]> = {};
    for (let i = 0; i < 20; i++) {
      aliases[`l${i}@example.org`] = [`l${i + 1}@example.org`, `r${i + 1}@example.org`];
      aliases[`r${i}@example.org`] = [`l${i + 1}@example.org`, `r${i + 1}@example.org`];
    }
    aliases['l20@example.org'] = ['a@example.org'];
    aliases['r20@example.org'] = ['b@example.org'];
    expect(await route(declared(aliases), 'l0@example.org')).toEqual(['a@example.org', 'b@example.org']);
  });

  test('aliases nested too deep are a loop', async () => {
    const chain = (length: number): Population => {
      const aliases: Record<string, string[]> = {};
      for (let i = 0; i < length; i++) aliases[`n${i}@example.org`] = [`n${i + 1}@example.org`];
      aliases[`n${length}@example.org`] = ['a@example.org'];
      return declared(aliases);
    };
    expect(await route(chain(20), 'n0@example.org')).toEqual(['a@example.org']);
    expect(await route(chain(60), 'n0@example.org')).toEqual(['loop']);
  });

  test('an alias to more addresses than anybody has is not expanded', async () => {
    const to = Array.from({ length: 1001 }, (_, i) => `n${i}@remote.example`);
    expect(await route(declared({ 'x@example.org': to }), 'x@example.org')).toEqual(['loop']);
  });

  test('several delimiters: the longest name wins', async () => {
    const town: Population = {
      accounts: { 'john@example.org': 'pw', 'john-doe@example.org': 'pw' },
      settings: { recipientDelimiters: '+-' },
    };
    expect(await route(town, 'john-doe+shop@example.org')).toEqual(['john-doe@example.org (shop)']);
    expect(await route(town, 'john-doe-shop@example.org')).toEqual(['john-doe@example.org (shop)']);
    expect(await route(town, 'john-dup@example.org')).toEqual(['john@example.org (dup)']);
  });

  test('no delimiters, no sub-addresses', async () => {
    const town = { accounts: { 'a@example.org': 'pw' }, settings: { recipientDelimiters: '' } };
    expect(await route(town, 'a+b@example.org')).toEqual(['unknown']);
  });

  test('a configured postmaster gets what no name was made for', async () => {
    const town: Population = {
      accounts: { 'a@example.org': 'pw', 'boss@example.net': 'pw' },
      aliases: { 'abuse@example.org': ['a@example.org'] },
      settings: { postmaster: address('boss@example.net') },
    };
    expect(await route(town, 'postmaster@example.org')).toEqual(['boss@example.net']);
    expect(await route(town, 'abuse@example.org')).toEqual(['a@example.org']);
    const remote: Population = { ...town, settings: { postmaster: address('noc@remote.example') } };
    expect(await route(remote, 'postmaster@example.org')).toEqual(['<noc@remote.example>']);
    const memory = await memoryDirectory(remote);
    expect(ending(await memory.directory.postmaster())).toEqual(['<noc@remote.example>']);
    await memory.close();
  });

  test('a configured postmaster that leads in a circle, or to nobody, leaves the first account', async () => {
    for (const postmaster of ['postmaster@example.org', 'ring@example.org', 'ghost@example.org']) {
      const town: Population = {
        accounts: { 'a@example.org': 'pw' },
        aliases: { 'ring@example.org': ['abuse@example.org'] },
        settings: { postmaster: address(postmaster) },
      };
      expect(await route(town, 'postmaster@example.org'), postmaster).toEqual(['a@example.org']);
    }
  });

  test('postmaster reaches somebody even where its own account is switched off', async () => {
    const memory = await memoryDirectory({
      accounts: { 'first@example.org': 'pw', 'second@example.org': 'pw', 'postmaster@example.org': 'pw' },
    });
    const ask = async (): Promise<string[]> =>
      ending(await memory.directory.route(address('postmaster@example.org')));
    expect(await ask()).toEqual(['postmaster@example.org']);
    await memory.sqlite.setState(address('postmaster@example.org'), 'disabled');
    await memory.sqlite.setState(address('first@example.org'), 'disabled');
    expect(await ask()).toEqual(['second@example.org']);
    await memory.close();
  });

  test('without any account, even postmaster is unknown', async () => {
    expect(await route({ domains: ['example.org'] }, 'postmaster@example.org')).toEqual(['unknown']);
  });
});

test('the file is read again: its accounts change at once, a refused one changes nothing', async () => {
  const memory = await memoryDirectory({ accounts: { 'a@example.org': 'pw' } });
  const hash = '{SHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=';
  const declare = (password: string): void =>
    memory.file.replace({
      domains: [{ name: 'example.net' }],
      accounts: [{ address: 'n@example.net', password, quota: 5 }],
      aliases: [],
    });
  declare(hash);
  expect(await memory.directory.account('n@example.net' as AccountId)).toMatchObject({
    source: 'file',
    quotaBytes: 5,
  });
  expect(() => declare('{PLAIN}x')).toThrow(/must be a hash/);
  expect(await memory.directory.verifyPassword('n@example.net', 'pässword 1')).toBeDefined();
  memory.directory.configure({
    recipientDelimiters: '-',
    postmaster: undefined,
    defaultDomain: address('x@example.net').domain,
  });
  expect(await memory.directory.verifyPassword('n', 'pässword 1')).toBeDefined();
  expect(ending(await memory.directory.route(address('a-x@example.org')))).toEqual(['a@example.org (x)']);
  await memory.close();
});
