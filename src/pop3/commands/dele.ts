import { words } from '../arguments.ts';
import type { Command } from '../command.ts';

/** DELE (RFC 1939 5): only marks; QUIT deletes. */
export const dele: Command = {
  name: 'DELE',
  state: 'transaction',

  run(_session, args, maildrop) {
    const [number = ''] = words(args, 1, 1);
    const entry = maildrop.entry(number);
    maildrop.markDeleted(entry);
    return `message ${entry.number} marked as deleted`;
  },
};
