import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AccountId } from '../../src/directory/directory.ts';
import { MAX_ENTRIES, SqliteKeyValue } from '../../src/store/key-value.ts';
import { ManualClock } from '../clock.ts';
import { recordingLog } from '../tls/log.ts';
import { alice, temporaryDirectory } from './surroundings.ts';

/** Small facts that expire. */

const bob = 'bob@example.org' as AccountId;
let base: ReturnType<typeof temporaryDirectory>;
let clock: ManualClock;
let facts: SqliteKeyValue;
let path: string;
const { log, lines } = recordingLog();

beforeEach(() => {
  base = temporaryDirectory();
  path = join(base.path, 'state.sqlite');
  clock = new ManualClock();
  facts = new SqliteKeyValue(path, clock, log);
});
afterEach(() => {
  facts.close();
  base.remove();
});

const later = (ms: number): number => clock.now().getTime() + ms;

test('a fact is one account’s, in one space, until it expires', async () => {
  facts.set(alice, 'vacation', 'x', 'one', later(1000));
  facts.set(alice, 'vacation', 'x', 'two', later(1000));
  expect(facts.get(alice, 'vacation', 'x')).toBe('two');
  expect(facts.get(alice, 'duplicate', 'x')).toBeUndefined();
  expect(facts.get(bob, 'vacation', 'x')).toBeUndefined();
  await clock.advance(999);
  expect(facts.get(alice, 'vacation', 'x')).toBe('two');
  await clock.advance(1);
  expect(facts.get(alice, 'vacation', 'x')).toBeUndefined();
});

test('another process, or another time, finds it', () => {
  facts.set(alice, 's', 'k', 'v', later(1000));
  const other = new SqliteKeyValue(path, clock, log);
  expect(other.get(alice, 's', 'k')).toBe('v');
  other.set(alice, 's', 'k', 'w', later(1000));
  other.close();
  expect(facts.get(alice, 's', 'k')).toBe('w');
});

test('of one account only so many are kept: those that expire last', () => {
  for (let i = 0; i < MAX_ENTRIES + 400; i++) facts.set(alice, 's', `k${i}`, '', later(10_000 + i));
  facts.set(bob, 's', 'k0', '', later(5));
  expect(facts.get(alice, 's', 'k0')).toBeUndefined();
  expect(facts.get(alice, 's', `k${MAX_ENTRIES + 399}`)).toBe('');
  expect(facts.get(bob, 's', 'k0')).toBe('');
});

test('damaged, it begins anew, and says so', () => {
  facts.set(alice, 's', 'k', 'v', later(1000));
  facts.close();
  const bytes = readFileSync(path);
  bytes.fill(0x5a, 0, 4096);
  writeFileSync(path, bytes);
  facts = new SqliteKeyValue(path, clock, log);
  expect(facts.get(alice, 's', 'k')).toBeUndefined();
  facts.set(alice, 's', 'k', 'v', later(1000));
  expect(facts.get(alice, 's', 'k')).toBe('v');
  expect(lines.some(({ message }) => message === 'damaged, begun anew')).toBe(true);
  expect(readdirSync(base.path).length).toBeGreaterThan(1);
});
