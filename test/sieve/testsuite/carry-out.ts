import { flagVariable } from '../../../src/sieve/flags.ts';
import type { State } from './state.ts';

/** Carries the pending result out: into the folders of the suite, or into its outbox. */
export async function carryOut(state: State): Promise<void> {
  const { result } = state;
  if (!result) return;
  for (const action of result.actions) {
    if (state.done.has(action)) continue;
    state.done.add(action);
    if (action.type === 'keep') await store(state, 'INBOX', action);
    if (action.type === 'fileinto') {
      if (!state.folders.has(action.mailbox)) {
        if (!action.create)
          throw new Error(`failed to store into mailbox '${action.mailbox}': it does not exist`);
        state.folders.set(action.mailbox, []);
      }
      await store(state, action.mailbox, action);
    }
    if (action.type === 'redirect')
      state.outbox.push({ from: state.envelope.from, to: action.to, bytes: await action.message.whole() });
  }
  if (result.implicitKeep) {
    await store(state, 'INBOX', { message: result.message, flags: flagVariable(result, undefined) });
    result.implicitKeep = false;
  }
}

async function store(
  state: State,
  folder: string,
  {
    message,
    flags,
  }: { readonly message: { whole(): Promise<Uint8Array> }; readonly flags: readonly string[] },
): Promise<void> {
  // What the suite's store says of every message without attachments.
  state.folders.get(folder)?.push({ bytes: await message.whole(), flags: [...flags, '$HasNoAttachment'] });
}
