import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AliasName } from '../../src/directory/alias-table.ts';
import type { AccountId } from '../../src/directory/directory.ts';
import { openSqlite } from '../../src/lib/sqlite.ts';
import { ManualClock } from '../clock.ts';
import { ending } from './directory.contract.ts';
import { address, domain, type MemoryDirectory, memoryDirectory } from './memory-directory.ts';

let dir: string;
let path: string;
const open: MemoryDirectory[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'directory-'));
  path = join(dir, 'directory.sqlite');
});
afterEach(async () => {
  for (const memory of open.splice(0)) await memory.close();
  rmSync(dir, { recursive: true });
});

async function town(...args: Parameters<typeof memoryDirectory>): Promise<MemoryDirectory> {
  const memory = await memoryDirectory(...args);
  open.push(memory);
  return memory;
}

const alias = (text: string): AliasName => ({ is: 'address', address: address(text) });
const catchAll = (text: string): AliasName => ({ is: 'catch-all', domain: domain(text) });
const pw = { is: 'password', password: 'geheim' } as const;
const route = async (memory: MemoryDirectory, text: string): Promise<string[]> =>
  ending(await memory.directory.route(address(text)));

describe('domains', () => {
  test('are added once, listed with counts, removed when empty or by force', async () => {
    const { sqlite, directory } = await town({
      domains: ['b.example', 'a.example'],
      accounts: { 'x@a.example': 'pw' },
      aliases: { 'y@a.example': ['x@a.example'], '@a.example': ['x@a.example'] },
    });
    await expect(sqlite.addDomain(domain('A.example'))).rejects.toMatchObject({ kind: 'exists' });
    expect(await sqlite.listDomains()).toMatchObject([
      { name: 'a.example', accounts: 1, aliases: 2 },
      { name: 'b.example', accounts: 0, aliases: 0 },
    ]);
    await sqlite.removeDomain(domain('b.example'), { mode: 'careful' });
    expect(await directory.isLocal(domain('b.example'))).toBe(false);
    await expect(sqlite.removeDomain(domain('b.example'), { mode: 'force' })).rejects.toMatchObject({
      kind: 'not-found',
    });
    await expect(sqlite.removeDomain(domain('a.example'), { mode: 'careful' })).rejects.toMatchObject({
      kind: 'in-use',
      message: expect.stringContaining('1 account and 2 aliases'),
    });
    await sqlite.removeDomain(domain('a.example'), { mode: 'force' });
    expect((await sqlite.listAccounts()).total).toBe(0);
    expect(await sqlite.listAliases()).toEqual([]);
    expect(await directory.route(address('x@a.example'))).toEqual({ to: 'elsewhere' });
  });
});

describe('accounts', () => {
  test('need their domain, a new name and a usable password', async () => {
    const { sqlite } = await town({ accounts: { 'Alice@example.org': 'pw' } });
    const add = (text: string, password = 'pw'): Promise<unknown> =>
      sqlite.addAccount({ address: address(text), password: { is: 'password', password } });
    await expect(add('x@other.example')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(add('ALICE@example.org')).rejects.toMatchObject({ kind: 'exists' });
    await expect(add('x@example.org', '')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(
      sqlite.addAccount({ address: address('x@example.org'), password: { is: 'hash', hash: 'geheim' } }),
    ).rejects.toMatchObject({ kind: 'invalid', message: expect.not.stringContaining('geheim') });
    expect((await sqlite.listAccounts()).total).toBe(1);
  });

  test('two who add the same account at once: one of them is refused', async () => {
    const a = await town({ path, domains: ['example.org'] });
    const b = await town({ path });
    const results = await Promise.allSettled(
      [a, b].map(({ sqlite }) => sqlite.addAccount({ address: address('x@example.org'), password: pw })),
    );
    expect(results.filter(({ status }) => status === 'rejected')).toMatchObject([
      { reason: { kind: 'exists' } },
    ]);
  });

  test('quota, state and password change at once', async () => {
    const { sqlite, directory } = await town({ accounts: { 'alice@example.org': 'old' } });
    const alice = address('ALICE@example.org');
    await sqlite.setQuota(alice, { bytes: 5_000_000_000, messages: 300, mailboxes: 20 });
    await sqlite.setState(alice, 'disabled');
    await sqlite.setPassword(alice, { is: 'password', password: 'new' });
    expect(await directory.account('alice@example.org' as AccountId)).toEqual({
      id: 'alice@example.org',
      address: address('alice@example.org'),
      quotaBytes: 5_000_000_000,
      quotaMessages: 300,
      quotaMailboxes: 20,
      enabled: false,
      source: 'sqlite',
    });
    expect(await directory.route(alice)).toEqual({ to: 'disabled' });
    await sqlite.setState(alice, 'enabled');
    await sqlite.setQuota(alice, { bytes: null });
    expect(await directory.verifyPassword('alice@example.org', 'new')).toMatchObject({
      quotaBytes: null,
      quotaMessages: 300,
      quotaMailboxes: 20,
    });
    expect(await directory.verifyPassword('alice@example.org', 'old')).toBeUndefined();
  });

  test('that are not there say what is', async () => {
    const { sqlite } = await town({
      accounts: { 'alice@example.org': 'pw' },
      aliases: { 'sales@example.org': ['alice@example.org'] },
    });
    const said = (text: string): Promise<void> => sqlite.setState(address(text), 'disabled');
    await expect(said('nobody@example.org')).rejects.toThrow(/account list/);
    await expect(said('sales@example.org')).rejects.toThrow(/is an alias/);
    await expect(said('alice+x@example.org')).rejects.toThrow(/the account is alice@example.org/);
  });

  test('are listed in order, page by page', async () => {
    const { sqlite } = await town({ domains: ['b.example', 'a.example'] });
    const hash = '{SHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=';
    for (const name of ['Zoe@a.example', 'bob@b.example', 'adam@b.example', 'ann@a.example'])
      await sqlite.addAccount({ address: address(name), password: { is: 'hash', hash } });
    const all = await sqlite.listAccounts();
    const ids = all.accounts.map(({ account }) => account.id);
    expect(ids).toEqual(['ann@a.example', 'Zoe@a.example', 'adam@b.example', 'bob@b.example']);
    expect(all.accounts[0]).toMatchObject({ scram: false, sharedSecret: false });
    const page = await sqlite.listAccounts({ after: address('Zoe@a.example'), limit: 1 });
    expect(page.accounts.map(({ account }) => account.id)).toEqual(['adam@b.example']);
    expect(page.total).toBe(4);
    expect((await sqlite.listAccounts({ domain: domain('a.example'), limit: 0 })).total).toBe(2);
  });

  test('are not removed while aliases lead to them, unless by force', async () => {
    const memory = await town({
      accounts: { 'alice@example.org': 'pw', 'bob@example.org': 'pw' },
      aliases: {
        'sales@example.org': ['alice+shop@example.org', 'bob@example.org'],
        'only@example.org': ['alice@example.org'],
        'alice@example.org': ['alice@example.org', 'a@remote.example'],
      },
    });
    const { sqlite } = memory;
    await expect(
      sqlite.removeAccount(address('alice@example.org'), { mode: 'careful' }),
    ).rejects.toMatchObject({
      kind: 'in-use',
      message: expect.stringContaining('sales@example.org'),
    });
    await sqlite.removeAccount(address('alice@example.org'), { mode: 'force' });
    expect(await route(memory, 'sales@example.org')).toEqual(['bob@example.org']);
    expect(await route(memory, 'only@example.org')).toEqual(['unknown']);
    expect(await route(memory, 'alice@example.org')).toEqual(['<a@remote.example>']);
    await sqlite.removeAlias(alias('sales@example.org'));
    await sqlite.removeAccount(address('bob@example.org'), { mode: 'careful' });
    expect((await sqlite.listAccounts()).total).toBe(0);
  });
});

describe('aliases', () => {
  test('are made, extended, cut and removed', async () => {
    const memory = await town({ accounts: { 'a@example.org': 'pw', 'b@example.org': 'pw' } });
    const { sqlite } = memory;
    const sales = alias('Sales@example.org');
    await sqlite.addAlias(sales, [address('a@example.org'), address('A@example.org')]);
    await expect(sqlite.addAlias(sales, [address('b@example.org')])).rejects.toMatchObject({
      kind: 'exists',
    });
    await sqlite.addAlias(sales, [address('b@example.org'), address('x@remote.example')], { mode: 'extend' });
    expect(await route(memory, 'sales@example.org')).toEqual([
      'a@example.org',
      'b@example.org',
      '<x@remote.example>',
    ]);
    await sqlite.removeAlias(sales, { mode: 'careful', targets: [address('a@example.org')] });
    expect(await sqlite.listAliases()).toMatchObject([
      { name: sales, targets: [address('b@example.org'), address('x@remote.example')] },
    ]);
    await expect(
      sqlite.removeAlias(sales, { mode: 'careful', targets: [address('c@example.org')] }),
    ).rejects.toMatchObject({ kind: 'not-found' });
    await sqlite.removeAlias(sales, {
      mode: 'careful',
      targets: [address('b@example.org'), address('x@remote.example')],
    });
    expect(await route(memory, 'sales@example.org')).toEqual(['unknown']);
    await expect(sqlite.removeAlias(sales)).rejects.toMatchObject({ kind: 'not-found' });
  });

  test('that would lead nowhere, or in a circle, are refused and change nothing', async () => {
    const memory = await town({
      accounts: { 'a@example.org': 'pw' },
      aliases: { 'x@example.org': ['a@example.org'], 'y@example.org': ['x@example.org'] },
    });
    const { sqlite } = memory;
    const add = (name: AliasName, ...to: string[]): Promise<void> =>
      sqlite.addAlias(name, to.map(address), { mode: 'extend' });
    await expect(add(alias('n@example.org'), 'ghost@example.org')).rejects.toMatchObject({
      kind: 'not-found',
    });
    await expect(add(alias('n@other.example'), 'a@example.org')).rejects.toMatchObject({ kind: 'not-found' });
    await expect(add(alias('n@example.org'))).rejects.toMatchObject({ kind: 'invalid' });
    await expect(add(alias('x@example.org'), 'y@example.org')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(add(alias('n@example.org'), 'n@example.org')).rejects.toMatchObject({ kind: 'invalid' });
    await expect(add(catchAll('example.org'), 'ghost@example.org')).rejects.toMatchObject({
      kind: 'invalid',
    });
    const many = Array.from({ length: 1001 }, (_, i) => `n${i}@remote.example`);
    await expect(add(alias('n@example.org'), ...many)).rejects.toMatchObject({ kind: 'invalid' });
    expect(await sqlite.listAliases()).toHaveLength(2);
    expect(await route(memory, 'x@example.org')).toEqual(['a@example.org']);
    await expect(sqlite.removeAlias(alias('x@example.org'))).rejects.toMatchObject({ kind: 'in-use' });
    await sqlite.removeAlias(alias('x@example.org'), { mode: 'force' });
    expect(await sqlite.listAliases()).toEqual([]);
  });

  test('an account is not hidden by an alias of its name, nor made behind one', async () => {
    const memory = await town({
      accounts: { 'a@example.org': 'pw' },
      aliases: { 'x@example.org': ['a@example.org'] },
    });
    await expect(
      memory.sqlite.addAccount({ address: address('X@example.org'), password: pw }),
    ).rejects.toMatchObject({ kind: 'exists' });
    await memory.sqlite.addAlias(alias('a@example.org'), [address('me@remote.example')]);
    expect(await route(memory, 'a@example.org')).toEqual(['<me@remote.example>']);
    expect(await memory.directory.maySendAs('a@example.org' as AccountId, address('a+x@example.org'))).toBe(
      true,
    );
  });
});

describe('what the configuration file declares', () => {
  const declared = {
    domains: [{ name: 'file.example', catchAll: 'n@file.example' }],
    accounts: [{ address: 'n@file.example', password: '{SHA}wBFJYYjnh5eS5Eft5JORpd7Gkko=' }],
    aliases: [{ address: 'm@file.example', to: ['n@file.example'] }],
  };

  test('is read-only here', async () => {
    const { sqlite } = await town({ declared });
    const n = address('n@file.example');
    await expect(sqlite.setPassword(n, pw)).rejects.toMatchObject({ kind: 'read-only' });
    await expect(sqlite.setState(n, 'disabled')).rejects.toMatchObject({ kind: 'read-only' });
    await expect(sqlite.removeAccount(n, { mode: 'force' })).rejects.toMatchObject({ kind: 'read-only' });
    await expect(sqlite.addAccount({ address: n, password: pw })).rejects.toMatchObject({
      kind: 'read-only',
    });
    await expect(sqlite.removeAlias(alias('m@file.example'))).rejects.toMatchObject({ kind: 'read-only' });
    await expect(sqlite.addAlias(alias('m@file.example'), [n])).rejects.toMatchObject({ kind: 'read-only' });
    await expect(sqlite.addAlias(catchAll('file.example'), [n])).rejects.toMatchObject({ kind: 'read-only' });
    await expect(sqlite.removeDomain(domain('file.example'), { mode: 'force' })).rejects.toMatchObject({
      kind: 'read-only',
    });
    await expect(sqlite.addDomain(domain('file.example'))).rejects.toMatchObject({ kind: 'exists' });
  });

  test('can have more accounts and aliases here', async () => {
    const memory = await town({ declared });
    await memory.sqlite.addAccount({ address: address('o@file.example'), password: pw });
    await memory.sqlite.addAlias(alias('p@file.example'), [
      address('o@file.example'),
      address('m@file.example'),
    ]);
    expect(await route(memory, 'p@file.example')).toEqual(['o@file.example', 'n@file.example']);
  });
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('another process', () => {
  test('changes the file, and questions of the next turn of the event loop know', async () => {
    const daemon = await town({ path, accounts: { 'alice@example.org': 'pw' } });
    const command = await town({ path });
    expect(await route(daemon, 'new@example.org')).toEqual(['unknown']);
    expect(await daemon.directory.verifyPassword('alice@example.org', 'pw')).toBeDefined();

    await command.sqlite.addAccount({ address: address('new@example.org'), password: pw });
    await nextTurn();
    expect(await route(daemon, 'new@example.org')).toEqual(['new@example.org']);
    expect(await daemon.directory.verifyPassword('new@example.org', 'geheim')).toBeDefined();

    await command.sqlite.setState(address('alice@example.org'), 'disabled');
    await nextTurn();
    expect(await daemon.directory.verifyPassword('alice@example.org', 'pw')).toBeUndefined();
    expect(await route(daemon, 'alice@example.org')).toEqual(['disabled']);

    await command.sqlite.addDomain(domain('more.example'));
    await nextTurn();
    expect(await daemon.directory.isLocal(domain('more.example'))).toBe(true);
    await command.sqlite.addAlias(catchAll('more.example'), [address('new@example.org')]);
    await nextTurn();
    expect(await route(daemon, 'any@more.example')).toEqual(['new@example.org']);
  });

  test('is really another process', async () => {
    const daemon = await town({ path, accounts: { 'alice@example.org': 'pw' } });
    expect(await route(daemon, 'alice@example.org')).toEqual(['alice@example.org']);
    const script = `
      const { openSqlite } = await import(process.argv[1]);
      openSqlite(process.argv[2], { durability: 'full' }).exec('UPDATE account SET enabled = 0');`;
    const module = new URL('../../src/lib/sqlite.ts', import.meta.url).href;
    execFileSync(process.execPath, ['--input-type=module', '-e', script, module, path]);
    await nextTurn();
    expect(await route(daemon, 'alice@example.org')).toEqual(['disabled']);
  });
});

describe('the file', () => {
  test('is nobody else’s to read', async () => {
    await town({ path });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('keeps everything over a restart', async () => {
    const clock = new ManualClock('2026-03-01T12:00:00Z');
    const first = await memoryDirectory({
      path,
      clock,
      accounts: { '"félix le [chat]"@bücher.example': 'pw' },
      aliases: { '@bücher.example': ['"félix le [chat]"@bücher.example'] },
    });
    const secret = first.sqlite.scramSecret;
    const invented = await first.directory.scramCredentials('nobody@bücher.example');
    await first.close();
    const again = await town({ path });
    expect(await again.directory.verifyPassword('"félix le [chat]"@bücher.example', 'pw')).toBeDefined();
    expect(await route(again, 'x@xn--bcher-kva.example')).toEqual(['"félix le [chat]"@bücher.example']);
    expect(again.sqlite.scramSecret).toEqual(secret);
    expect(await again.directory.scramCredentials('nobody@bücher.example')).toEqual(invented);
    expect((await again.sqlite.listAccounts()).accounts[0]?.createdAt).toEqual(
      new Date('2026-03-01T12:00:00Z'),
    );
  });

  test('of version 1, without message quotas, is brought forward with its accounts', async () => {
    const before = await memoryDirectory({ path, accounts: { 'alice@example.org': 'pw' } });
    await before.sqlite.setQuota(address('alice@example.org'), { bytes: 5000 });
    await before.close();
    const db = openSqlite(path, { durability: 'normal' });
    db.exec(`ALTER TABLE account DROP COLUMN quota_messages; ALTER TABLE account DROP COLUMN quota_mailboxes;
       UPDATE schema SET version = 1`);
    db.close();
    const { directory, sqlite } = await town({ path });
    await sqlite.setQuota(address('alice@example.org'), { messages: 7 });
    expect(await directory.verifyPassword('alice@example.org', 'pw')).toMatchObject({
      quotaBytes: 5000,
      quotaMessages: 7,
    });
  });

  test('of a newer version is refused, in words', async () => {
    await (await memoryDirectory({ path })).close();
    const db = openSqlite(path, { durability: 'normal' });
    db.exec('UPDATE schema SET version = 99');
    db.close();
    await expect(memoryDirectory({ path })).rejects.toThrow(/newer Facteur \(version 99/);
  });
});
