import type { Extension } from '../extension.ts';

/** RFC 3894. */
export const copy: Extension = {
  name: 'copy',
  source: 'RFC 3894',
  tags: { fileinto: { copy: {} }, redirect: { copy: {} }, pipe: { copy: {} } },
};
