import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runFile } from './testsuite/suite.ts';

/** Scripts that test themselves, in the language of Pigeonhole's test suite; testsuite/ is what runs them. */
const directory = join(import.meta.dirname, 'svtest');

test.each(readdirSync(directory).filter((name) => name.endsWith('.svtest')))('%s', async (name) => {
  const { tests, failures } = await runFile(join(directory, name));
  expect(failures).toEqual([]);
  expect(tests.length).toBeGreaterThan(0);
});
