import type { Extension } from '../extension.ts';

/** RFC 6009 3: what the message that is sent on asks of those who deliver it. */
export const redirectDsn: Extension = {
  name: 'redirect-dsn',
  source: 'RFC 6009 3',
  tags: { redirect: { notify: { value: 'string' }, ret: { value: 'string' } } },
};
