import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bound } from '../../../src/sieve/bound.ts';
import { compile, type Script } from '../../../src/sieve/compile.ts';
import { SieveError, SieveRuntimeError } from '../../../src/sieve/errors.ts';
import type { Extension } from '../../../src/sieve/extension.ts';
import { setFlagVariable } from '../../../src/sieve/flags.ts';
import { Run } from '../../../src/sieve/run.ts';
import { carryOut } from './carry-out.ts';
import { suiteHost } from './host.ts';
import { crlf, type State } from './state.ts';

/** The commands and tests of vnd.dovecot.testsuite, on this engine. */

export class TestFailed extends Error {}

export function testsuite(state: State): Extension {
  return {
    name: 'vnd.dovecot.testsuite',
    source: 'Pigeonhole: doc/rfc and tests',
    namespaces: { tst: (name) => (name === 'path' ? state.directory : '') },
    commands: {
      test: {
        arguments: ['string'],
        block: 'must',
        async run(bound, run) {
          const name = run.text(bound.args[0]);
          state.current = name;
          state.tests.push(name);
          state.errors = [];
          try {
            await run.block(bound.block);
          } catch (error) {
            if (!(error instanceof TestFailed || error instanceof SieveRuntimeError)) throw error;
            const reason =
              error instanceof SieveRuntimeError ? `run-time error: ${error.text}` : error.message;
            state.failures.push({ test: name, reason });
          }
          state.current = undefined;
        },
      },
      test_fail: {
        arguments: ['string'],
        run(bound, run) {
          throw new TestFailed(run.text(bound.args[0]));
        },
      },
      test_set: { arguments: ['string', 'string'], run: (bound, run) => set(state, run, bound) },
      test_config_set: {
        arguments: ['string', 'string'],
        run: (bound, run) => void state.config.set(run.text(bound.args[0]), run.text(bound.args[1])),
      },
      test_config_unset: {
        arguments: ['string'],
        run: (bound, run) => void state.config.delete(run.text(bound.args[0])),
      },
      test_config_reload: {
        tags: { extension: { value: 'string' } },
        run() {
          state.active = new Map(state.config);
        },
      },
      test_result_reset: {
        run() {
          if (state.file) {
            state.file.actions.length = 0;
            state.file.implicitKeep = true;
          }
          state.result = state.file;
          state.outbox = [];
          state.memory.clear();
          state.errors = [];
        },
      },
      test_result_print: { run: () => {} },
      test_message: {
        tags: { smtp: { group: 'from' }, folder: { group: 'from', value: 'string' } },
        arguments: ['number'],
        run(bound, run) {
          if (!takeMessage(state, run, bound)) throw new TestFailed('there is no such message');
        },
      },
      test_mailbox_create: {
        arguments: ['string'],
        run(bound, run) {
          const name = run.text(bound.args[0]);
          if (!state.folders.has(name)) state.folders.set(name, []);
        },
      },
      test_mailbox_delete: {
        arguments: ['string'],
        run: (bound, run) => void state.folders.delete(run.text(bound.args[0])),
      },
      test_imap_metadata_set: {
        tags: { mailbox: { value: 'string' } },
        arguments: ['string', 'string'],
        run(bound, run) {
          const mailbox = run.text(bound.tags.get('mailbox'));
          state.annotations.set(
            `${mailbox} ${run.text(bound.args[0]).toLowerCase()}`,
            run.text(bound.args[1]),
          );
        },
      },
      test_binary_save: {
        arguments: ['string'],
        run: (bound, run) => void state.binaries.set(run.text(bound.args[0]), state.script),
      },
      test_binary_load: {
        arguments: ['string'],
        run(bound, run) {
          state.script = state.binaries.get(run.text(bound.args[0]));
        },
      },
    },
    tests: {
      test_script_compile: {
        arguments: ['string'],
        check: (bound, run) => compileScript(state, run.text(bound.args[0])),
      },
      test_script_run: {
        tags: { append_result: {} },
        check: (bound) => runScript(state, bound.tags.has('append_result')),
      },
      test_multiscript: {
        arguments: ['strings'],
        async check(bound, run) {
          for (const [i, path] of run.texts(bound.args[0]).entries()) {
            if (!(await compileScript(state, path)) || !(await runScript(state, i > 0))) return false;
            // As delivery does: one that has decided keeps the others from running.
            const { result } = state;
            if (result && !result.implicitKeep && !result.actions.some(({ type }) => type === 'keep')) break;
          }
          return executeResult(state);
        },
      },
      test_result_execute: { check: () => executeResult(state) },
      test_result_action: {
        takes: ['match'],
        tags: { index: { value: 'number' } },
        arguments: ['strings'],
        check(bound, run) {
          const names = state.actions.map(({ type }) => (type === 'fileinto' ? 'store' : type));
          return run.match(bound, chosen(bound, run, names), run.texts(bound.args[0]));
        },
      },
      test_error: {
        takes: ['match'],
        tags: { index: { value: 'number' } },
        arguments: ['strings'],
        check: (bound, run) => run.match(bound, chosen(bound, run, state.errors), run.texts(bound.args[0])),
      },
      test_message: {
        tags: { smtp: { group: 'from' }, folder: { group: 'from', value: 'string' } },
        arguments: ['number'],
        check: (bound, run) => takeMessage(state, run, bound),
      },
    },
  };
}

function chosen(bound: Bound, run: Run, all: readonly string[]): readonly string[] {
  if (!bound.tags.has('index')) return all;
  const at = run.number(bound.tags.get('index')) - 1;
  return all.slice(at, at + 1);
}

function set(state: State, run: Run, bound: Bound): void {
  const value = run.text(bound.args[1]);
  const part = run.text(bound.args[0]);
  // A source route is nobody's business (RFC 5321 C).
  const address = value
    .trim()
    .replace(/^<(?:@\w[\w-]*(?:\.[\w-]+)*(?:,@\w[\w-]*(?:\.[\w-]+)*)*:)?([^<>]*)>$/, '$1');
  if (part === 'message') {
    state.setMessage(crlf(value));
    setFlagVariable(run, undefined, []);
  } else if (part === 'envelope.from') state.envelope = { ...state.envelope, from: address };
  else if (part === 'envelope.to') state.envelope = { ...state.envelope, to: address, origTo: address };
  else if (part === 'envelope.orig_to') state.envelope = { ...state.envelope, origTo: address };
  else if (part === 'envelope.auth') state.envelope = { ...state.envelope, auth: address };
  else throw new Error(`cannot set ${part}`);
  refresh(state, run);
}

/** The file itself goes on with the message that it set. */
function refresh(state: State, run: Run): void {
  run.message = state.message();
  run.envelope = state.envelope;
}

function takeMessage(state: State, run: Run, bound: Bound): boolean {
  const at = run.number(bound.args[0]);
  if (bound.tags.has('smtp')) {
    const sent = state.outbox[at];
    if (!sent) return false;
    state.setMessage(sent.bytes);
    state.envelope = { from: sent.from, to: sent.to };
  } else {
    const stored = state.folders.get(run.text(bound.tags.get('folder')))?.[at];
    if (!stored) return false;
    state.setMessage(stored.bytes);
    setFlagVariable(run, undefined, stored.flags);
  }
  refresh(state, run);
  return true;
}

async function compileScript(state: State, path: string): Promise<boolean> {
  state.errors = [];
  state.script = undefined;
  const full = path.startsWith('/') ? path : join(state.directory, path);
  const source = await readFile(full, 'utf8');
  try {
    state.script = compile(source, state.extensions, state.limits());
    const count = { scripts: 0 };
    state.errors.push(...(await missingIncludes(state, state.script, [full], count)));
    if (count.scripts > state.limits().includes) state.errors.push('too many scripts are included');
  } catch (error) {
    if (!(error instanceof SieveError)) throw error;
    state.errors.push(...error.complaints.map(({ line, message }) => `line ${line}: ${message}`));
  }
  // The suite counts the sentence that nothing came of it.
  if (state.errors.length > 0) state.errors.push('validation failed');
  return state.errors.length === 0;
}

/** The engine looks included scripts up when it runs; the suite wants to know before. */
async function missingIncludes(
  state: State,
  script: Script,
  path: readonly string[],
  count: { scripts: number },
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { name, where, optional } of script.includes) {
    const key = `${where} ${name}`;
    count.scripts++;
    if (path.includes(key)) {
      wrong.push(`circular include of ${name}`);
      continue;
    }
    if (path.length > state.limits().includeDepth) return [`included script ${name} is nested too deeply`];
    try {
      const included = await suiteHost(state).included(name, where);
      if (included) wrong.push(...(await missingIncludes(state, included, [...path, key], count)));
      else if (!optional) wrong.push(`included script ${name} does not exist`);
    } catch (error) {
      if (!(error instanceof SieveError)) throw error;
      wrong.push(`included script ${name}: ${error.message}`);
    }
  }
  return wrong;
}

async function runScript(state: State, append: boolean): Promise<boolean> {
  state.errors = [];
  const { script } = state;
  if (!script) throw new TestFailed('no script was compiled');
  if (append && state.result) {
    state.result.next(script);
    state.result.implicitKeep = true;
  } else
    state.result = new Run(script, {
      message: state.message(),
      envelope: state.envelope,
      host: suiteHost(state),
      limits: state.limits(),
    });
  try {
    await state.result.block(script.commands);
    state.errors.push(...state.result.warnings);
    return true;
  } catch (error) {
    if (!(error instanceof SieveRuntimeError)) throw error;
    state.errors.push(error.text);
    return false;
  }
}

async function executeResult(state: State): Promise<boolean> {
  state.errors = [];
  try {
    await carryOut(state);
  } catch (error) {
    state.errors.push(error instanceof Error ? error.message : String(error));
  }
  return state.errors.length === 0;
}
