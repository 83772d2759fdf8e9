import type { AccountId } from '../../src/directory/directory.ts';
import { type Acl, type AclChange, changedAcl } from '../../src/store/acl.ts';
import type { MailboxId } from '../../src/store/store.ts';

/** Access control lists and what others have seen, for the two stores in memory: as plain as it can be. */
export class MemorySharing {
  readonly acls: Map<MailboxId, Acl> = new Map();
  readonly #seen = new Map<MailboxId, Map<AccountId, Set<number>>>();

  acl(id: MailboxId): Acl {
    return this.acls.get(id) ?? new Map();
  }

  /** Whether anything has changed. */
  setAcl(id: MailboxId, identifier: string, change: AclChange): boolean {
    const before = this.acl(id);
    const after = changedAcl(before, identifier, change);
    if (after.size > 0) this.acls.set(id, after);
    else this.acls.delete(id);
    return text(before.get(identifier)) !== text(after.get(identifier));
  }

  /** A new mailbox has the list of the one above it. */
  inherit(id: MailboxId, parent: MailboxId | undefined): void {
    const acl = parent && this.acls.get(parent);
    if (acl) this.acls.set(id, acl);
  }

  seenBy(id: MailboxId, reader: AccountId): Set<number> {
    return this.#seen.get(id)?.get(reader) ?? new Set();
  }

  /** Those of `uids` that changed. */
  setSeenBy(id: MailboxId, reader: AccountId, uids: readonly number[], seen: 'yes' | 'no'): number[] {
    const readers = this.#seen.get(id) ?? new Map<AccountId, Set<number>>();
    const marks = readers.get(reader) ?? new Set<number>();
    this.#seen.set(id, readers.set(reader, marks));
    return uids.filter((uid) => {
      if (marks.has(uid) === (seen === 'yes')) return false;
      if (seen === 'yes') marks.add(uid);
      else marks.delete(uid);
      return true;
    });
  }

  copy(id: MailboxId, to: MailboxId, pairs: readonly { readonly from: number; readonly to: number }[]): void {
    for (const [reader, marks] of this.#seen.get(id) ?? [])
      this.setSeenBy(
        to,
        reader,
        pairs.filter((pair) => marks.has(pair.from)).map((pair) => pair.to),
        'yes',
      );
  }

  deleted(id: MailboxId): void {
    this.acls.delete(id);
    this.#seen.delete(id);
  }

  names(identifiers: readonly string[]): boolean {
    return [...this.acls.values()].some((acl) => identifiers.some((identifier) => acl.has(identifier)));
  }

  forget(reader: AccountId): void {
    for (const id of [...this.acls.keys()])
      for (const name of [reader, `-${reader}`]) this.setAcl(id, name, { mode: 'set', rights: new Set() });
    for (const readers of this.#seen.values()) readers.delete(reader);
  }
}

function text(rights: ReadonlySet<string> | undefined): string {
  return [...(rights ?? [])].sort().join('');
}
