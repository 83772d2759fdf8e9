import { readdirSync, readFileSync } from 'node:fs';
import { dirname, normalize, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

/**
 * Floors of the house, ground floor first. A room may import from floors below its own, and from itself;
 * rooms on one floor do not know each other. This table is the architecture.
 */
const FLOORS = [
  ['lib'],
  ['mail', 'dns', 'tls'],
  ['message', 'directory', 'net', 'oauth'],
  ['sasl', 'store', 'queue', 'sieve'],
  ['checks', 'delivery', 'transfer'],
  ['smtp', 'imap', 'pop3', 'managesieve'],
  ['admin'],
  ['config'],
  ['open'],
  ['protocols.ts'],
  ['listeners.ts'],
  ['worker.ts'],
  ['facteur.ts'],
  ['cli'],
  ['main.ts'],
];

/** Each package comes in by one door. */
const DOORS: Readonly<Record<string, RegExp>> = {
  'smtp-server': /^smtp\//,
  nodemailer: /^delivery\//,
  mailparser: /^message\//,
  'iconv-lite': /^message\//,
  'better-sqlite3': /^lib\/sqlite\.ts$/,
  'node-forge': /^tls\//,
  pino: /^lib\/logger\.ts$/,
  yaml: /^config\//,
  zod: /^(config\/.*|[a-z0-9]+\/options\.ts)$/,
  re2js: /^sieve\//,
  imapflow: /^transfer\/imap\//,
  'node:http': /^oauth\/http-json\.ts$/,
  'node:https': /^oauth\/http-json\.ts$/,
};

const root = resolve(import.meta.dirname, '../src');
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const roomOf = (file: string): string => file.split('/')[0] ?? '';
const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room));
const imports = (file: string): string[] =>
  [...readFileSync(resolve(root, file), 'utf8').matchAll(/(?:from|import\(|import)\s*'([^']+)'/g)].map(
    (match) => match[1] ?? '',
  );

test('there are files to look at', () => {
  expect(files.length).toBeGreaterThan(20);
});

test.each(files)('%s stands on a floor and imports only from below, through the right doors', (file) => {
  const room = roomOf(file);
  expect(floorOf(room), `${room} is on no floor`).toBeGreaterThanOrEqual(0);
  for (const target of imports(file)) {
    const [scopeOrName = '', name] = target.split('/');
    const pkg = scopeOrName.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName;
    const door = DOORS[pkg];
    if (door) expect(file, `${target} has its own door`).toMatch(door);
    if (!target.startsWith('.')) continue;
    const other = roomOf(normalize(relative(root, resolve(root, dirname(file), target))));
    if (other === room) continue;
    expect(floorOf(other), `${file} -> ${other} is on no floor`).toBeGreaterThanOrEqual(0);
    expect(floorOf(other), `${file} -> ${other}`).toBeLessThan(floorOf(room));
  }
});
