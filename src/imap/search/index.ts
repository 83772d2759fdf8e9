import { dateKeys } from './dates.ts';
import { filterKeys } from './filter.ts';
import { flagKeys } from './flags.ts';
import { fuzzyKeys } from './fuzzy.ts';
import { headerKeys } from './headers.ts';
import type { SearchKey } from './key.ts';
import { logicKeys } from './logic.ts';
import { modSeqKeys } from './modseq.ts';
import { objectIdKeys } from './object-id.ts';
import { recentKeys } from './recent.ts';
import { sizeKeys } from './sizes.ts';
import { textKeys } from './text.ts';
import { uidKeys } from './uids.ts';

/** All keys that SEARCH knows by name; sequence sets and parentheses are its own. */
export const searchKeys: readonly SearchKey[] = [
  ...dateKeys,
  ...filterKeys,
  ...flagKeys,
  ...fuzzyKeys,
  ...headerKeys,
  ...logicKeys,
  ...modSeqKeys,
  ...objectIdKeys,
  ...recentKeys,
  ...sizeKeys,
  ...textKeys,
  ...uidKeys,
];
