import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import type { Acl } from '../acl.ts';
import { directoryOf, parsePath } from '../mailbox-path.ts';
import { admitMailboxes, type Limits } from '../quota.ts';
import {
  type Mailbox,
  type MailboxId,
  type ModSeq,
  type SpecialUse,
  StoreError,
  type Uid,
} from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { ACL_FILE, formatAcl } from './acl-file.ts';
import { forgetUnused, inheritedAcl, listOf } from './acls.ts';
import { copyAnnotations } from './annotate.ts';
import { movingAll } from './copy.ts';
import {
  DIRECTORY_MODE,
  FILE_MODE,
  isDirectory,
  isLink,
  isMissing,
  isTaken,
  moveAside,
  syncDirectory,
  syncFile,
  toStoreError,
  writeSoon,
} from './disk.ts';
import type { Folder } from './folder.ts';
import { FOLDER_FILE, type FolderFile, formatFolderFile } from './folder-file.ts';
import { deleteFolder, insertFolder } from './folder-row.ts';
import { MAX_SUBSCRIPTIONS } from './subscriptions.ts';
import { enter, leave, makeParts, newIdentity, renamingDirectories, stateOf, treeOf } from './tree.ts';
import type { Steps } from './turns.ts';

/** LIST, CREATE, RENAME, DELETE, SUBSCRIBE. */

/** More than any person has; a script gone wild stops here. */
const MAX_MAILBOXES = 20_000;

/** With the names that only exist as parents of others. */
export function listMailboxes(account: MaildirAccount): Mailbox[] {
  const all = [...account.byPath.values()].map((folder) => describe(account, folder));
  for (const path of treeOf(account).namesOnly(account)) all.push(placeholder(account, path));
  return all.sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function findMailbox(account: MaildirAccount, name: string): Mailbox | undefined {
  const known = account.byPath.get(name);
  if (known) return describe(account, known);
  let path: string;
  try {
    path = parsePath(name);
  } catch {
    return undefined;
  }
  const folder = account.byPath.get(path);
  if (folder) return describe(account, folder);
  return treeOf(account).hasBelow(account, path) ? placeholder(account, path) : undefined;
}

/** @param quota the account's; null is no limit. */
export function createMailbox(
  account: MaildirAccount,
  name: string,
  use: SpecialUse | null,
  quota: Limits | null = null,
): Mailbox {
  const path = parsePath(name);
  if (account.byPath.has(path)) throw new StoreError('exists', 'There is a mailbox with this name');
  const wanted: Wanted[] = [];
  const parts = path.split('/');
  for (let levels = 1; levels < parts.length; levels++) {
    const parent = parts.slice(0, levels).join('/');
    if (!account.byPath.has(parent)) wanted.push({ path: parent, use: null });
  }
  admitMailboxes(account.folders.size, wanted.length + 1, quota);
  const made = makeFolders(account, [...wanted, { path, use }]).at(-1);
  if (!made) throw new Error('a mailbox was not made');
  return describe(account, made);
}

export interface Wanted {
  /** As `parsePath` made it; not there yet. */
  readonly path: string;
  readonly use: SpecialUse | null;
}

/**
 * Each appears at once and complete, or not at all: what is in the directory is durable before it gets its name, since
 * syncing the directory above promises nothing about it. Several share the commits of the file system's journal.
 */
export function makeFolders(account: MaildirAccount, wanted: readonly Wanted[]): Folder[] {
  if (account.folders.size + wanted.length > MAX_MAILBOXES)
    throw new StoreError('limit', 'There are too many mailboxes');
  for (const { path } of wanted) keepClear(account, directoryOf(path));
  let highest = treeOf(account).highestUidValidity(account);
  const making = wanted.map(({ path, use }) => {
    const identity = newIdentity(account, use, highest);
    highest = identity.uidValidity;
    const directory = `${account.maildir}/..facteur-new-${identity.mailbox}`;
    // Of those that are made together each has the list of the first one's parent.
    return { path, identity, directory, dir: directoryOf(path), acl: inheritedAcl(account, path) };
  });
  treeOf(account).changing(account, () => makeDirectories(account.maildir, making));
  const folders = account.write('later', [], () =>
    making.map(({ path, identity, dir }) => {
      const folder = insertFolder(account.index, identity.mailbox, stateOf(dir, path, identity));
      account.announce({ type: 'mailbox', mailbox: folder.mailbox, path, what: 'created' });
      return folder;
    }),
  );
  for (const folder of folders) {
    account.noteTimes(folder);
    account.folders.set(folder.mailbox, folder);
    enter(account, folder);
  }
  return folders;
}

function makeDirectories(
  maildir: string,
  making: readonly {
    readonly directory: string;
    readonly dir: string;
    readonly identity: FolderFile;
    readonly acl: Acl;
  }[],
): void {
  try {
    for (const { directory, identity, acl } of making) {
      mkdirSync(directory, { mode: DIRECTORY_MODE });
      makeParts(directory);
      // Maildir++ marks folders with this file; maildrop looks for it.
      closeSync(openSync(`${directory}/maildirfolder`, 'w', FILE_MODE));
      writeSoon(`${directory}/${FOLDER_FILE}`, formatFolderFile(identity));
      if (acl.size > 0) writeSoon(`${directory}/${ACL_FILE}`, formatAcl(acl));
    }
    for (const { directory, acl } of making) {
      syncFile(`${directory}/${FOLDER_FILE}`);
      if (acl.size > 0) syncFile(`${directory}/${ACL_FILE}`);
    }
    for (const { directory } of making) syncDirectory(directory);
    for (const { directory, dir } of making) renameSync(directory, `${maildir}/${dir}`);
    syncDirectory(maildir);
  } catch (error) {
    for (const { directory } of making) rmSync(directory, { recursive: true, force: true });
    throw toStoreError(error);
  }
}

/** Throws 'exists' when something that is no mailbox lies there: a file, a link, a directory of somebody else's. */
function keepClear(account: MaildirAccount, dir: string): void {
  const path = `${account.maildir}/${dir}`;
  if (isTaken(path) && !(isDirectory(path) && !isLink(path) && readdirSync(path).length === 0))
    throw new StoreError('exists', 'Something else lies on the disk under this name');
}

/** The same in pieces; nobody else may use the account before it has come to its end. */
export function* renamingMailbox(
  account: MaildirAccount,
  id: MailboxId,
  name: string,
  quota: Limits | null = null,
): Steps<void> {
  const tree = treeOf(account);
  const isAsked = (path: string): boolean => parentId(path) === id;
  const from = account.folders.get(id)?.path ?? [...tree.namesOnly(account)].find(isAsked);
  if (from === undefined) throw new StoreError('not-found', 'There is no such mailbox');
  const to = parsePath(name);
  if (account.byPath.has(to) || (tree.hasBelow(account, to) && to !== from))
    throw new StoreError('exists', 'There is a mailbox with this name');
  if (from === 'INBOX') {
    // The messages go, INBOX and what is below it stay (RFC 9051 6.3.6). Refused before there is an empty mailbox.
    const target = { path: to, use: null, held: { bytes: 0, messages: 0 } };
    account.rules.admit('move', account.inbox.held, account.usage, null, target);
    createMailbox(account, to, null, quota);
    copyAnnotations(account, account.inbox, account.folderAt(to));
    yield* movingAll(account, account.inbox, account.folderAt(to));
    return;
  }
  if (to.startsWith(`${from}/`)) throw new StoreError('invalid-name', 'A mailbox cannot move below itself');
  const moves: Move[] = [];
  for (const folder of [...account.byPath.values()]) {
    if (folder.path !== from && !folder.path.startsWith(`${from}/`)) continue;
    const path = parsePath(to + folder.path.slice(from.length));
    moves.push({ folder, path, from: folder.dir, to: directoryOf(path) });
    if (moves.length % STEP === 0) yield null;
  }
  const leaving = new Set(moves.map((move) => move.from));
  for (const [at, move] of moves.entries()) {
    if (!leaving.has(move.to)) keepClear(account, move.to);
    if (at % STEP === 0) yield null;
  }
  const parts = to.split('/');
  const missing: Wanted[] = [];
  for (let levels = 1; levels < parts.length; levels++) {
    const parent = parts.slice(0, levels).join('/');
    if (!account.byPath.has(parent) && parent !== from) missing.push({ path: parent, use: null });
  }
  admitMailboxes(account.folders.size, missing.length, quota);
  if (missing.length > 0) makeFolders(account, missing);
  yield* tree.changingInSteps(account, renamingDirectories(account.maildir, moves));
  for (const { folder } of moves) leave(account, folder);
  for (const { folder, path, to: dir } of moves) {
    folder.dir = dir;
    folder.path = path;
    enter(account, folder);
  }
  yield null;
  const update = account.index.prepare('UPDATE folders SET dir = ? WHERE id = ?');
  // Unique names: first out of each other's way.
  const inTheWay = moves.filter((move) => leaving.has(move.to));
  if (inTheWay.length > 0)
    account.write('later', [], () => {
      for (const { folder } of inTheWay) update.run(`/${folder.row}`, folder.row);
    });
  // Those that a crash leaves behind in the index are known by their ids when the tree is read.
  for (let at = 0; at < moves.length; at += STEP) {
    account.write('later', [], () => {
      for (const { folder, path, to: dir } of moves.slice(at, at + STEP)) {
        update.run(dir, folder.row);
        account.announce({ type: 'mailbox', mailbox: folder.mailbox, path, what: 'renamed' });
      }
    });
    yield null;
  }
}

/** Folders between two steps of a rename. */
const STEP = 100;

interface Move {
  readonly folder: Folder;
  readonly path: string;
  readonly from: string;
  readonly to: string;
}

/** @returns the directory that is out of sight and has still to be emptied */
export function deleteMailbox(account: MaildirAccount, id: MailboxId): string {
  const folder = account.folders.get(id);
  if (!folder) throw new StoreError('not-found', 'There is no such mailbox');
  if (folder === account.inbox) throw new StoreError('invalid-name', 'INBOX cannot be deleted');
  const acl = listOf(account, folder);
  const gone = treeOf(account).changing(account, () => {
    // A folder of the same name must get another UIDVALIDITY, whatever the clock says by then (RFC 9051 2.3.1.1).
    if (folder.uidValidity > account.lastUidValidity) {
      account.writeFolderFile(account.inbox, { lastUidValidity: folder.uidValidity });
      account.lastUidValidity = folder.uidValidity;
    }
    const out = moveOut(account.maildir, account.directoryOf(folder), folder.mailbox);
    syncDirectory(account.maildir);
    return out;
  });
  account.write('later', [], () => {
    deleteFolder(account.index, folder);
    account.announce({ type: 'mailbox', mailbox: folder.mailbox, path: folder.path, what: 'deleted' });
  });
  account.folders.delete(folder.mailbox);
  leave(account, folder);
  account.usedBytes -= folder.size;
  account.usedMessages -= folder.total;
  forgetUnused(account, acl.keys());
  return gone;
}

/**
 * Into a directory of its own: what is removed there afterwards does not change the Maildir itself, which would then have
 * to be read again.
 */
function moveOut(maildir: string, directory: string, name: string): string {
  const aside = `${maildir}/..facteur-gone`;
  const out = `${aside}/${name}`;
  if (!isDirectory(aside) || isLink(aside)) {
    // Something of somebody else's may lie there.
    if (isTaken(aside)) moveAside(aside);
    mkdirSync(aside, { mode: DIRECTORY_MODE });
  }
  // One that came back from a backup, and whose removal did not get far the first time.
  if (isTaken(out)) moveAside(out);
  try {
    renameSync(directory, out);
  } catch (error) {
    if (!isMissing(error) || isTaken(aside)) throw error;
    // Housekeeping has just emptied and removed it.
    mkdirSync(aside, { mode: DIRECTORY_MODE });
    renameSync(directory, out);
  }
  return out;
}

export function subscribe(account: MaildirAccount, name: string, subscribed: 'yes' | 'no'): void {
  const path = parsePath(name);
  const { paths } = account.subscriptions;
  if (paths.has(path) === (subscribed === 'yes')) return;
  if (paths.size >= MAX_SUBSCRIPTIONS && subscribed === 'yes')
    throw new StoreError('limit', 'There are too many subscriptions');
  if (subscribed === 'yes') paths.add(path);
  else paths.delete(path);
  treeOf(account).changing(account, () => account.saveSubscriptions());
  const mailbox = account.byPath.get(path)?.mailbox ?? parentId(path);
  account.write('later', [], () =>
    account.announce({
      type: 'mailbox',
      mailbox,
      path,
      what: subscribed === 'yes' ? 'subscribed' : 'unsubscribed',
    }),
  );
}

function describe(account: MaildirAccount, folder: Folder): Mailbox {
  return {
    id: folder.mailbox,
    path: folder.path,
    selectable: true,
    uidValidity: folder.uidValidity,
    uidNext: folder.uidNext as Uid,
    highestModSeq: folder.modSeq as ModSeq,
    total: folder.total,
    unseen: folder.unseen,
    firstRecent: folder.firstRecent as Uid,
    size: folder.size,
    specialUse: folder.use,
    subscribed: account.subscriptions.paths.has(folder.path),
    keywords: folder.keywords.filter((keyword) => keyword !== ''),
    hasChildren: treeOf(account).hasBelow(account, folder.path),
  };
}

function placeholder(account: MaildirAccount, path: string): Mailbox {
  return {
    id: parentId(path),
    path,
    selectable: false,
    uidValidity: 0,
    uidNext: 1 as Uid,
    highestModSeq: 1 as ModSeq,
    total: 0,
    unseen: 0,
    firstRecent: 1 as Uid,
    size: 0,
    specialUse: null,
    subscribed: account.subscriptions.paths.has(path),
    keywords: [],
    hasChildren: true,
  };
}

/** Stands for a name without a mailbox; it means nothing to any call but `rename`. */
function parentId(path: string): MailboxId {
  return `N${createHash('sha256').update(path).digest('hex').slice(0, 24)}` as MailboxId;
}
