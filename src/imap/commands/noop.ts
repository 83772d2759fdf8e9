import { StoreError } from '../../store/store.ts';
import { type Command, command, type ImapSession, nothing, type Ok } from '../command.ts';

/** NOOP (RFC 9051 6.1.2): what has changed is told after every command; this one looks at the disk as well. */
export const noop: Command = command({
  name: 'NOOP',
  states: ['not-authenticated', 'authenticated', 'selected'],
  parse: nothing,
  run: look,
});

/** CHECK (RFC 3501 6.4.1): everything is on disk already when a command is answered. */
export const check: Command = command({
  name: 'CHECK',
  states: ['selected'],
  parse: nothing,
  run: look,
});

async function look(session: ImapSession): Promise<Ok | undefined> {
  await lookAtDisk(session);
  return undefined;
}

/** Looks what other programs did to the selected mailbox. That it is gone, or closed to this user, is told like all else. */
export async function lookAtDisk(session: ImapSession): Promise<void> {
  if (!session.hasSelected) return;
  try {
    await session.store.refresh(session.selected.id);
  } catch (error) {
    // NOOP always succeeds (RFC 9051 6.1.2).
    if (!(error instanceof StoreError && ['not-found', 'no-permission'].includes(error.kind))) throw error;
  }
}
