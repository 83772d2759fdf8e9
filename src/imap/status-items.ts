import type { Mailbox, SearchCriteria } from '../store/store.ts';
import type { ImapSession } from './command.ts';
import type { Parser } from './parser.ts';
import { mailboxName } from './response.ts';

/** The items of STATUS, which LIST RETURN (STATUS …) gives too (RFC 9051 6.3.11, RFC 5819). */

type Item = (mailbox: Mailbox, session: ImapSession) => number | string | Promise<number | string>;

const DELETED: SearchCriteria = { flag: '\\Deleted' };

const ITEMS: ReadonlyMap<string, Item> = new Map<string, Item>([
  ['MESSAGES', (mailbox) => mailbox.total],
  ['RECENT', countRecent],
  ['UIDNEXT', (mailbox) => mailbox.uidNext],
  ['UIDVALIDITY', (mailbox) => mailbox.uidValidity],
  ['UNSEEN', (mailbox) => mailbox.unseen],
  ['SIZE', (mailbox) => mailbox.size],
  ['DELETED', async (mailbox, { store }) => (await store.search(mailbox.id, DELETED)).length],
  ['DELETED-STORAGE', deletedSize],
  ['HIGHESTMODSEQ', (mailbox) => mailbox.highestModSeq],
  ['MAILBOXID', (mailbox) => `(${mailbox.id})`],
  ['APPENDLIMIT', (_, { world }) => world.settings.maxMessageSize],
]);

/** `(MESSAGES UNSEEN …)`. */
export function parseStatusItems(p: Parser): readonly string[] {
  return p.list((item) => {
    const at = item.at;
    const name = item.atom().toUpperCase();
    return ITEMS.has(name) ? name : item.fail('No such status item', at);
  });
}

export async function tellStatus(
  session: ImapSession,
  mailbox: Mailbox,
  names: readonly string[],
): Promise<void> {
  // A CONDSTORE enabling command (RFC 7162 3.1).
  if (names.includes('HIGHESTMODSEQ')) session.enableCondstore();
  const values: string[] = [];
  for (const name of new Set(names)) values.push(`${name} ${await ITEMS.get(name)?.(mailbox, session)}`);
  session.out.untagged(`STATUS ${mailboxName(mailbox.path, session.names)} (${values.join(' ')})`);
}

async function countRecent(mailbox: Mailbox, { store }: ImapSession): Promise<number> {
  if (mailbox.firstRecent >= mailbox.uidNext) return 0;
  const range = { first: mailbox.firstRecent, last: '*' } as const;
  return (await store.search(mailbox.id, { uid: [range] })).filter((uid) => uid >= range.first).length;
}

/** RFC 9208 4.1.4, in octets. */
async function deletedSize(mailbox: Mailbox, { store }: ImapSession): Promise<number> {
  const uids = await store.search(mailbox.id, DELETED);
  if (uids.length === 0) return 0;
  let size = 0;
  const ranges = uids.map((uid) => ({ first: uid, last: uid }));
  for await (const batch of store.messages(mailbox.id, ranges))
    for (const message of batch) size += message.size;
  return size;
}
