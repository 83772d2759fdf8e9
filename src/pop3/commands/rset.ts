import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';

/** RSET (RFC 1939 5). */
export const rset: Command = {
  name: 'RSET',
  state: 'transaction',

  run(_session, args, maildrop) {
    noArguments(args);
    maildrop.reset();
    return `${maildrop.count} messages (${maildrop.octets} octets)`;
  },
};
