import type { EmailId, ThreadId } from '../../store/store.ts';
import type { Criterion, SearchKey } from './key.ts';

/** EMAILID and THREADID (RFC 8474 6). */
export const objectIdKeys: readonly SearchKey[] = [
  {
    name: 'EMAILID',
    capability: 'OBJECTID',
    parse(p): Criterion {
      const emailId = p.sp().astring().toString('latin1') as EmailId;
      return () => ({ emailId });
    },
  },
  {
    name: 'THREADID',
    capability: 'OBJECTID',
    parse(p): Criterion {
      const threadId = p.sp().astring().toString('latin1') as ThreadId;
      return () => ({ threadId });
    },
  },
];
