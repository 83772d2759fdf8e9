import { type Bound, SKIPPED } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import type { Command, Flow } from '../extension.ts';
import type { Run } from '../run.ts';

/** if, elsif, else, stop (RFC 5228 3). */

const BRANCHES = ['if', 'elsif'] as const;

/** Set on a test that is false whatever the message is: what it guards may speak of extensions that are not here. */
export const NEVER = 'never';

export function neverTrue(bound: Bound | undefined): boolean {
  if (bound?.notes.get(NEVER) === true) return true;
  return bound?.name === 'allof' && bound.tests.some(neverTrue);
}

function branch(bound: Bound, run: Run): Flow | Promise<Flow> {
  const [test] = bound.tests;
  const outcome = test ? run.check(test) : true;
  if (outcome instanceof Promise) return outcome.then((late) => (late ? within(bound, run) : 'on'));
  return outcome === true ? within(bound, run) : 'on';
}

async function within(bound: Bound, run: Run): Promise<Flow> {
  run.taken = true;
  const flow = await run.block(bound.block);
  run.taken = true;
  return flow;
}

function compile(bound: Bound, _compiler: Compiler): void {
  if (neverTrue(bound.tests[0])) bound.notes.set(SKIPPED, true);
}

export const controls: Readonly<Record<string, Command>> = {
  if: {
    tests: 'one',
    block: 'must',
    compile,
    run(bound, run) {
      run.taken = false;
      return branch(bound, run);
    },
  },
  elsif: {
    tests: 'one',
    block: 'must',
    after: BRANCHES,
    compile,
    run: (bound, run) => (run.taken ? 'on' : branch(bound, run)),
  },
  else: {
    block: 'must',
    after: BRANCHES,
    run: (bound, run) => (run.taken ? 'on' : branch(bound, run)),
  },
  stop: { run: () => 'stop' },
};
