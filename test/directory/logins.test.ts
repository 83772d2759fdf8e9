import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deriveScramKeys } from '../../src/directory/scram-keys.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { ManualClock } from '../clock.ts';
import { address, domain, type MemoryDirectory, memoryDirectory } from './memory-directory.ts';

/** "pässword 1" */
const SHA512_CRYPT =
  '{SHA512-CRYPT}$6$63G1NcMCa4LWTaMm$wTNu7n3yVVN00UTLlQhfl6cam9TU.Ys29LAZr/nGSQhk5MMZWsQx95rTNLOlSYUew/pPzqYtoQxqLMxJ.FiXv.';
const ALICE = address('alice@example.org');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'logins-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Keeps every line, as text. */
function recorder(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (fields: object, message: string): void => {
    lines.push(JSON.stringify({ ...fields, message }));
  };
  const log: Logger = { child: () => log, debug: write, info: write, warn: write, error: write };
  return { log, lines };
}

describe('a login with an imported hash', () => {
  test('replaces it by ours, and gives SCRAM keys of the same password', async () => {
    const { log, lines } = recorder();
    const memory = await memoryDirectory({ domains: ['example.org'], log });
    const { directory, sqlite } = memory;
    await sqlite.addAccount({ address: ALICE, password: { is: 'hash', hash: SHA512_CRYPT } });
    const key = 'alice@example.org' as never;
    expect((await directory.scramCredentials('alice@example.org')).account).toBeUndefined();
    expect(directory.allHaveScram()).toBe(false);

    expect(await directory.verifyPassword('alice@example.org', 'wrong')).toBeUndefined();
    expect(sqlite.credentials(key)?.hash).toBe(SHA512_CRYPT);

    expect(await directory.verifyPassword('alice@example.org', 'pässword 1')).toBeDefined();
    await directory.close();
    expect(sqlite.credentials(key)?.hash).toMatch(/^\$argon2id\$/);
    const keys = await directory.scramCredentials('alice@example.org');
    expect(keys.account?.id).toBe('alice@example.org');
    const derived = await deriveScramKeys('pässword 1', keys.salt, keys.iterations);
    expect(Buffer.from(keys.storedKey)).toEqual(derived.storedKey);
    expect(directory.allHaveScram()).toBe(true);
    expect(await directory.verifyPassword('alice@example.org', 'pässword 1')).toBeDefined();
    expect(await directory.verifyPassword('alice@example.org', 'wrong')).toBeUndefined();
    expect(lines.join('\n')).toContain('password hashed anew');
    expect(lines.join('\n')).not.toContain('pässword 1');
    await memory.close();
  });

  test('keeps SCRAM keys that were imported', async () => {
    const memory = await memoryDirectory({ domains: ['example.org'] });
    const hash =
      '{SCRAM-SHA-256}4096,X3x2JM8jjfnmrGt7axMbKw==,74NxR26JF1QSZhvfYkc/CVABlbXoQwcJTBNO53X5UgQ=,6HHXhyvLoMjvzneh0UbwQhpyL+J/vuGfhPxaI9BJkTM=';
    await memory.sqlite.addAccount({ address: ALICE, password: { is: 'hash', hash } });
    expect((await memory.directory.scramCredentials('alice@example.org')).iterations).toBe(4096);
    expect(await memory.directory.verifyPassword('alice@example.org', 'pässword 1')).toBeDefined();
    await memory.directory.close();
    expect((await memory.directory.scramCredentials('alice@example.org')).iterations).toBe(4096);
    expect(memory.sqlite.credentials('alice@example.org' as never)?.hash).toMatch(/^\$argon2id\$/);
    await memory.close();
  });

  test('does not undo a password that was set meanwhile', async () => {
    const memory = await memoryDirectory({ domains: ['example.org'] });
    await memory.sqlite.addAccount({ address: ALICE, password: { is: 'hash', hash: SHA512_CRYPT } });
    const key = 'alice@example.org' as never;
    const old = memory.sqlite.credentials(key);
    await memory.sqlite.setPassword(ALICE, { is: 'password', password: 'new one' });
    if (!old) throw new Error('no credentials');
    memory.sqlite.upgrade(key, old, { hash: '$argon2id$of-the-old-one', scram: undefined });
    expect(await memory.directory.verifyPassword('alice@example.org', 'new one')).toBeDefined();
    await memory.close();
  });
});

describe('a login that passed is remembered', () => {
  let clock: ManualClock;
  let memory: MemoryDirectory;
  beforeEach(async () => {
    clock = new ManualClock();
    memory = await memoryDirectory({ accounts: { 'alice@example.org': 'pw' }, clock });
  });
  afterEach(() => memory.close());

  /** Whether the answer came without a hash: those need the thread pool, hence turns of the event loop. */
  async function atOnce(password: string): Promise<'remembered' | 'checked'> {
    let answered = false;
    const answer = memory.directory.verifyPassword('alice@example.org', password).then(() => {
      answered = true;
    });
    for (let i = 0; i < 20; i++) await Promise.resolve();
    const seen = answered ? 'remembered' : 'checked';
    await answer;
    return seen;
  }

  test('for five minutes, and only with this password', async () => {
    expect(await atOnce('pw')).toBe('checked');
    expect(await atOnce('pw')).toBe('remembered');
    expect(await atOnce('PW')).toBe('checked');
    expect(await memory.directory.verifyPassword('alice@example.org', 'PW')).toBeUndefined();
    clock.set(clock.now().getTime() + 299_000);
    expect(await atOnce('pw')).toBe('remembered');
    clock.set(clock.now().getTime() + 2_000);
    expect(await atOnce('pw')).toBe('checked');
  });

  test('until the password changes or the account is switched off', async () => {
    expect(await atOnce('pw')).toBe('checked');
    await memory.sqlite.setPassword(ALICE, { is: 'password', password: 'other' });
    expect(await memory.directory.verifyPassword('alice@example.org', 'pw')).toBeUndefined();
    expect(await memory.directory.verifyPassword('alice@example.org', 'other')).toBeDefined();
    await memory.sqlite.setState(ALICE, 'disabled');
    expect(await memory.directory.verifyPassword('alice@example.org', 'other')).toBeUndefined();
    expect((await memory.directory.scramCredentials('alice@example.org')).account).toBeUndefined();
    await memory.sqlite.setState(ALICE, 'enabled');
    expect(await memory.directory.verifyPassword('alice@example.org', 'other')).toBeDefined();
  });

  test('and asked for by many connections at once is checked once for all', async () => {
    const all = await Promise.all(
      Array.from({ length: 2000 }, () => memory.directory.verifyPassword('alice@example.org', 'pw')),
    );
    // More than may wait: without sharing the answer some would be refused as too many at once.
    expect(all.every((account) => account?.id === 'alice@example.org')).toBe(true);
  });
});

test('an account switched off while its password is checked does not get in', async () => {
  const memory = await memoryDirectory({ accounts: { 'alice@example.org': 'pw' } });
  const login = memory.directory.verifyPassword('alice@example.org', 'pw');
  await memory.sqlite.setState(ALICE, 'disabled');
  expect(await login).toBeUndefined();
  await memory.close();
});

test('a login without a domain gets the default one', async () => {
  const memory = await memoryDirectory({
    accounts: { 'alice@example.org': 'pw', '"a@b"@example.org': 'pw2' },
    settings: { defaultDomain: domain('example.org') },
  });
  const { directory } = memory;
  expect((await directory.verifyPassword('alice', 'pw'))?.id).toBe('alice@example.org');
  expect((await directory.verifyPassword('"a@b"', 'pw2'))?.id).toBe('"a@b"@example.org');
  expect(await directory.verifyPassword('alice@', 'pw')).toBeUndefined();
  expect((await directory.scramCredentials('alice')).account?.id).toBe('alice@example.org');
  await memory.close();
});

test('a login name is prepared as SASL wants it (RFC 4013)', async () => {
  const memory = await memoryDirectory({ accounts: { 'alice@example.org': 'pw' } });
  expect(await memory.directory.verifyPassword('ali\u00adce@example.org', 'pw')).toBeDefined();
  expect(await memory.directory.verifyPassword('\uff41lice@example.org', 'pw')).toBeDefined();
  await memory.close();
});

test('{PLAIN} in an import is hashed like any password', async () => {
  const memory = await memoryDirectory({ domains: ['example.org'] });
  await memory.sqlite.addAccount({ address: ALICE, password: { is: 'hash', hash: '{PLAIN}geheim' } });
  expect(memory.sqlite.credentials('alice@example.org' as never)?.hash).toMatch(/^\$argon2id\$/);
  expect(await memory.directory.verifyPassword('alice@example.org', 'geheim')).toBeDefined();
  await memory.close();
});

describe('shared secrets for CRAM-MD5 and APOP', () => {
  test('are kept for passwords set from then on, sealed, and only where asked for', async () => {
    const path = join(dir, 'directory.sqlite');
    const keyFile = join(dir, 'directory.key');
    const before = await memoryDirectory({ path, accounts: { 'alice@example.org': 'geheim-1' } });
    expect(await before.directory.sharedSecret('alice@example.org')).toBeUndefined();
    await before.close();

    const on = await memoryDirectory({ path, keyFile });
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);
    expect(await on.directory.sharedSecret('alice@example.org')).toBeUndefined();
    await on.sqlite.setPassword(ALICE, { is: 'password', password: 'geheim-2' });
    expect(await on.directory.sharedSecret('Alice@example.org')).toMatchObject({
      secret: 'geheim-2',
      account: { id: 'alice@example.org' },
    });
    expect(await on.directory.sharedSecret('nobody@example.org')).toBeUndefined();
    await on.sqlite.setState(ALICE, 'disabled');
    expect(await on.directory.sharedSecret('alice@example.org')).toBeUndefined();
    await on.sqlite.setState(ALICE, 'enabled');
    on.sqlite.configure({ recipientDelimiters: '+', sharedSecrets: null });
    expect(await on.directory.sharedSecret('alice@example.org')).toBeUndefined();
    on.sqlite.configure({ recipientDelimiters: '+', sharedSecrets: { keyFile } });
    expect(await on.directory.sharedSecret('alice@example.org')).toBeDefined();
    await on.close();
    expect(readFileSync(path).includes('geheim-2')).toBe(false);

    const again = await memoryDirectory({ path, keyFile });
    expect((await again.directory.sharedSecret('alice@example.org'))?.secret).toBe('geheim-2');
    await again.close();

    const otherKey = await memoryDirectory({ path, keyFile: join(dir, 'other.key') });
    expect(await otherKey.directory.sharedSecret('alice@example.org')).toBeUndefined();
    await otherKey.close();

    const off = await memoryDirectory({ path });
    expect(await off.directory.sharedSecret('alice@example.org')).toBeUndefined();
    await off.sqlite.setPassword(ALICE, { is: 'password', password: 'geheim-3' });
    await off.close();
    const onAgain = await memoryDirectory({ path, keyFile });
    expect(await onAgain.directory.sharedSecret('alice@example.org')).toBeUndefined();
    await onAgain.close();
  });
});
