import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';

/** STAT (RFC 1939 5). */
export const stat: Command = {
  name: 'STAT',
  state: 'transaction',

  run(_session, args, maildrop) {
    noArguments(args);
    return `${maildrop.count} ${maildrop.octets}`;
  },
};
