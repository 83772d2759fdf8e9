import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';

/** QUIT (RFC 1939 4, 6): after login the only way to have messages deleted. */
export const quit: Command = {
  name: 'QUIT',
  state: 'any',

  async run(session, args, maildrop) {
    noArguments(args);
    session.close();
    if (maildrop) await session.update(maildrop);
    return 'bye';
  },
};
