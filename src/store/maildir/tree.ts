import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { pathOf } from '../mailbox-path.ts';
import type { MailboxId, SpecialUse } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { noteSharers } from './acls.ts';
import {
  changedAt,
  codeOf,
  DIRECTORY_MODE,
  exists,
  mayExist,
  readOptional,
  renameIfThere,
  syncDirectory,
  unlinkIfThere,
  writeDurably,
} from './disk.ts';
import { MAX_KEYWORDS } from './flags.ts';
import { CUR, type Folder, NEW, PLACES } from './folder.ts';
import { FOLDER_FILE, type FolderFile, readFolderFile, writingFolderFiles } from './folder-file.ts';
import { deleteFolder, insertFolder, loadFolders, setAside } from './folder-row.ts';
import { onwards, StrangeIndex } from './index.ts';
import { KnownTree } from './known-tree.ts';

/**
 * Which folders there are: the directories of the Maildir. A folder is known by the object id in its file, so one that
 * was renamed by hand stays what it was; a copy made by hand becomes a folder of its own. Names that start with two
 * dots are ours: `..facteur-new-*` is being made, `..facteur-gone-*` being removed.
 */

/** Added to marks that come from an index because the folder file is gone: more than one crash could have hidden. */
const MARGIN = 100_000;
/** Folders in one go. */
const STEP = 100;
const RENAME_FILE = 'facteur-rename';
const IN_THE_WAY: readonly string[] = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR'];

/**
 * `clean` and `unclean` are the ways a process starts; `again` looks for what changed since. Folders whose messages
 * must be read from disk are marked dirty.
 */
export function loadTree(account: MaildirAccount, mode: Mode): void {
  for (const _ of loadingTree(account, mode));
}

type Mode = 'clean' | 'unclean' | 'again';

/** The same in pieces; nobody else may use the account before it has come to its end. */
export function* loadingTree(account: MaildirAccount, mode: Mode): Generator<null, void> {
  if (mode === 'again') {
    const isFolder = (dir: string): boolean => partsOf(account, dir).some(mayExist);
    if (account.byPath.get('INBOX')?.tree?.isKnown(account, isFolder)) return;
  } else {
    finishRename(account.maildir);
    for (let after = 0, read = 1; read > 0; yield null) {
      const some = loadFolders(account.index, pathOf, after);
      for (const folder of some) {
        account.folders.set(folder.mailbox, folder);
        if (mode === 'unclean') folder.dirty = true;
        after = onwards(after, folder.row);
      }
      read = some.length;
    }
    refuseForeignIndex(account);
  }
  const began = account.now();
  const time = changedAt(account.maildir);
  const byDir = new Map<string, Folder>();
  for (const folder of account.folders.values()) byDir.set(folder.dir, folder);
  const { found, unfinished } = folderDirectories(account, byDir);
  const onDisk = new Set(found);
  const gone = [...account.folders.values()].filter(({ dir }) => !onDisk.has(dir));
  if (mode !== 'again') {
    for (const [at, dir] of found.entries()) {
      const folder = byDir.get(dir);
      const met = folder ? tryToMeet(account, folder, mode) : 'same';
      if (folder && met !== 'same') gone.push(folder);
      if (met === 'none') onDisk.delete(dir);
      if (at % STEP === 0) yield null;
    }
  }
  const missing = new Map(gone.map((folder) => [folder.mailbox, folder]));
  const unknown = [...onDisk].filter((dir) => {
    const folder = byDir.get(dir);
    return !folder || missing.has(folder.mailbox);
  });
  if (mode !== 'again' || gone.length > 0) {
    // Their directories may be there as other folders: two that changed places are both missing now.
    if (gone.length > 0) account.write('later', [], () => setAside(account.index, gone));
    account.byPath.clear();
    for (const folder of account.folders.values())
      if (!missing.has(folder.mailbox)) account.byPath.set(folder.path, folder);
    account.byPath.get('INBOX')?.tree?.recount();
  }
  // Canonical spellings first: of two names for one path the other one is left alone.
  if (unknown.length > 0) yield* discovering(account, unknown.sort(), missing, mode);
  const forgotten = [...missing.values()];
  for (let at = 0; at < forgotten.length; at += STEP) {
    forget(account, forgotten.slice(at, at + STEP));
    yield null;
  }
  if (mode !== 'again' || gone.length + unknown.length > 0) account.recount();
  treeOf(account).noteRead(account, time, began, unfinished);
}

/** The index of another account, or of another Maildir that was here: nothing in it is true. */
function refuseForeignIndex(account: MaildirAccount): void {
  const inbox = [...account.folders.values()].find(({ dir }) => dir === '');
  const file = inbox && readFolderFile(account.maildir);
  if (file && file.mailbox !== inbox.mailbox)
    throw new StrangeIndex('the mail index is that of another Maildir');
}

/**
 * The folder directories of a Maildir, itself among them, and directories that may become some. Links are none: one could
 * lead to a folder that is here already, which would then have two names and two UIDVALIDITYs, or to another account's.
 * @param known those that are folders as long as they are there; what is in them is looked at by who uses them
 */
function folderDirectories(
  account: MaildirAccount,
  known: ReadonlyMap<string, unknown>,
): { readonly found: string[]; readonly unfinished: string[] } {
  const found = [''];
  const unfinished: string[] = [];
  for (const entry of readdirSync(account.maildir, { withFileTypes: true })) {
    const { name } = entry;
    if (!name.startsWith('.')) continue;
    if (known.has(name) && entry.isDirectory()) {
      found.push(name);
      continue;
    }
    if (!(entry.isDirectory() || entry.isSymbolicLink()) || pathOf(name) === undefined) continue;
    try {
      if (entry.isSymbolicLink() && partsOf(account, name).some(mayExist)) throw new LinkedFolder();
      if (lookInside(account, name).some((time) => time !== null)) found.push(name);
      else if (entry.isDirectory()) unfinished.push(name);
    } catch (error) {
      if (!account.isUnreadable(name, error)) throw error;
    }
  }
  return { found, unfinished };
}

/** Any of them makes a directory a folder: what is missing is made. */
const PARTS: readonly string[] = ['new', 'cur', FOLDER_FILE];

function partsOf(account: MaildirAccount, dir: string): string[] {
  return PARTS.map((part) => `${account.directoryOf({ dir })}/${part}`);
}

/** When new/, cur/ and the folder file of a directory changed last; null of what is not there. Throws `LinkedFolder`. */
function lookInside(account: MaildirAccount, dir: string): (number | null)[] {
  return partsOf(account, dir).map((part) => {
    const stats = lstatSync(part, { throwIfNoEntry: false });
    if (stats?.isSymbolicLink()) throw new LinkedFolder();
    return stats?.mtimeMs ?? null;
  });
}

class LinkedFolder extends Error {
  override readonly name = 'LinkedFolder';
  readonly code = 'ELOOP';

  constructor() {
    super('a symbolic link is no folder');
  }
}

/** Whether what lies in the folder's directory is that folder, or another one, or none. */
type Met = 'same' | 'other' | 'none';

/** One that cannot be read stays as the index has it. */
function tryToMeet(account: MaildirAccount, folder: Folder, mode: 'clean' | 'unclean'): Met {
  try {
    return meet(account, folder, mode);
  } catch (error) {
    if (!account.isUnreadable(folder.dir, error)) throw error;
    if (error instanceof LinkedFolder) return 'none';
    folder.dirty = true;
    return 'same';
  }
}

/** At start: brings a folder of the index and its file together. */
function meet(account: MaildirAccount, folder: Folder, mode: 'clean' | 'unclean'): Met {
  const directory = account.directoryOf(folder);
  // INBOX is there whatever it is made of.
  const isInbox = folder.dir === '';
  const times = isInbox
    ? PLACES.map((place) => changedAt(`${directory}/${place}`))
    : lookInside(account, folder.dir);
  if (!isInbox && times.every((time) => time === null)) return 'none';
  if (!times[NEW] || !times[CUR] || !exists(`${directory}/tmp`)) makeParts(directory);
  const file = readFolderFile(directory);
  if (!file) {
    account.log.warn(
      { mailbox: folder.path },
      'folder file missing or damaged, written again from the index',
    );
    folder.uidNext = folder.uidMark = Math.min(folder.uidMark + MARGIN, 2 ** 32 - 2);
    folder.modSeq = folder.vanishedFloor = folder.modSeqMark + MARGIN - 1;
    folder.modSeqMark += MARGIN;
    account.writeFolderFile(folder);
    folder.dirty = true;
    return 'same';
  }
  if (file.mailbox !== folder.mailbox || file.uidValidity !== folder.uidValidity) return 'other';
  // A clean index that knows other times may be an old one that came back from a backup.
  const trusted =
    mode === 'clean' &&
    file.uidMark === folder.uidMark &&
    file.modSeqMark === folder.modSeqMark &&
    times[NEW] === folder.times[NEW] &&
    times[CUR] === folder.times[CUR];
  if (!trusted) distrust(folder, file);
  // Letters that the file does not know: it came back from a backup that is older than the index.
  const keywords = file.keywords.map((keyword, at) => keyword || (folder.keywords[at] ?? ''));
  adopt(account, folder, { ...file, keywords });
  const isOld = keywords.some((keyword, at) => keyword !== file.keywords[at]);
  if (isOld || folder.uidNext > folder.uidMark || folder.modSeq >= folder.modSeqMark) {
    folder.uidMark = Math.max(folder.uidMark, folder.uidNext);
    folder.modSeqMark = Math.max(folder.modSeqMark, folder.modSeq + 1);
    account.writeFolderFile(folder);
  }
  return 'same';
}

/**
 * The index may have lost its last commits: every number below the marks may have been shown, and of messages that came
 * and went since nothing is left, not even tombstones.
 */
function distrust(folder: Folder, file: FolderFile): void {
  folder.uidNext = Math.max(folder.uidMark, file.uidMark);
  folder.modSeq = Math.max(folder.modSeqMark, file.modSeqMark) - 1;
  folder.vanishedFloor = folder.modSeq;
  folder.dirty = true;
}

function adopt(account: MaildirAccount, folder: Folder, file: FolderFile): void {
  folder.uidMark = file.uidMark;
  folder.modSeqMark = file.modSeqMark;
  folder.use = file.use;
  folder.setKeywords(file.keywords);
  if (folder.dir === '') account.lastUidValidity = file.lastUidValidity;
}

/** Directories that are not in the index: renamed, copied, or made by somebody else, or the index is new. */
function* discovering(
  account: MaildirAccount,
  dirs: readonly string[],
  missing: Map<MailboxId, Folder>,
  mode: Mode,
): Generator<null, void> {
  const paths = new Set<string>();
  const validities = new Set<number>();
  const mailboxes = new Set<MailboxId>();
  let highest = account.lastUidValidity;
  for (const { mailbox, uidValidity } of account.folders.values()) {
    highest = Math.max(highest, uidValidity);
    if (!missing.has(mailbox)) validities.add(uidValidity);
  }
  for (let at = 0; at < dirs.length; at += STEP) {
    const returned: Returned[] = [];
    const strangers: Stranger[] = [];
    for (const dir of dirs.slice(at, at + STEP)) {
      try {
        const path = pathOf(dir);
        if (path === undefined || paths.has(path) || account.byPath.has(path)) continue;
        const directory = account.directoryOf({ dir });
        makeParts(directory);
        const file = readFolderFile(directory);
        const former = file && account.folders.get(file.mailbox);
        paths.add(path);
        if (file && former && missing.has(former.mailbox) && former.uidValidity === file.uidValidity) {
          missing.delete(former.mailbox);
          validities.add(file.uidValidity);
          returned.push({ folder: former, file, dir, path });
          continue;
        }
        const isOwn = file && !former && !mailboxes.has(file.mailbox) && !validities.has(file.uidValidity);
        const identity = isOwn ? file : newIdentity(account, null, highest);
        if (dir === '') account.lastUidValidity = identity.lastUidValidity;
        highest = Math.max(highest, identity.uidValidity, identity.lastUidValidity);
        mailboxes.add(identity.mailbox);
        validities.add(identity.uidValidity);
        strangers.push({ dir, path, identity, file: isOwn ? 'its own' : 'to be written' });
      } catch (error) {
        // Without INBOX there is no account.
        if (dir === '' || !account.isUnreadable(dir, error)) throw error;
      }
    }
    if (returned.length > 0) takeBack(account, returned, mode);
    if (strangers.length > 0) yield* takingIn(account, strangers);
    yield null;
  }
}

interface Returned {
  readonly folder: Folder;
  readonly file: FolderFile;
  readonly dir: string;
  readonly path: string;
}

/** Folders of ours that have other names. */
function takeBack(account: MaildirAccount, returned: readonly Returned[], mode: Mode): void {
  for (const { folder, file, dir, path } of returned) {
    folder.dir = dir;
    folder.path = path;
    folder.dirty = true;
    if (mode !== 'again') distrust(folder, file);
    adopt(account, folder, file);
    enter(account, folder);
  }
  const folders = returned.map(({ folder }) => folder);
  account.write('later', folders, () => {
    for (const { mailbox, path } of folders)
      account.announce({ type: 'mailbox', mailbox, path, what: 'renamed' });
  });
}

interface Stranger {
  readonly dir: string;
  readonly path: string;
  readonly identity: FolderFile;
  readonly file: 'its own' | 'to be written';
}

function* takingIn(account: MaildirAccount, strangers: readonly Stranger[]): Generator<null, void> {
  const files = strangers.flatMap(({ dir, identity, file }) =>
    file === 'its own' ? [] : [{ directory: account.directoryOf({ dir }), file: identity }],
  );
  const failed = yield* writingFolderFiles(files);
  const written = strangers.filter(({ dir }) => {
    const error = failed.get(account.directoryOf({ dir }));
    if (error !== undefined && (dir === '' || !account.isUnreadable(dir, error))) throw error;
    return error === undefined;
  });
  const folders = account.write('later', [], () =>
    written.map(({ dir, path, identity }) => {
      const folder = insertFolder(account.index, identity.mailbox, stateOf(dir, path, identity));
      account.announce({ type: 'mailbox', mailbox: folder.mailbox, path, what: 'created' });
      return folder;
    }),
  );
  for (const folder of folders) {
    folder.dirty = true;
    account.folders.set(folder.mailbox, folder);
    enter(account, folder);
  }
  noteSharers(account, folders);
}

function forget(account: MaildirAccount, folders: readonly Folder[]): void {
  account.write('later', [], () => {
    for (const folder of folders) {
      deleteFolder(account.index, folder);
      account.announce({ type: 'mailbox', mailbox: folder.mailbox, path: folder.path, what: 'deleted' });
    }
  });
  for (const folder of folders) {
    account.folders.delete(folder.mailbox);
    leave(account, folder);
  }
}

/** The folder has its name from now on. */
export function enter(account: MaildirAccount, folder: Folder): void {
  account.byPath.set(folder.path, folder);
  account.byPath.get('INBOX')?.tree?.entered(folder);
}

/** It has it no more; somebody else may have it already. */
export function leave(account: MaildirAccount, folder: Folder): void {
  if (account.byPath.get(folder.path) !== folder) return;
  account.byPath.delete(folder.path);
  account.byPath.get('INBOX')?.tree?.left(folder);
}

/** Of an account that is open. */
export function treeOf(account: MaildirAccount): KnownTree {
  account.inbox.tree ??= new KnownTree();
  return account.inbox.tree;
}

/**
 * A new object id, and a UIDVALIDITY that no folder of this account ever had.
 * @param highest that any folder has, or one that is being made
 */
export function newIdentity(account: MaildirAccount, use: SpecialUse | null, highest: number): FolderFile {
  const above = Math.max(account.lastUidValidity, highest);
  return {
    mailbox: `M${randomBytes(8).toString('hex')}` as MailboxId,
    uidValidity: Math.max(Math.floor(account.now() / 1000), above + 1),
    uidMark: 1,
    modSeqMark: 2,
    use,
    keywords: new Array<string>(MAX_KEYWORDS).fill(''),
    lastUidValidity: 0,
  };
}

export function stateOf(
  dir: string,
  path: string,
  file: FolderFile,
): ConstructorParameters<typeof Folder>[2] {
  return {
    dir,
    path,
    uidValidity: file.uidValidity,
    uidNext: file.uidMark,
    uidMark: file.uidMark,
    modSeq: file.modSeqMark - 1,
    modSeqMark: file.modSeqMark,
    use: file.use,
    keywords: file.keywords,
    total: 0,
    unseen: 0,
    size: 0,
    firstRecent: file.uidMark,
    vanishedFloor: file.modSeqMark - 1,
    times: [0, 0],
    certain: false,
  };
}

export function makeParts(directory: string): void {
  for (const part of ['tmp', 'new', 'cur'])
    if (!exists(`${directory}/${part}`))
      mkdirSync(`${directory}/${part}`, { recursive: true, mode: DIRECTORY_MODE });
}

/**
 * Renames several folder directories so that a crash in the middle is finished at the next start: the plan is durable
 * before the first step.
 */
export function* renamingDirectories(
  maildir: string,
  pairs: readonly { readonly from: string; readonly to: string }[],
): Generator<null, void> {
  writeDurably(maildir, RENAME_FILE, pairs.map(({ from, to }) => `${from}\t${to}\n`).join(''));
  yield null;
  for (const [at, { from, to }] of pairs.entries()) {
    renameDirectory(maildir, from, to);
    if (at % STEP === 0) yield null;
  }
  syncDirectory(maildir);
  unlinkIfThere(`${maildir}/${RENAME_FILE}`);
}

function finishRename(maildir: string): void {
  const plan = `${maildir}/${RENAME_FILE}`;
  const lines = readOptional(plan)?.toString('utf8').split('\n');
  if (!lines) return;
  for (const line of lines) {
    const [from = '', to = ''] = line.split('\t');
    // Whoever may write into this Maildir may not have us move other directories.
    if ([from, to].every((dir) => dir === basename(dir) && pathOf(dir) !== undefined))
      renameDirectory(maildir, from, to);
  }
  syncDirectory(maildir);
  unlinkIfThere(plan);
}

function renameDirectory(maildir: string, from: string, to: string): void {
  if (exists(`${maildir}/${to}/cur`)) return;
  try {
    renameIfThere(`${maildir}/${from}`, `${maildir}/${to}`);
  } catch (error) {
    // Something is in the way that was not there when it was planned: the folder keeps its old name.
    if (!IN_THE_WAY.includes(codeOf(error) ?? '')) throw error;
  }
}
