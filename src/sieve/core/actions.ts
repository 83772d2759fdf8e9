import type { Bound } from '../bound.ts';
import type { Compiler } from '../compile.ts';
import { SieveRuntimeError } from '../errors.ts';
import type { Command } from '../extension.ts';
import { flagsFor } from '../flags.ts';
import type { Run } from '../run.ts';
import { isScriptAddress, scriptAddress } from '../script-address.ts';

/** keep, discard, redirect (RFC 5228 4). */

export const actions: Readonly<Record<string, Command>> = {
  keep: {
    run(bound, run) {
      run.implicitKeep = false;
      run.act({ type: 'keep', flags: flagsFor(bound, run), message: run.message, implicit: false });
    },
  },
  discard: {
    run(_bound, run) {
      run.implicitKeep = false;
      run.act({ type: 'discard' });
    },
  },
  redirect: { arguments: ['string'], compile: checkAddress, run: redirect },
};

function checkAddress(bound: Bound, compiler: Compiler): void {
  const [to] = bound.args;
  if (typeof to === 'string' && !bound.tags.has('list') && !isScriptAddress(to))
    compiler.error(bound.at, `the address to redirect to is invalid: ${to}`);
}

/** RFC 5228 4.2; `:list` is RFC 6134 2.3, `:notify` and `:ret` RFC 6009 6. */
async function redirect(bound: Bound, run: Run): Promise<void> {
  const to = run.text(bound.args[0]);
  const recipients = bound.tags.has('list') ? await run.host.listed(to) : [to];
  if (recipients === undefined)
    throw new SieveRuntimeError(`there is no list ${to} to redirect to`, bound.at);
  for (const recipient of recipients) {
    const address = scriptAddress(recipient);
    if (address === undefined)
      throw new SieveRuntimeError(`the address to redirect to is invalid: ${recipient}`, bound.at);
    run.act({
      type: 'redirect',
      to: address,
      message: run.unenclosed ?? run.message,
      notify: bound.tags.has('notify') ? run.text(bound.tags.get('notify')) : null,
      ret: bound.tags.has('ret') ? run.text(bound.tags.get('ret')) : null,
      list: bound.tags.has('list') ? to : null,
    });
  }
  // To nobody, it would be lost.
  if (recipients.length > 0 && !bound.tags.has('copy')) run.implicitKeep = false;
}
