import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { compile } from '../../../src/sieve/compile.ts';
import { EXTENSIONS, PROGRAM_EXTENSIONS } from '../../../src/sieve/extensions/index.ts';
import { LIMITS, type SieveLimits } from '../../../src/sieve/limits.ts';
import { Run } from '../../../src/sieve/run.ts';
import { suiteHost } from './host.ts';
import { State } from './state.ts';
import { TestFailed, testsuite } from './words.ts';

/** What came of one file. */
export interface Outcome {
  readonly tests: readonly string[];
  readonly failures: readonly { readonly test: string; readonly reason: string }[];
}

/** Runs a test file as a script: `.svtest`, or `.svtest.in`, in which what is for engines without UTF-8 in addresses is comment. */
export async function runFile(path: string): Promise<Outcome> {
  const source = await readFile(path, 'utf8');
  const state = new State(dirname(path));
  state.extensions = [...EXTENSIONS, ...PROGRAM_EXTENSIONS, testsuite(state)];
  try {
    const script = compile(source, state.extensions, state.limits());
    const run = new Run(script, {
      message: state.message(),
      envelope: state.envelope,
      host: suiteHost(state),
      limits: limitsNow(state),
    });
    state.file = run;
    state.result = run;
    await run.block(script.commands);
  } catch (error) {
    const reason = error instanceof TestFailed ? error.message : String(error);
    state.failures.push({ test: '(file)', reason });
  }
  return { tests: state.tests, failures: state.failures };
}

/** The file's own run goes on while it changes its configuration. */
function limitsNow(state: State): SieveLimits {
  const own = { steps: Number.MAX_SAFE_INTEGER, characters: Number.MAX_SAFE_INTEGER, actions: 1000 };
  return new Proxy(LIMITS, { get: (_, key) => ({ ...state.limits(), ...own })[key as keyof SieveLimits] });
}
