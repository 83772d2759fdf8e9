import type { ImapSession } from '../command.ts';
import type { Criterion, SearchKey } from './key.ts';

/** EMAILID and THREADID (RFC 8474 6). */
export const objectIdKeys: readonly SearchKey[] = [
  {
    name: 'EMAILID',
    capability: 'OBJECTID',
    parse(p): Criterion {
      const id = p.sp().astring().toString('latin1');
      return async (session) => ({ uid: await uidsOf(session, id) });
    },
  },
  {
    // No message has a thread id here, so none is found by one.
    name: 'THREADID',
    capability: 'OBJECTID',
    parse(p): Criterion {
      p.sp().astring();
      return () => ({ not: { all: [] } });
    },
  },
];

/** The store has no index by email id; few clients ask. */
async function uidsOf(
  { selected, store }: ImapSession,
  id: string,
): Promise<{ first: number; last: number }[]> {
  const found: { first: number; last: number }[] = [];
  if (selected.exists === 0) return found;
  for await (const batch of store.messages(selected.id, [{ first: 1, last: selected.lastUid }]))
    for (const { uid, emailId } of batch) if (emailId === id) found.push({ first: uid, last: uid });
  return found;
}
