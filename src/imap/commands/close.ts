import { type Command, command, nothing } from '../command.ts';
import { deletedIn } from './expunge.ts';

/** CLOSE (RFC 9051 6.4.1): removes what is marked \Deleted, tells nothing of it, and leaves the mailbox. */
export const close: Command = command({
  name: 'CLOSE',
  states: ['selected'],
  parse: nothing,
  async run(session) {
    const { store, selected } = session;
    // Without the right the mailbox is closed all the same (RFC 4314 4).
    if (selected.access === 'read-write' && selected.rights.has('e') && selected.exists > 0) {
      const uids = await deletedIn(session, [{ first: 1, last: selected.lastUid }]);
      if (uids.length > 0) await store.expunge(selected.id, uids);
    }
    session.deselect();
    return undefined;
  },
});
