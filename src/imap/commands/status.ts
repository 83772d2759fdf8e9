import { type Command, command } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { parseStatusItems, tellStatus } from '../status-items.ts';

/** STATUS (RFC 9051 6.3.11). */
export const status: Command = command({
  name: 'STATUS',
  states: ['authenticated', 'selected'],
  capability: ['STATUS=SIZE', 'OBJECTID'],

  parse(p) {
    const path = p.sp().mailbox();
    const items = parseStatusItems(p.sp());
    return { path, items };
  },

  async run(session, { path, items }) {
    const { store } = session;
    const found = await store.mailbox(path);
    if (!found?.selectable) throw new ImapNo('No such mailbox', 'NONEXISTENT');
    await store.refresh(found.id);
    const mailbox = await store.mailbox(path);
    if (!mailbox) throw new ImapNo('No such mailbox', 'NONEXISTENT');
    await tellStatus(session, mailbox, items);
    return undefined;
  },
});
