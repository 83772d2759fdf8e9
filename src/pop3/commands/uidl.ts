import { words } from '../arguments.ts';
import type { Command } from '../command.ts';
import { sendListing } from '../listing.ts';

/** UIDL (RFC 1939 7). */
export const uidl: Command = {
  name: 'UIDL',
  state: 'transaction',
  capability: () => 'UIDL',

  run(session, args, maildrop) {
    const [number] = words(args, 0, 1);
    if (number === undefined)
      return sendListing(
        session,
        maildrop,
        `${maildrop.count} messages`,
        (entry) => `${entry.number} ${maildrop.uidl(entry)}`,
      );
    const entry = maildrop.entry(number);
    return `${entry.number} ${maildrop.uidl(entry)}`;
  },
};
