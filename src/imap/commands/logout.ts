import { type Command, command, nothing } from '../command.ts';

/** LOGOUT (RFC 9051 6.1.3). */
export const logout: Command = command({
  name: 'LOGOUT',
  states: ['not-authenticated', 'authenticated', 'selected'],
  parse: nothing,
  async run(session) {
    session.out.untagged('BYE See you');
    session.logout();
    return undefined;
  },
});
