import { words } from '../arguments.ts';
import type { Command } from '../command.ts';
import { readable, sendMessage } from '../message.ts';

/** RETR (RFC 1939 5). */
export const retr: Command = {
  name: 'RETR',
  state: 'transaction',

  async run(session, args, maildrop) {
    const [number = ''] = words(args, 1, 1);
    const entry = maildrop.entry(number);
    const raw = await readable(session, maildrop, entry);
    await sendMessage(session, `${raw.size} octets`, raw.read());
    maildrop.markRetrieved(entry);
    session.retrieved(raw.size);
    return null;
  },
};
