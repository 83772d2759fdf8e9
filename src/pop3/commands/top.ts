import { words } from '../arguments.ts';
import type { Command } from '../command.ts';
import { Pop3SyntaxError } from '../errors.ts';
import { readable, sendMessage } from '../message.ts';
import { top as topLines } from '../multi-line.ts';

/** TOP (RFC 1939 7). A look at the beginning is no retrieval: the message stays unseen. */
export const top: Command = {
  name: 'TOP',
  state: 'transaction',
  capability: () => 'TOP',

  async run(session, args, maildrop) {
    const [number = '', count = ''] = words(args, 2, 2);
    if (!/^\d{1,15}$/.test(count)) throw new Pop3SyntaxError('a number of lines is missing');
    const entry = maildrop.entry(number);
    const raw = await readable(session, maildrop, entry);
    await sendMessage(session, 'top of message follows', topLines(raw.read(), Number(count)));
    return null;
  },
};
