import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runAccount } from '../../src/cli/account.ts';
import { runAlias } from '../../src/cli/alias.ts';
import { runDomain } from '../../src/cli/domain.ts';
import { type CliIo, UsageError } from '../../src/cli/io.ts';
import { DirectoryError } from '../../src/directory/errors.ts';
import type { SqliteDirectory } from '../../src/directory/sqlite-directory.ts';
import { type MemoryDirectory, memoryDirectory } from '../directory/memory-directory.ts';

let memory: MemoryDirectory;
beforeEach(async () => {
  memory = await memoryDirectory({
    declared: {
      domains: [{ name: 'file.example', catchAll: 'n@file.example' }],
      accounts: [{ address: 'n@file.example', password: '{SHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=' }],
      aliases: [{ address: 'm@file.example', to: ['n@file.example'] }],
    },
  });
});
afterEach(() => memory.close());

type Run = (args: readonly string[], io: CliIo, directory: SqliteDirectory) => Promise<number>;
const RUNS: Readonly<Record<string, Run>> = { domain: runDomain, account: runAccount, alias: runAlias };

/** Runs a command line; what it says, and its exit code where that is not 0. */
async function facteur(line: string, stdin: string | PassThrough = ''): Promise<string> {
  const [name = '', ...args] = line.split(' ');
  const input = typeof stdin === 'string' ? new PassThrough().end(stdin) : stdin;
  let out = '';
  const io: CliIo = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      out += text;
    },
    stdin: input,
    isTTY: typeof stdin !== 'string',
  };
  const code = await RUNS[name]?.(args, io, memory.sqlite);
  expect(code).toBe(0);
  return out;
}

const refusal = (kind: string): object => expect.objectContaining({ name: 'DirectoryError', kind });
const login = async (name: string, password: string): Promise<boolean> =>
  (await memory.directory.verifyPassword(name, password)) !== undefined;

describe('facteur domain', () => {
  test('add, list, remove', async () => {
    expect(await facteur('domain add Example.ORG')).toBe('example.org: added\n');
    await expect(facteur('domain add example.org')).rejects.toThrow(refusal('exists') as Error);
    await facteur('account add alice@example.org');
    expect(await facteur('domain list')).toBe(
      [
        'DOMAIN        ACCOUNTS  ALIASES  CATCH-ALL       WHERE',
        'example.org   1         0        -               database',
        'file.example  1         1        n@file.example  configuration',
        '',
      ].join('\n'),
    );
    expect(
      (await facteur('domain list --json'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { name: 'example.org', accounts: 1, aliases: 0, catchAll: [], source: 'sqlite' },
      { name: 'file.example', accounts: 1, aliases: 1, catchAll: ['n@file.example'], source: 'file' },
    ]);
    await expect(facteur('domain remove example.org')).rejects.toThrow(/use --force/);
    expect(await facteur('domain remove example.org --force --json')).toBe(
      '{"domain":"example.org","done":"removed"}\n',
    );
  });

  test.each([
    'domain',
    'domain frob',
    'domain add',
    'domain add a.example b.example',
    'domain list a.example',
  ])('"%s" is not understood', async (line) => {
    await expect(facteur(line)).rejects.toThrow(UsageError);
  });

  test('an option that does not exist is refused, not ignored', async () => {
    await expect(facteur('domain add a.example --frob')).rejects.toThrow(/--frob/);
    expect(await memory.sqlite.listDomains()).toEqual([]);
  });
});

describe('facteur account', () => {
  beforeEach(() => facteur('domain add example.org'));

  test('without a password one is made up and shown once', async () => {
    const said = await facteur('account add alice@example.org');
    const password =
      /^alice@example\.org: added\npassword: (\S+) {3}\(shown only now\)\n$/.exec(said)?.[1] ?? '';
    expect(await login('alice@example.org', password)).toBe(true);
    const { account, password: second } = JSON.parse(
      await facteur('account password alice@example.org --json'),
    );
    expect(account).toBe('alice@example.org');
    expect(await login('alice@example.org', second)).toBe(true);
    expect(await login('alice@example.org', password)).toBe(false);
  });

  test('--password-stdin takes the first line, spaces and all', async () => {
    expect(await facteur('account add a@example.org --password-stdin', ' two words \r\nmore\n')).toBe(
      'a@example.org: added\n',
    );
    expect(await login('a@example.org', ' two words ')).toBe(true);
    await facteur('account password a@example.org --password-stdin', 'no line end');
    expect(await login('a@example.org', 'no line end')).toBe(true);
    await expect(facteur('account password a@example.org --password-stdin', '\n')).rejects.toThrow(
      DirectoryError,
    );
    await expect(
      facteur('account password a@example.org --password-stdin', 'x'.repeat(10_000)),
    ).rejects.toThrow(/longer than/);
  });

  test('--hashed takes a hash from another system', async () => {
    const hash = '{MD5-CRYPT}$1$8A1OofgR$KmWeYVEWKdLjaSsAyeUYA.';
    await facteur('account add a@example.org --password-stdin --hashed', `${hash}\n`);
    expect(await login('a@example.org', 'pässword 1')).toBe(true);
    await expect(facteur('account add b@example.org --hashed')).rejects.toThrow(UsageError);
    await expect(facteur('account add b@example.org --password-stdin --hashed', 'geheim')).rejects.toThrow(
      refusal('invalid') as Error,
    );
  });

  test('at a terminal the password is asked for twice, and never shown', async () => {
    const terminal = (typed: string): PassThrough => {
      const stream = new PassThrough();
      stream.write(typed);
      return stream;
    };
    const said = await facteur('account add a@example.org', terminal('geheix\u007fm\rgeheim\r'));
    expect(said).toContain('Once more:');
    expect(said).not.toContain('geheim');
    expect(await login('a@example.org', 'geheim')).toBe(true);
    await expect(facteur('account password a@example.org', terminal('one\rtwo\r'))).rejects.toThrow(
      /not the same/,
    );
    await expect(facteur('account password a@example.org', terminal('on\u0003'))).rejects.toThrow(
      /cancelled/,
    );
    await expect(facteur('account password a@example.org', new PassThrough().end('x'))).rejects.toThrow(
      /no password/,
    );
    expect(await login('a@example.org', 'geheim')).toBe(true);
    expect(await facteur('account password a@example.org', terminal('\r'))).toContain('shown only now');
  });

  test('list, quota, disable, enable, remove', async () => {
    await facteur('account add b@example.org --quota 2GB --messages 1000 --mailboxes 9 --disabled');
    await facteur('account add a@example.org');
    expect(await facteur('account list')).toBe(
      [
        'ACCOUNT         STATE     QUOTA  MESSAGES  MAILBOXES  WHERE',
        'a@example.org   enabled   -      -         -          database',
        'b@example.org   disabled  2GB    1000      9          database',
        'n@file.example  enabled   -      -         -          configuration',
        '',
      ].join('\n'),
    );
    await facteur('account enable b@example.org');
    expect(await facteur('account quota b@example.org none')).toBe('b@example.org: no quota\n');
    expect(await facteur('account quota b@example.org --messages default')).toBe(
      'b@example.org: messages default\n',
    );
    expect(await facteur('account quota b@example.org 1MB --messages none')).toBe(
      'b@example.org: quota 1MB, any number of messages\n',
    );
    expect(await facteur('account list --domain example.org')).toMatch(/b@\S+ +enabled +1MB +none/);
    await facteur('account quota b@example.org default --messages 50 --mailboxes 30');
    expect(await facteur('account disable a@example.org')).toBe('a@example.org: disabled\n');
    expect(
      (await facteur('account list --json --domain example.org'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        address: 'a@example.org',
        enabled: false,
        quota: null,
        quotaMessages: null,
        quotaMailboxes: null,
        mechanisms: ['SCRAM-SHA-256'],
        source: 'sqlite',
      },
      {
        address: 'b@example.org',
        enabled: true,
        quota: null,
        quotaMessages: 50,
        quotaMailboxes: 30,
        mechanisms: ['SCRAM-SHA-256'],
        source: 'sqlite',
      },
    ]);
    expect(await facteur('account remove a@example.org')).toMatch(/removed/);
    await expect(facteur('account remove a@example.org')).rejects.toThrow(refusal('not-found') as Error);
    await expect(facteur('account remove n@file.example')).rejects.toThrow(/configuration file/);
  });

  test.each([
    'account',
    'account frob a@example.org',
    'account add',
    'account add a@example.org b@example.org',
    'account quota a@example.org',
    'account quota a@example.org much',
    'account quota a@example.org --messages 0',
    'account quota a@example.org --mailboxes few',
    'account add a@example.org --quota much',
    'account list a@example.org',
  ])('"%s" is not understood', async (line) => {
    await expect(facteur(line)).rejects.toThrow(UsageError);
    expect((await memory.sqlite.listAccounts()).total).toBe(0);
  });

  test.each(['alice', 'a b@example.org', 'alice@[192.0.2.1]'])('"%s" is no address', async (address) => {
    const io: CliIo = { out() {}, err() {}, stdin: new PassThrough().end(), isTTY: false };
    await expect(runAccount(['add', address], io, memory.sqlite)).rejects.toThrow(
      refusal('invalid') as Error,
    );
  });
});

describe('facteur alias', () => {
  beforeEach(async () => {
    await facteur('domain add example.org');
    await facteur('account add a@example.org');
  });

  test('add, append, list, remove', async () => {
    expect(await facteur('alias add sales@example.org a@example.org x@remote.example')).toBe(
      'sales@example.org: leads to a@example.org, x@remote.example\n',
    );
    await expect(facteur('alias add sales@example.org y@remote.example')).rejects.toThrow(/--append/);
    await facteur('alias add sales@example.org y@remote.example --append');
    await facteur('alias add @example.org a@example.org');
    expect(await facteur('alias list')).toBe(
      [
        'ALIAS              LEADS TO                                           WHERE',
        '@example.org       a@example.org                                      database',
        'sales@example.org  a@example.org, x@remote.example, y@remote.example  database',
        'm@file.example     n@file.example                                     configuration',
        '@file.example      n@file.example                                     configuration',
        '',
      ].join('\n'),
    );
    expect(await facteur('alias remove sales@example.org x@remote.example')).toBe(
      'sales@example.org: does not lead to x@remote.example any more\n',
    );
    expect(
      (await facteur('alias list --json --domain example.org'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { address: '@example.org', to: ['a@example.org'], source: 'sqlite' },
      { address: 'sales@example.org', to: ['a@example.org', 'y@remote.example'], source: 'sqlite' },
    ]);
    expect(await facteur('alias remove @example.org --json')).toBe(
      '{"alias":"@example.org","done":"removed"}\n',
    );
    expect(await facteur('alias remove sales@example.org')).toBe('sales@example.org: removed\n');
    await expect(facteur('alias remove sales@example.org')).rejects.toThrow(refusal('not-found') as Error);
  });

  test('a target that is not there, a circle and another’s domain are refused in words', async () => {
    await expect(facteur('alias add x@example.org ghost@example.org')).rejects.toThrow(
      /ghost@example.org is neither an account nor an alias here; add it first/,
    );
    await expect(facteur('alias add x@example.org x@example.org')).rejects.toThrow(/back to itself/);
    await expect(facteur('alias add x@other.example a@example.org')).rejects.toThrow(
      /facteur domain add other.example/,
    );
  });

  test.each([
    'alias',
    'alias frob x',
    'alias add',
    'alias add x@example.org',
    'alias list x',
    'alias remove',
  ])('"%s" is not understood', async (line) => {
    await expect(facteur(line)).rejects.toThrow(UsageError);
  });
});
