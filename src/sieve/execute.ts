import type { Keep, SieveAction } from './action.ts';
import type { Script } from './compile.ts';
import { SieveRuntimeError } from './errors.ts';
import { flagsIn, flagVariable, setFlagVariable } from './flags.ts';
import type { MessageVersion } from './message.ts';
import { Run, type RunOptions } from './run.ts';

/** What came of the scripts of an account, run on one message. */
export interface SieveResult {
  /** In their order; never empty, unless the script ended with `discard` or an answer alone. */
  readonly actions: readonly SieveAction[];
  /** Why a script could not go on: then `actions` is the keep of RFC 5228 2.10.6 alone. */
  readonly error: SieveRuntimeError | null;
  /** Which of the scripts that was. */
  readonly failed: Script | null;
}

/**
 * Runs scripts one after the other: the admin's, the user's, the admin's again. One that has decided where the message goes
 * keeps those behind it from running; one that only keeps it, or adds copies, does not. Never throws for what a script does.
 */
export async function execute(scripts: readonly Script[], options: RunOptions): Promise<SieveResult> {
  const [first] = scripts;
  const before = flagsIn(options.flags ?? []);
  if (!first) return { actions: [keepOf(options.message, before)], error: null, failed: null };
  const run = new Run(first, options);
  setFlagVariable(run, undefined, before);
  for (const [i, script] of scripts.entries()) {
    if (i > 0) run.next(script);
    try {
      await run.block(script.commands);
    } catch (error) {
      if (!(error instanceof SieveRuntimeError)) throw error;
      return { actions: [keepOf(options.message, before)], error, failed: script };
    }
    const isKept = run.actions.some(({ type }) => type === 'keep');
    if (!run.implicitKeep && !isKept) break;
  }
  if (run.implicitKeep) run.actions.push(keepOf(run.message, flagVariable(run, undefined)));
  return { actions: run.actions, error: null, failed: null };
}

function keepOf(message: MessageVersion, flags: readonly string[]): Keep {
  return { type: 'keep', flags, message, implicit: true };
}
