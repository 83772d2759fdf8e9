import { type Command, command, nothing } from '../command.ts';

/** UNSELECT (RFC 9051 6.4.2): leaves the mailbox as it is. */
export const unselect: Command = command({
  name: 'UNSELECT',
  states: ['selected'],
  capability: 'UNSELECT',
  parse: nothing,
  async run(session) {
    session.deselect();
    return undefined;
  },
});
