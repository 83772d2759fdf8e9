import type { ModSeq } from '../../store/store.ts';
import type { SearchKey } from './key.ts';

/**
 * MODSEQ (RFC 7162 3.1.5). There is one MODSEQ a message here, so the name of a flag and whose it is are read and
 * ignored, as that section asks.
 */
export const modSeqKeys: readonly SearchKey[] = [
  {
    name: 'MODSEQ',
    capability: 'CONDSTORE',
    parse(p, context) {
      context.modSeq = true;
      if (p.sp().isQuoted) {
        p.string();
        const at = p.sp().at;
        if (!['ALL', 'PRIV', 'SHARED'].includes(p.keyword()))
          p.fail('"priv", "shared" or "all" is missing', at);
        p.sp();
      }
      const from = p.number64();
      // "Equal to or greater", where the store says "since".
      return () => (from === 0 ? { all: [] } : { changedSince: (from - 1) as ModSeq });
    },
  },
];
