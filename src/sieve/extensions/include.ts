import type { Bound } from '../bound.ts';
import type { Compiler, Script } from '../compile.ts';
import { SieveError, SieveRuntimeError } from '../errors.ts';
import type { Extension, Flow } from '../extension.ts';
import type { Run } from '../run.ts';
import { scriptNameProblem } from '../script-name.ts';

/** RFC 6609. Scripts that are included are looked up when the script runs: they may come later, or change. */

const WHERE = 'included';

interface Included {
  readonly path: string[];
  readonly done: Set<string>;
  count: number;
}

export const include: Extension = {
  name: 'include',
  source: 'RFC 6609',
  commands: {
    include: {
      tags: {
        personal: { group: 'location' },
        global: { group: 'location' },
        once: {},
        optional: {},
      },
      arguments: ['string'],
      compile(bound, compiler) {
        const [name] = bound.args;
        const problem =
          typeof name === 'string' ? scriptNameProblem(name) : 'variables are not possible in it';
        if (problem !== undefined) compiler.error(bound.at, `the name of the script cannot be: ${problem}`);
        else if (typeof name === 'string')
          compiler.includes.push({
            at: bound.at,
            name,
            where: whereOf(bound),
            optional: bound.tags.has('optional'),
          });
      },
      run: includeScript,
    },
    return: { run: () => 'return' },
    global: {
      arguments: ['strings'],
      compile: checkGlobal,
      run(bound, run) {
        for (const name of run.texts(bound.args[0]).map((one) => one.toLowerCase())) {
          if (run.variables.has(name) && !run.globalNames.has(name))
            throw new SieveRuntimeError(`the variable ${name} was set before it was declared global`);
          run.globalNames.add(name);
        }
      },
    },
  },
  namespaces: { global: (name, run) => run.globals.get(name) ?? '' },
};

function whereOf(bound: Bound): 'personal' | 'global' {
  return bound.tags.has('global') ? 'global' : 'personal';
}

function checkGlobal(bound: Bound, compiler: Compiler): void {
  if (!compiler.isActive('variables')) compiler.error(bound.at, 'global needs require "variables"');
  const [names] = bound.args;
  for (const name of typeof names === 'object' && 'texts' in names ? names.texts : []) {
    if (typeof name !== 'string' || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      compiler.error(bound.at, `${JSON.stringify(name)} is no name of a variable`);
    else if (compiler.seen.has(`set ${name.toLowerCase()}`))
      compiler.error(bound.at, `the variable ${name} was set before it is declared global`);
    else compiler.seen.add(`global ${name.toLowerCase()}`);
  }
}

async function includeScript(bound: Bound, run: Run): Promise<Flow> {
  const name = run.text(bound.args[0]);
  const where = whereOf(bound);
  const key = `${where} ${name}`;
  const state = included(run);
  if (bound.tags.has('once') && (state.done.has(key) || state.path.includes(key))) return 'on';
  if (state.path.includes(key)) throw new SieveRuntimeError(`the script ${name} includes itself`);
  if (state.path.length >= run.limits.includeDepth)
    throw new SieveRuntimeError(`scripts include each other more than ${run.limits.includeDepth} deep`);
  if (++state.count > run.limits.includes)
    throw new SieveRuntimeError(`more than ${run.limits.includes} scripts are included`);
  const script = await scriptOf(run, name, where);
  if (script === undefined) {
    if (bound.tags.has('optional')) return 'on';
    throw new SieveRuntimeError(`there is no ${where} script ${JSON.stringify(name)} to include`);
  }
  state.done.add(key);
  state.path.push(key);
  // RFC 6609 3.4: variables are the script's own, unless they are global.
  const { script: outer, variables, globalNames } = run;
  run.script = script;
  run.variables = new Map();
  run.globalNames = new Set();
  try {
    const flow = await run.block(script.commands);
    return flow === 'return' ? 'on' : flow;
  } finally {
    run.script = outer;
    run.variables = variables;
    run.globalNames = globalNames;
    state.path.pop();
  }
}

async function scriptOf(run: Run, name: string, where: 'personal' | 'global'): Promise<Script | undefined> {
  try {
    return await run.host.included(name, where);
  } catch (error) {
    if (!(error instanceof SieveError)) throw error;
    throw new SieveRuntimeError(`the included script ${JSON.stringify(name)} has mistakes: ${error.message}`);
  }
}

function included(run: Run): Included {
  const state = (run.notes.get(WHERE) as Included | undefined) ?? { path: [], done: new Set(), count: 0 };
  run.notes.set(WHERE, state);
  return state;
}
