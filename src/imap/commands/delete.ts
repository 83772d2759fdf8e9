import type { Mailbox } from '../../store/store.ts';
import { type Command, command, type ImapSession } from '../command.ts';
import { ImapNo } from '../errors.ts';
import { expectCreated } from './create.ts';

/** DELETE (RFC 9051 6.3.5). */
export const remove: Command = command({
  name: 'DELETE',
  states: ['authenticated', 'selected'],
  parse: (p) => p.sp().mailbox(),
  async run(session, path) {
    if (path === 'INBOX') throw new ImapNo('INBOX cannot be deleted', 'CANNOT');
    const mailbox = await existing(session, path);
    if (!mailbox.selectable) throw new ImapNo('There are mailboxes below that name', 'HASCHILDREN');
    session.notify?.expect('deleted', mailbox.path);
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
    const name = to.replace(/\/$/, '');
    expectCreated(session, name);
    session.notify?.expect('renamed', name);
    await session.store.rename(mailbox.id, name);
    return undefined;
  },
});

async function existing({ store }: ImapSession, path: string): Promise<Mailbox> {
  const mailbox = await store.mailbox(path.replace(/\/$/, ''));
  if (!mailbox) throw new ImapNo('No such mailbox', 'NONEXISTENT');
  return mailbox;
}
