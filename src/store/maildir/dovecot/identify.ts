import { createHash } from 'node:crypto';
import { MAX_NAME, parseBase, withFields } from '../file-name.ts';
import { baseOf, type Uidlist, type UidlistEntry } from './uidlist.ts';

/**
 * Which line of a dovecot-uidlist a file belongs to, also when an adoption was stopped after the file got its new name
 * and before the list did: then the name itself says the UID, and its first part is the listed one's.
 */
export class Listed {
  readonly #byBase = new Map<string, UidlistEntry>();
  readonly #byUid = new Map<number, UidlistEntry>();
  readonly #uidValidity: number;

  constructor(list: Pick<Uidlist, 'uidValidity' | 'entries'>) {
    this.#uidValidity = list.uidValidity;
    for (const entry of list.entries) {
      this.#byBase.set(entry.base, entry);
      this.#byUid.set(entry.uid, entry);
    }
  }

  entryOf(base: string): UidlistEntry | undefined {
    const listed = this.#byBase.get(baseOf(base));
    if (listed) return listed;
    const { uid, unique } = parseBase(base);
    if (uid?.validity !== this.#uidValidity) return undefined;
    const entry = this.#byUid.get(uid.uid);
    if (!entry) return undefined;
    return parseBase(entry.base).unique === unique || shortUnique(entry.base) === unique ? entry : undefined;
  }

  /** Whether the list gives this UID to some file. */
  has(uid: number): boolean {
    return this.#byUid.has(uid);
  }
}

/** The name with our fields; one that would be too long for the letters of its flags gets a short first part. */
export function adoptedBase(base: string, fields: Parameters<typeof withFields>[1]): string {
  const named = withFields(base, fields);
  if (Buffer.byteLength(named) <= MAX_NAME - 32) return named;
  return withFields(shortUnique(base), fields);
}

/** Always the same for the same name, so that it is known again. */
function shortUnique(base: string): string {
  const { seconds } = parseBase(base);
  return `${seconds}.A${createHash('sha256').update(base).digest('hex').slice(0, 32)}.adopted`;
}
