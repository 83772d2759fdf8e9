import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defaultConfig, loadConfig, parseConfig } from '../../src/config/load.ts';
import { ConfigError, suggestion } from '../../src/config/problem.ts';
import { schema } from '../../src/config/schema.ts';
import { documentedSettings } from './documented.ts';

const root = resolve(import.meta.dirname, '../..');
const bad = join(root, 'test/bad-config');

function problemsIn(text: string): string {
  try {
    parseConfig(text, 'facteur.yaml', '/');
    return '';
  } catch (error) {
    if (error instanceof ConfigError) return `${error.message}\n`;
    throw error;
  }
}

describe('a bad configuration is told all at once, with places', () => {
  test.each(readdirSync(bad))('%s', (name) => {
    const told = problemsIn(readFileSync(join(bad, name, 'facteur.yaml'), 'utf8'));
    const expected = join(bad, name, 'expected');
    expect(existsSync(expected), `test/bad-config/${name}/expected is missing; it would be:\n${told}`).toBe(
      true,
    );
    expect(told).toBe(readFileSync(expected, 'utf8'));
  });

  test('a file that is not there is one problem, not a stack', () => {
    expect(() => loadConfig('/nowhere/facteur.yaml', '/')).toThrow(/no such file/);
  });
});

describe('config/facteur.yaml', () => {
  const file = join(root, 'config/facteur.yaml');

  test('is exactly the defaults', () => {
    expect(loadConfig(file, '/somewhere')).toEqual(defaultConfig({}, '/somewhere'));
  });

  test('mentions every setting', () => {
    const text = readFileSync(file, 'utf8');
    const mentioned = documentedSettings(text);
    const missing = settingsOf(schema).filter((setting) => !mentioned.has(setting));
    expect(missing).toEqual([]);
  });

  test('the smallest configuration is a valid one', () => {
    const config = loadConfig(join(root, 'config/minimal.yaml'), '/etc/facteur');
    expect(config.listeners.smtp).toHaveLength(2);
  });
});

test('relative paths count from the given folder', () => {
  const config = parseConfig(
    'dataDir: mail\ntls: { cert: c.pem, key: /k.pem }',
    'facteur.yaml',
    '/etc/facteur',
  );
  expect(config.dataDir).toBe('/etc/facteur/mail');
  expect(config.tls.cert).toBe('/etc/facteur/c.pem');
  expect(config.tls.key).toBe('/k.pem');
});

test('an empty file is the defaults', () => {
  expect(parseConfig('', 'facteur.yaml', '/')).toEqual(defaultConfig({}, '/'));
});

test.each([
  ['maxSzie', 'maxSize'],
  ['hostnam', 'hostname'],
  ['zebra', undefined],
])('%s suggests %s', (word, expected) => {
  expect(suggestion(word, ['maxSize', 'hostname', 'queue'])).toBe(expected);
});

/** Dotted names of all settings that are no groups; a group that may be null counts as one. */
function settingsOf(type: unknown, prefix = ''): string[] {
  let at = type as { unwrap?: () => unknown; shape?: Record<string, unknown> };
  while (at.unwrap && !at.shape && !('element' in at)) {
    if (at instanceof z.ZodNullable) return [prefix];
    at = at.unwrap() as typeof at;
  }
  if (!at.shape) return [prefix];
  return Object.entries(at.shape).flatMap(([key, value]) =>
    settingsOf(value, prefix === '' ? key : `${prefix}.${key}`),
  );
}
