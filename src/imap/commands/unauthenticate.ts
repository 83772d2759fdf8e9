import { type Command, command, nothing } from '../command.ts';

/** UNAUTHENTICATE (RFC 8437): another user may log in on the same connection. NO is not among its answers. */
export const unauthenticate: Command = command({
  name: 'UNAUTHENTICATE',
  states: ['authenticated', 'selected'],
  capability: 'UNAUTHENTICATE',
  parse: nothing,
  async run(session) {
    // Where the client's blocks end, nothing in the stream says (RFC 8437 4.1); section 3 lets us close then.
    if (session.connection.compressed) {
      session.out.untagged('BYE A compressed connection serves one user only');
      session.logout();
      return undefined;
    }
    session.unauthenticate();
    return { text: 'Another user may log in' };
  },
});
