import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';

/** UTF8 (RFC 6856 2): messages come as they are from now on. Names and passwords are UTF-8 in any case (USER). */
export const utf8: Command = {
  name: 'UTF8',
  state: 'authorization',
  // USER says that names are UTF-8 (RFC 6856 2.2), to whom USER is open.
  capability: (session) => (session.plaintextAllowed ? 'UTF8 USER' : 'UTF8'),

  run(session, args) {
    noArguments(args);
    session.mode = 'utf8';
    return 'UTF-8 from now on';
  },
};
