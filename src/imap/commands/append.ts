import { type RawMessage, rawMessage } from '../../mail/raw-message.ts';
import type { Mailbox } from '../../store/store.ts';
import { type Announced, type Command, command, type ImapSession } from '../command.ts';
import { ImapBad, ImapNo, noSuchDestination, toImapNo, tryCreate } from '../errors.ts';
import { LiteralAhead, type Parser } from '../parser.ts';

/** A message of this size is taken in faster than it is asked whether it may come. */
const SMALL = 64 * 1024;

interface Arguments {
  readonly path: string;
  readonly flags: readonly string[];
  readonly date: number | null;
  readonly message: RawMessage;
}

/** APPEND (RFC 9051 6.3.12), literal8 included (RFC 3516 4.4); refused before the message is sent where possible. */
export const append: Command = command({
  name: 'APPEND',
  states: ['authenticated', 'selected'],
  capability: 'UIDPLUS',

  async literals(session, p, announced) {
    let path: string;
    try {
      path = p.sp().mailbox();
    } catch (error) {
      if (error instanceof LiteralAhead) return 'argument';
      throw error;
    }
    options(p);
    try {
      p.message();
    } catch (error) {
      if (!(error instanceof LiteralAhead)) throw error;
      await admit(session, path, announced);
      return 'message';
    }
    throw new ImapBad('One message at a time', p.at);
  },

  parse(p): Arguments {
    const path = p.sp().mailbox();
    const { flags, date } = options(p);
    const message = p.message();
    return { path, flags, date, message: Buffer.isBuffer(message) ? rawMessage([message]) : message };
  },

  async run(session, { path, flags, date, message }) {
    const { store, world } = session;
    if (message.size === 0) throw new ImapNo('There is no message', 'CANNOT');
    const internalDate = date ?? world.clock.now().getTime();
    const { mailbox, uidValidity, uid } = await store
      .appendTo(named(path), message, { flags, internalDate })
      .catch((error) => {
        throw tryCreate(error);
      });
    if (session.hasSelected && session.selected.id === mailbox) await session.catchUp();
    return { code: `APPENDUID ${uidValidity} ${uid}` };
  },
});

function options(p: Parser): { flags: readonly string[]; date: number | null } {
  p.sp();
  let flags: readonly string[] = [];
  let date: number | null = null;
  if (p.isList) {
    flags = p.flagList();
    p.sp();
  }
  if (p.isQuoted) {
    date = p.dateTime();
    p.sp();
  }
  return { flags, date };
}

/** Refuses what is bound to fail before the client sends it (RFC 7889 3, RFC 9208 4.1.3). */
async function admit(session: ImapSession, path: string, { size, plus }: Announced): Promise<void> {
  const limit = session.world.settings.maxMessageSize;
  if (size > limit) throw new ImapNo(`Messages may have ${limit} octets`, 'TOOBIG');
  // It is here before a refusal could be, and the same is asked when it is stored.
  if (plus && size <= SMALL) return;
  const { id } = await destination(session, path);
  await session.store.admit(id, size).catch((error) => {
    throw toImapNo(error);
  });
}

/** The mailbox a message is to go to. */
export async function destination({ store }: ImapSession, path: string): Promise<Mailbox> {
  const mailbox = await store.mailbox(named(path), 'known');
  if (!mailbox?.selectable) throw noSuchDestination();
  return mailbox;
}

/** Some clients write the hierarchy delimiter behind a name. */
function named(path: string): string {
  return path.replace(/\/$/, '');
}
