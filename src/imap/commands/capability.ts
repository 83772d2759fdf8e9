import { type Command, command, nothing } from '../command.ts';

/** CAPABILITY (RFC 9051 6.1.1). */
export const capability: Command = command({
  name: 'CAPABILITY',
  states: ['not-authenticated', 'authenticated', 'selected'],
  parse: nothing,
  async run(session) {
    session.out.untagged(`CAPABILITY ${session.capabilities()}`);
    return undefined;
  },
});
