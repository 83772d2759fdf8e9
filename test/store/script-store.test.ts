import { spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { activeScriptFile, FileScriptStore, scriptPath } from '../../src/store/script-store.ts';
import { StoreError } from '../../src/store/store.ts';
import { alice, temporaryDirectory } from './surroundings.ts';

/** Scripts on disk: names, what others put there, and what a crash leaves. */

const LIMITS = { maxSize: 1000, maxScripts: 5, maxTotal: 3000 };
let base: ReturnType<typeof temporaryDirectory>;
let scripts: FileScriptStore;
let home: string;

beforeEach(() => {
  base = temporaryDirectory();
  scripts = new FileScriptStore(base.path, LIMITS);
  home = join(base.path, 'mail/example.org/alice');
});
afterEach(() => base.remove());

async function names(): Promise<string[]> {
  return (await scripts.list(alice)).map(({ name, active }) => (active ? `${name}*` : name));
}

const kindOf = (error: unknown): string => (error instanceof StoreError ? error.kind : String(error));

describe('names', () => {
  test.each([
    'plain',
    'é',
    'é',
    '.hidden',
    '..',
    '%',
    '%2E',
    '%~x',
    'a%2Fb',
    'active',
    'x.sieve',
    'with "quotes" and \\',
    'new',
    'x'.repeat(300),
    '漢'.repeat(128),
    '🦊',
    'trailing ',
    '~',
  ])('%j is kept, and stays below the directory', async (name) => {
    await scripts.put(alice, name, Buffer.from('keep;'));
    await scripts.activate(alice, name);
    expect(await scripts.list(alice)).toEqual([{ name, active: true, bytes: 5 }]);
    expect(Buffer.from((await scripts.get(alice, name)) ?? []).toString()).toBe('keep;');
    expect(activeScriptFile(home)).toEqual({ name, path: scriptPath(home, name) });
    expect(readFileSync(scriptPath(home, name), 'utf8')).toBe('keep;');
    expect(readdirSync(base.path)).toEqual(['mail']);
    expect(readdirSync(home)).toEqual(['sieve']);
    await scripts.rename(alice, name, 'other');
    expect(await names()).toEqual(['other*']);
    await scripts.rename(alice, 'other', name);
    await scripts.activate(alice, null);
    await scripts.delete(alice, name);
    expect(readdirSync(join(home, 'sieve'))).toEqual([]);
  });

  test('no two share a file', async () => {
    const all = ['a', 'A', 'á', 'á', '%61'];
    for (const name of all) await scripts.put(alice, name, Buffer.from(name));
    for (const name of all) expect(Buffer.from((await scripts.get(alice, name)) ?? []).toString()).toBe(name);
  });
});

describe('limits', () => {
  test('size, number, all together; what is replaced does not count', async () => {
    const big = Buffer.alloc(900, 'x');
    await expect(scripts.put(alice, 'a', Buffer.alloc(1001)).catch(kindOf)).resolves.toBe('limit');
    for (const name of ['a', 'b', 'c']) await scripts.put(alice, name, big);
    await expect(scripts.put(alice, 'd', big).catch(kindOf)).resolves.toBe('over-quota');
    await scripts.put(alice, 'c', Buffer.alloc(1000, 'y'));
    for (const name of ['d', 'e']) await scripts.put(alice, name, Buffer.from('z'));
    await expect(scripts.put(alice, 'f', Buffer.from('z')).catch(kindOf)).resolves.toBe('over-quota');
    await scripts.put(alice, 'e', Buffer.from('zz'));
    expect(await names()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('at the same time, too', async () => {
    const done = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => scripts.put(alice, `s${i}`, Buffer.from('keep;'))),
    );
    expect(done.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    expect(await names()).toHaveLength(5);
  });
});

describe('one is active, or none', () => {
  test('it can be replaced and renamed, not deleted', async () => {
    await scripts.put(alice, 'a', Buffer.from('keep;'));
    await scripts.put(alice, 'b', Buffer.from('stop;'));
    await scripts.activate(alice, 'a');
    await expect(scripts.delete(alice, 'a').catch(kindOf)).resolves.toBe('busy');
    await scripts.put(alice, 'a', Buffer.from('discard;'));
    expect(await names()).toEqual(['a*', 'b']);
    await expect(scripts.rename(alice, 'a', 'b').catch(kindOf)).resolves.toBe('exists');
    await scripts.rename(alice, 'a', 'a');
    await scripts.rename(alice, 'a', 'z');
    expect(await names()).toEqual(['b', 'z*']);
    await expect(scripts.activate(alice, 'a').catch(kindOf)).resolves.toBe('not-found');
    await scripts.activate(alice, 'b');
    await scripts.activate(alice, null);
    await scripts.activate(alice, null);
    expect(await names()).toEqual(['b', 'z']);
  });

  test('of an account that has nothing', async () => {
    expect(await scripts.list(alice)).toEqual([]);
    expect(await scripts.get(alice, 'a')).toBeUndefined();
    await scripts.activate(alice, null);
    for (const work of [
      scripts.delete(alice, 'a'),
      scripts.rename(alice, 'a', 'b'),
      scripts.activate(alice, 'a'),
    ])
      await expect(work.catch(kindOf)).resolves.toBe('not-found');
    expect(existsSync(home)).toBe(false);
  });
});

describe('what others have put there', () => {
  beforeEach(async () => {
    await scripts.put(alice, 'mine', Buffer.from('keep;'));
  });

  test('a plain file is a script; links, directories, pipes and other names are not seen', async () => {
    const at = join(home, 'sieve');
    writeFileSync(join(at, 'theirs.sieve'), 'stop;');
    writeFileSync(join(at, 'notes.txt'), 'x');
    writeFileSync(join(at, '%ZZ.sieve'), 'x');
    writeFileSync(join(at, '%~no-name.sieve'), 'x');
    mkdirSync(join(at, 'directory.sieve'));
    symlinkSync('/etc/passwd', join(at, 'link.sieve'));
    expect(await names()).toEqual(['mine', 'theirs']);
    expect(await scripts.get(alice, 'link')).toBeUndefined();
    expect(await scripts.get(alice, 'directory')).toBeUndefined();
    await expect(scripts.activate(alice, 'link').catch(kindOf)).resolves.toBe('not-found');
  });

  test.each([
    ['a name that is not there', 'gone\n'],
    ['nothing', ''],
    ['a path', '../../../../etc/passwd\n'],
    ['too much', 'x'.repeat(5000)],
  ])('"active" holds %s: none is', async (_what, text) => {
    writeFileSync(join(home, 'sieve/active'), text);
    expect(await names()).toEqual(['mine']);
    expect(activeScriptFile(home)).toBeUndefined();
  });

  test('"active" is a link, as Dovecot has it: none is', async () => {
    symlinkSync('mine.sieve', join(home, 'sieve/active'));
    expect(activeScriptFile(home)).toBeUndefined();
    await scripts.activate(alice, 'mine');
    expect(await names()).toEqual(['mine*']);
    expect(lstatSync(join(home, 'sieve/active')).isFile()).toBe(true);
  });
});

test('killed at work: the active script is there and whole, and so is every other', async () => {
  await scripts.put(alice, 'a', Buffer.from(`# ${'a'.repeat(500)}`));
  await scripts.activate(alice, 'a');
  const child = join(import.meta.dirname, 'script-store-child.ts');
  for (let round = 0; round < 8; round++) {
    const process_ = spawn(process.execPath, [child, base.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => process_.stdout.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 5 + round * 7));
    process_.kill('SIGKILL');
    await new Promise((resolve) => process_.once('close', resolve));
    const active = activeScriptFile(home);
    expect(active, `round ${round}`).toBeDefined();
    for (const { name } of await scripts.list(alice)) {
      const text = Buffer.from((await scripts.get(alice, name)) ?? []).toString();
      expect(text).toMatch(/^# ([a-z])\1{499}$/);
    }
  }
  // What was left half done is in nobody's way.
  await scripts.put(alice, 'b', Buffer.from('keep;'));
  await scripts.activate(alice, 'b');
  rmSync(home, { recursive: true });
});
