import { type SpecialUse, StoreError } from './store.ts';

/**
 * What people and programs note on a mailbox or on an account (RFC 5464, annotations). The rules that every store keeps:
 * names are compared without case and kept as first written, and what one mailbox may hold has bounds.
 */

/** By name; values are strings of bytes ("latin1"). */
export type Annotations = ReadonlyMap<string, string>;

/** All or nothing. */
export interface AnnotationChange {
  /** null removes. */
  readonly entries: ReadonlyMap<string, string | null>;
  /** Taken from the mailbox that has it; null: it has none any more. Not of the account, and INBOX has none. */
  readonly specialUse?: SpecialUse | null;
  /** Who does this: told with the change, so that they know it again. */
  readonly by: string;
}

/** Octets of a value; RFC 5464 4.1 asks for 1,024 at least. */
export const MAX_ANNOTATION: number = 64 * 1024;
/** Of one mailbox, or of the account; RFC 5464 4.1 asks for 10 at least. */
export const MAX_ANNOTATIONS = 200;
/** Octets of a mailbox's names and values together: they are read and written as one file. */
export const MAX_ANNOTATIONS_SIZE: number = 256 * 1024;
/** The entry that tells the special use (RFC 6154 4); it is not kept among the others. */
export const SPECIAL_USE_ENTRY = '/private/specialuse';

/** What there is after the change. Throws 'limit'; removing is always possible. */
export function annotated(current: Annotations, entries: AnnotationChange['entries']): Annotations {
  const next = new Map(current);
  const spellings = new Map([...current.keys()].map((name) => [name.toLowerCase(), name]));
  let grows = false;
  for (const [name, value] of entries) {
    const spelling = spellings.get(name.toLowerCase()) ?? name;
    if (value === null) {
      next.delete(spelling);
      continue;
    }
    if (value.length > MAX_ANNOTATION) throw new StoreError('limit', 'The annotation is too big');
    grows ||= value.length > (next.get(spelling)?.length ?? -1);
    spellings.set(name.toLowerCase(), spelling);
    next.set(spelling, value);
  }
  let size = 0;
  for (const [name, value] of next) size += name.length + value.length;
  if (grows && (next.size > MAX_ANNOTATIONS || size > MAX_ANNOTATIONS_SIZE))
    throw new StoreError('limit', 'There are too many annotations');
  return next;
}

/** The names that a change is told by. */
export function changedEntries({ entries, specialUse }: AnnotationChange): string[] {
  return [...entries.keys(), ...(specialUse === undefined ? [] : [SPECIAL_USE_ENTRY])];
}
