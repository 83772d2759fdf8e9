import { words } from '../arguments.ts';
import type { Command } from '../command.ts';
import { sendListing } from '../listing.ts';

/** LIST (RFC 1939 5). */
export const list: Command = {
  name: 'LIST',
  state: 'transaction',

  run(session, args, maildrop) {
    const [number] = words(args, 0, 1);
    if (number === undefined)
      return sendListing(
        session,
        maildrop,
        `${maildrop.count} messages (${maildrop.octets} octets)`,
        (entry) => `${entry.number} ${entry.size}`,
      );
    const entry = maildrop.entry(number);
    return `${entry.number} ${entry.size}`;
  },
};
