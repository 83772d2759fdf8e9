import type { Acl } from '../acl.ts';
import { type MailboxId, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { readAcl } from './acl-file.ts';
import type { Folder } from './folder.ts';
import type { Steps } from './turns.ts';

/** Access control lists of folders: the files are all there is, so nothing is kept in memory or in the index. */

/** Folders whose lists are read between two steps. */
const STEP = 50;
/** An account with more folders keeps names in the register of sharers (sharers.ts) that it no longer needs. */
const MAX_SEARCHED = 500;

export const NOBODY: Acl = new Map();

export function aclOf(account: MaildirAccount, id: MailboxId): Acl {
  return listOf(account, knownFolder(account, id));
}

/** Of all folders that have a list. */
export function* allAcls(account: MaildirAccount): Steps<[mailbox: MailboxId, acl: Acl][]> {
  const found: [MailboxId, Acl][] = [];
  for (const [at, folder] of [...account.folders.values()].entries()) {
    if (at % STEP === 0) yield null;
    const acl = listOf(account, folder);
    if (acl.size > 0) found.push([folder.mailbox, acl]);
  }
  return found;
}

/** The list that a new folder begins with: that of the nearest name above it (RFC 4314 4). */
export function inheritedAcl(account: MaildirAccount, path: string): Acl {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    const parent = account.byPath.get(path.slice(0, at));
    if (parent) return listOf(account, parent);
  }
  return NOBODY;
}

/** After lists are gone: their identifiers leave the register when no other list names them. */
export function forgetUnused(account: MaildirAccount, identifiers: Iterable<string>): void {
  const unused = new Set(identifiers);
  if (!account.sharers || unused.size === 0 || account.folders.size > MAX_SEARCHED) return;
  for (const folder of account.folders.values())
    for (const identifier of listOf(account, folder).keys()) unused.delete(identifier);
  account.sharers.forget(account.id, unused);
}

/** Folders have come from somewhere else, with their lists. What cannot be noted is tried again tomorrow. */
export function noteSharers(account: MaildirAccount, folders: Iterable<Folder>): void {
  const named = new Set<string>();
  for (const folder of folders)
    for (const identifier of listOf(account, folder).keys()) named.add(identifier);
  note(account, named);
}

/** The same of all; a register that came back from a backup may not know all of it. */
export function* noteAllSharers(account: MaildirAccount): Steps<void> {
  const named = new Set<string>();
  for (const [, acl] of yield* allAcls(account)) for (const identifier of acl.keys()) named.add(identifier);
  note(account, named);
}

/** An account whose lists cannot be noted, on a full disk, can be used all the same. */
function note(account: MaildirAccount, named: ReadonlySet<string>): void {
  if (named.size === 0) return;
  try {
    account.sharers?.note(account.id, named);
  } catch (error) {
    account.log.error({ err: error }, 'others may not find what this account shares with them');
  }
}

/** One that cannot be read is empty, and said so in the log once. */
export function listOf(account: MaildirAccount, folder: Folder): Acl {
  const read = readAcl(account.directoryOf(folder));
  if (read.is === 'list') {
    folder.aclDamage = '';
    return read.acl;
  }
  if (folder.aclDamage !== read.why)
    account.log.error(
      { mailbox: folder.path, reason: read.why },
      'access control list cannot be read: nobody but the owner may use the mailbox',
    );
  folder.aclDamage = read.why;
  return NOBODY;
}

/** Throws 'not-found'. */
export function knownFolder(account: MaildirAccount, id: MailboxId): Folder {
  const folder = account.folders.get(id);
  if (!folder) throw new StoreError('not-found', 'There is no such mailbox');
  return folder;
}
