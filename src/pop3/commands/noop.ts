import { noArguments } from '../arguments.ts';
import type { Command } from '../command.ts';

/** NOOP (RFC 1939 5). */
export const noop: Command = {
  name: 'NOOP',
  state: 'transaction',

  run(_session, args) {
    noArguments(args);
    return 'still here';
  },
};
