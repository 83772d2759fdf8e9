import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Extension } from '../extension.ts';
import { MessageVersion } from '../message.ts';
import type { Run } from '../run.ts';
import { isScriptAddress } from '../script-address.ts';
import { assign, isSettable } from './variables.ts';

/** What Pigeonhole has beyond the RFCs, for scripts that come from there. */

export const debug: Extension = {
  name: 'vnd.dovecot.debug',
  source: 'Pigeonhole: vnd.dovecot.debug',
  commands: {
    debug_log: {
      arguments: ['string'],
      run: (bound, run) => run.host.debug(run.text(bound.args[0])),
    },
  },
};

/** RFC 5965 7.3. */
const FEEDBACK = new Set(['abuse', 'fraud', 'virus', 'other', 'not-spam']);

export const report: Extension = {
  name: 'vnd.dovecot.report',
  source: 'Pigeonhole: vnd.dovecot.report',
  commands: {
    report: {
      tags: { headers_only: {} },
      arguments: ['string', 'string', 'string'],
      compile(bound, compiler) {
        const [feedback, , to] = bound.args;
        if (typeof feedback === 'string' && !isFeedback(feedback))
          compiler.error(bound.at, `invalid feedback type: ${feedback}`);
        if (typeof to === 'string' && !isScriptAddress(to))
          compiler.error(bound.at, `the address is invalid: ${to}`);
      },
      run(bound, run) {
        const [feedback = '', text = '', to = ''] = bound.args.map((arg) => run.text(arg));
        if (!isFeedback(feedback))
          throw new SieveRuntimeError(`invalid feedback type: ${feedback}`, bound.at);
        if (!isScriptAddress(to)) throw new SieveRuntimeError(`the address is invalid: ${to}`, bound.at);
        const headersOnly = bound.tags.has('headers_only');
        run.act({
          type: 'report',
          feedback: feedback.toLowerCase(),
          text,
          to,
          headersOnly,
          message: run.message,
        });
      },
    },
  },
};

function isFeedback(type: string): boolean {
  return FEEDBACK.has(type.toLowerCase()) || /^x-[A-Za-z0-9-]+$/i.test(type);
}

export const pipe: Extension = {
  name: 'vnd.dovecot.pipe',
  source: 'Pigeonhole: vnd.dovecot.pipe',
  commands: {
    pipe: {
      tags: { try: {} },
      arguments: ['string', 'strings'],
      trailing: 1,
      compile: checkProgram,
      run(bound, run) {
        run.act({
          type: 'pipe',
          ...program(bound, run),
          optional: bound.tags.has('try'),
          message: run.message,
        });
        if (!bound.tags.has('copy')) run.implicitKeep = false;
      },
    },
  },
};

export const filter: Extension = {
  name: 'vnd.dovecot.filter',
  source: 'Pigeonhole: vnd.dovecot.filter',
  commands: {
    filter: {
      arguments: ['string', 'strings'],
      trailing: 1,
      compile: checkProgram,
      run: async (bound, run) => void (await filtered(bound, run)),
    },
  },
  tests: {
    filter: { arguments: ['string', 'strings'], trailing: 1, compile: checkProgram, check: filtered },
  },
};

/** The program's output takes the message's place; where it fails, the message stays. */
async function filtered(bound: Bound, run: Run): Promise<boolean> {
  const { ok, output } = await executed(bound, run, await run.message.whole());
  if (ok && output.length > 0) run.message = MessageVersion.of(output);
  return ok;
}

export const execute: Extension = {
  name: 'vnd.dovecot.execute',
  source: 'Pigeonhole: vnd.dovecot.execute',
  commands: {
    execute: {
      tags: executeTags(),
      arguments: ['string', 'strings'],
      trailing: 1,
      compile: checkProgram,
      run: async (bound, run) => void (await executeProgram(bound, run)),
    },
  },
  tests: {
    execute: {
      tags: executeTags(),
      arguments: ['string', 'strings'],
      trailing: 1,
      compile: checkProgram,
      check: executeProgram,
    },
  },
};

function executeTags(): NonNullable<Extension['tags']>[string] {
  return {
    pipe: { group: 'input' },
    input: { group: 'input', value: 'string' },
    output: { value: 'string' },
  };
}

async function executeProgram(bound: Bound, run: Run): Promise<boolean> {
  const { tags } = bound;
  const input = tags.has('pipe') ? await run.message.whole() : Buffer.from(run.text(tags.get('input')));
  const { ok, output } = await executed(bound, run, input);
  if (tags.has('output') && ok)
    assign(run, run.text(tags.get('output')).toLowerCase(), Buffer.from(output).toString());
  return ok;
}

async function executed(
  bound: Bound,
  run: Run,
  input: Uint8Array,
): Promise<{ ok: boolean; output: Uint8Array }> {
  const { program: name, args } = program(bound, run);
  run.charge(1, input.length);
  const result = await run.host.execute(name, args, input);
  if (result) return result;
  // As a test it tells.
  if (bound.command) throw new SieveRuntimeError(`there is no program ${JSON.stringify(name)}`, bound.at);
  return { ok: false, output: new Uint8Array(0) };
}

function program(bound: Bound, run: Run): { program: string; args: readonly string[] } {
  const [name, args] = bound.args;
  const called = run.text(name);
  const wrong = programProblem(called);
  if (wrong !== undefined) throw new SieveRuntimeError(wrong, bound.at);
  return { program: called, args: args === undefined ? [] : run.texts(args) };
}

function checkProgram(bound: Bound, compiler: Compiler): void {
  const [name, args] = bound.args;
  const wrong = typeof name === 'string' ? programProblem(name) : undefined;
  if (wrong !== undefined) compiler.error(bound.at, wrong);
  for (const arg of typeof args === 'object' && 'texts' in args ? args.texts : [])
    if (typeof arg === 'string' && /[\r\n\0]/.test(arg))
      compiler.error(bound.at, `an argument of a program has line ends or NUL in it`);
  const output = bound.tags.get('output');
  if (output === undefined) return;
  if (!compiler.isActive('variables')) compiler.error(bound.at, ':output needs require "variables"');
  else if (typeof output !== 'string' || !isSettable(output))
    compiler.error(bound.at, ':output names no variable');
}

/** Only names of what an admin has listed: never paths. */
function programProblem(name: string): string | undefined {
  if (name !== '' && name.length <= 255 && !/[/\p{Cc}]/u.test(name) && !name.startsWith('.'))
    return undefined;
  return `invalid program name ${JSON.stringify(name.slice(0, 100))}`;
}
