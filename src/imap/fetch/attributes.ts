import { formatInternalDate } from '../../message/date.ts';
import type { FetchItem } from './item.ts';

/** What the index knows of a message without looking into it (RFC 9051 6.4.5). */

export const uid: FetchItem = {
  name: 'UID',
  parse: () => ({ print: ({ message }) => `UID ${message.uid}` }),
};

export const flags: FetchItem = {
  name: 'FLAGS',
  parse: () => ({ print: (message) => `FLAGS ${message.flags}` }),
};

export const internalDate: FetchItem = {
  name: 'INTERNALDATE',
  parse: () => ({ print: ({ message }) => `INTERNALDATE "${formatInternalDate(message.internalDate, 0)}"` }),
};

export const envelope: FetchItem = {
  name: 'ENVELOPE',
  parse: () => ({ needs: 'envelope', print: ({ summary }) => `ENVELOPE ${summary.envelope}` }),
};

/** RFC 7162 3.1.4.2. */
export const modSeq: FetchItem = {
  name: 'MODSEQ',
  capability: 'CONDSTORE',
  condstore: true,
  parse: () => ({ print: ({ message }) => `MODSEQ (${message.modSeq})` }),
};

/** RFC 8474 5. */
export const emailId: FetchItem = {
  name: 'EMAILID',
  capability: 'OBJECTID',
  parse: () => ({ print: ({ message }) => `EMAILID (${message.emailId})` }),
};

/** RFC 8474 5.2: NIL where nothing can be known of it. */
export const threadId: FetchItem = {
  name: 'THREADID',
  capability: 'OBJECTID',
  parse: () => ({
    needs: 'thread',
    print: ({ threadId: thread }) => `THREADID ${thread === undefined ? 'NIL' : `(${thread})`}`,
  }),
};

/** RFC 8514 4.3. */
export const saveDate: FetchItem = {
  name: 'SAVEDATE',
  capability: 'SAVEDATE',
  parse: () => ({ print: ({ message }) => `SAVEDATE "${formatInternalDate(message.savedDate, 0)}"` }),
};
