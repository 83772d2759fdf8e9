import type { Extension } from '../extension.ts';

/** RFC 5260 6; fields.ts does what these say. */
export const index: Extension = {
  name: 'index',
  source: 'RFC 5260 6',
  families: { index: { index: { value: 'number' }, last: {} } },
};
