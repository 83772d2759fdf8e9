import type { Mailbox } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';

/** DELETE (RFC 9051 6.3.5). */
export const remove: Command = command({
  name: 'DELETE',
  states: ['authenticated', 'selected'],
  parse: (p) => p.sp().mailbox(),
  async run(session, path) {
    if (path === 'INBOX') throw new ImapNo('INBOX cannot be deleted', 'CANNOT');
    const mailbox = await existing(session, path);
    if (!mailbox.selectable) throw new ImapNo('There are mailboxes below that name', 'HASCHILDREN');
    await session.store.delete(mailbox.id);
    return undefined;
  },
});

/** RENAME (RFC 9051 6.3.6). */
export const rename: Command = command({
  name: 'RENAME',
  states: ['authenticated', 'selected'],
  parse(p) {
    const from = p.sp().mailbox();
    const to = p.sp().mailbox();
    return { from, to };
  },
  async run(session, { from, to }) {
    const mailbox = await existing(session, from);
    await session.store.rename(mailbox.id, to.replace(/\/$/, ''));
    return undefined;
  },
});

async function existing({ store }: ImapSession, path: string): Promise<Mailbox> {
  const mailbox = await store.mailbox(path.replace(/\/$/, ''));
  if (!mailbox) throw new ImapNo('No such mailbox', 'NONEXISTENT');
  return mailbox;
}
