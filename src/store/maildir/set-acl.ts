import { type AclChange, changedAcl, NO_RIGHTS } from '../acl.ts';
import { type MailboxId, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { readAcl, setDamagedAside, writeAcl } from './acl-file.ts';
import { allAcls, forgetUnused, knownFolder, NOBODY } from './acls.ts';
import { treeOf } from './tree.ts';
import type { Steps } from './turns.ts';

/** Changes of access control lists: the new list is on the disk as a whole before anybody hears of it. */

/** Durable when it returns. Throws 'not-found', 'limit', 'invalid-name', 'read-only'. */
export function setAcl(account: MaildirAccount, id: MailboxId, identifier: string, change: AclChange): void {
  const folder = knownFolder(account, id);
  const read = readAcl(account.directoryOf(folder));
  if (read.is === 'of a newer version')
    throw new StoreError(
      'read-only',
      'The access control list was written by a newer version of this program',
    );
  const before = read.is === 'list' ? read.acl : NOBODY;
  const after = changedAcl(before, identifier, change);
  if (read.is === 'list' && isSame(before.get(identifier), after.get(identifier))) return;
  // Who looks for shared mailboxes finds this one at the latest when the list is there.
  if (after.has(identifier)) account.sharers?.note(account.id, [identifier]);
  const directory = account.directoryOf(folder);
  const write = (): void => {
    if (read.is === 'damaged') setDamagedAside(directory);
    writeAcl(directory, after);
  };
  // What we write into the Maildir itself is no reason to read its folders again.
  if (folder === account.inbox) treeOf(account).changing(account, write);
  else write();
  folder.aclDamage = '';
  account.tell({ type: 'acl', mailbox: id, path: folder.path });
  if (!after.has(identifier)) forgetUnused(account, [identifier]);
}

/** Who gets this name next is somebody else: without it, and without what is taken away from it. */
export function* forgetInLists(account: MaildirAccount, identifier: string): Steps<void> {
  for (const [mailbox, acl] of yield* allAcls(account)) {
    for (const name of [identifier, `-${identifier}`])
      if (acl.has(name) && account.folders.has(mailbox))
        setAcl(account, mailbox, name, { mode: 'set', rights: NO_RIGHTS });
    yield null;
  }
}

function isSame(a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean {
  return a?.size === b?.size && [...(a ?? [])].every((right) => b?.has(right));
}
