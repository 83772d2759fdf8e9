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
  if (session.hasSelected) await session.store.refresh(session.selected.id);
  return undefined;
}
