import type { Rights } from '../../store/acl.ts';
import type { Flag, FlagChange } from '../../store/store.ts';
import { isDeleted, isSeen } from './seen.ts';

/** Which right a flag takes (RFC 4314 4), and what is left of a change without it. */

export function rightFor(flag: Flag): 's' | 't' | 'w' {
  if (isSeen(flag)) return 's';
  return isDeleted(flag) ? 't' : 'w';
}

export function allowedFlags(flags: readonly Flag[], rights: Rights): readonly Flag[] {
  return rights.has('s') && rights.has('t') && rights.has('w')
    ? flags
    : flags.filter((flag) => rights.has(rightFor(flag)));
}

/** Whether a STORE does all that it says; `FLAGS` is about all flags, those that it does not name too. */
export function isAllowed({ mode, flags }: Pick<FlagChange, 'mode' | 'flags'>, rights: Rights): boolean {
  if (mode === 'set') return rights.has('s') && rights.has('t') && rights.has('w');
  return flags.every((flag) => rights.has(rightFor(flag)));
}

/** Whether a STORE does anything: it should not fail then (RFC 4314 4). */
export function isPartlyAllowed(
  { mode, flags }: Pick<FlagChange, 'mode' | 'flags'>,
  rights: Rights,
): boolean {
  if (mode === 'set') return rights.has('s') || rights.has('t') || rights.has('w');
  return flags.length === 0 || flags.some((flag) => rights.has(rightFor(flag)));
}

/** READ-WRITE or READ-ONLY (RFC 4314 5.2): \Seen is each reader's own, so it takes more than "s". */
export function opensForWriting(rights: Rights): boolean {
  return ['i', 'e', 'w', 't'].some((right) => rights.has(right));
}
