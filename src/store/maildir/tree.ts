import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { pathOf } from '../mailbox-path.ts';
import type { MailboxId, SpecialUse } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import {
  changedAt,
  codeOf,
  DIRECTORY_MODE,
  exists,
  isLink,
  mayExist,
  readOptional,
  renameIfThere,
  syncDirectory,
  unlinkIfThere,
  writeDurably,
} from './disk.ts';
import { MAX_KEYWORDS } from './flags.ts';
import { CUR, type Folder, NEW } from './folder.ts';
import { FOLDER_FILE, type FolderFile, readFolderFile } from './folder-file.ts';
import { deleteFolder, insertFolder, loadFolders, setAside } from './folder-row.ts';
import { StrangeIndex } from './index.ts';

/**
 * Which folders there are: the directories of the Maildir. A folder is known by the object id in its file, so one that
 * was renamed by hand stays what it was; a copy made by hand becomes a folder of its own. Names that start with two
 * dots are ours: `..facteur-new-*` is being made, `..facteur-gone-*` being removed.
 */

/** Added to marks that come from an index because the folder file is gone: more than one crash could have hidden. */
const MARGIN = 100_000;
const RENAME_FILE = 'facteur-rename';
const IN_THE_WAY: readonly string[] = ['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR'];

/**
 * `clean` and `unclean` are the ways a process starts; `again` looks for what changed since. Folders whose messages
 * must be read from disk are marked dirty.
 */
export function loadTree(account: MaildirAccount, mode: 'clean' | 'unclean' | 'again'): void {
  if (mode !== 'again') {
    finishRename(account.maildir);
    for (const folder of loadFolders(account.index, pathOf)) {
      account.folders.set(folder.mailbox, folder);
      if (mode === 'unclean') folder.dirty = true;
    }
    refuseForeignIndex(account);
  }
  const time = changedAt(account.maildir);
  const onDisk = new Set(['', ...folderDirectories(account)]);
  const byDir = new Map([...account.folders.values()].map((folder) => [folder.dir, folder]));
  const gone = [...account.folders.values()].filter(({ dir }) => !onDisk.has(dir));
  if (mode !== 'again') {
    for (const dir of onDisk) {
      const folder = byDir.get(dir);
      if (folder && !tryToMeet(account, folder, mode)) gone.push(folder);
    }
  }
  const missing = new Map(gone.map((folder) => [folder.mailbox, folder]));
  // Their directories may be there as other folders: two that changed places are both missing now.
  if (gone.length > 0) account.write('later', [], () => setAside(account.index, gone));
  account.byPath.clear();
  for (const folder of account.folders.values())
    if (!missing.has(folder.mailbox)) account.byPath.set(folder.path, folder);
  const unknown = [...onDisk].filter((dir) => {
    const folder = byDir.get(dir);
    return !folder || missing.has(folder.mailbox);
  });
  for (const dir of unknown) {
    try {
      discover(account, dir, missing, mode);
    } catch (error) {
      // Without INBOX there is no account.
      if (dir === '' || !account.isUnreadable(dir, error)) throw error;
    }
  }
  if (missing.size > 0) forget(account, [...missing.values()]);
  account.recount();
  // A change in this very tick would not show in the time: look again next time.
  account.treeTime = account.now() - time > 1000 ? time : 0;
}

/** The index of another account, or of another Maildir that was here: nothing in it is true. */
function refuseForeignIndex(account: MaildirAccount): void {
  const inbox = [...account.folders.values()].find(({ dir }) => dir === '');
  const file = inbox && readFolderFile(account.maildir);
  if (file && file.mailbox !== inbox.mailbox)
    throw new StrangeIndex('the mail index is that of another Maildir');
}

/**
 * The folder directories of a Maildir, without the Maildir itself. Links are none: one could lead to a folder that is
 * here already, which would then have two names and two UIDVALIDITYs, or to another account's.
 */
function folderDirectories(account: MaildirAccount): string[] {
  const { maildir } = account;
  const found: string[] = [];
  for (const entry of readdirSync(maildir, { withFileTypes: true })) {
    if (!entry.name.startsWith('.') || pathOf(entry.name) === undefined) continue;
    // Any of them: what is missing is made.
    const parts = ['cur', 'new', FOLDER_FILE].map((part) => `${maildir}/${entry.name}/${part}`);
    if (entry.isFile() || !parts.some(mayExist)) continue;
    if (entry.isSymbolicLink() || parts.some(isLink)) {
      account.isUnreadable(entry.name, new LinkedFolder());
      continue;
    }
    found.push(entry.name);
  }
  // Canonical spellings first: of two names for one path the other one is left alone.
  return found.sort();
}

class LinkedFolder extends Error {
  override readonly name = 'LinkedFolder';
  readonly code = 'ELOOP';

  constructor() {
    super('a symbolic link is no folder');
  }
}

/** One that cannot be read stays as the index has it. */
function tryToMeet(account: MaildirAccount, folder: Folder, mode: 'clean' | 'unclean'): boolean {
  try {
    return meet(account, folder, mode);
  } catch (error) {
    if (!account.isUnreadable(folder.dir, error)) throw error;
    folder.dirty = true;
    return true;
  }
}

/** At start: brings a folder of the index and its file together; false when they are not the same folder. */
function meet(account: MaildirAccount, folder: Folder, mode: 'clean' | 'unclean'): boolean {
  const directory = account.directoryOf(folder);
  makeParts(directory);
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
    return true;
  }
  if (file.mailbox !== folder.mailbox || file.uidValidity !== folder.uidValidity) return false;
  // A clean index that knows other times may be an old one that came back from a backup.
  const trusted =
    mode === 'clean' &&
    file.uidMark === folder.uidMark &&
    file.modSeqMark === folder.modSeqMark &&
    changedAt(account.placeOf(folder, NEW)) === folder.times[NEW] &&
    changedAt(account.placeOf(folder, CUR)) === folder.times[CUR];
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
  return true;
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

/** A directory that is not in the index: renamed, copied, or made by somebody else, or the index is new. */
function discover(
  account: MaildirAccount,
  dir: string,
  missing: Map<MailboxId, Folder>,
  mode: 'clean' | 'unclean' | 'again',
): void {
  const path = pathOf(dir);
  if (path === undefined || account.byPath.has(path)) return;
  const directory = account.directoryOf({ dir });
  makeParts(directory);
  const file = readFolderFile(directory);
  const former = file && account.folders.get(file.mailbox);
  if (file && former && missing.has(former.mailbox) && former.uidValidity === file.uidValidity) {
    missing.delete(former.mailbox);
    former.dir = dir;
    former.path = path;
    former.dirty = true;
    if (mode !== 'again') distrust(former, file);
    adopt(account, former, file);
    account.byPath.set(path, former);
    account.write('later', [former], () =>
      account.announce({ type: 'mailbox', mailbox: former.mailbox, path, what: 'renamed' }),
    );
    return;
  }
  const isTwin =
    file &&
    [...account.folders.values()].some(
      ({ mailbox, uidValidity }) => uidValidity === file.uidValidity && !missing.has(mailbox),
    );
  const identity = file && !former && !isTwin ? file : newIdentity(account, null);
  const folder = account.write('later', [], () => {
    const inserted = insertFolder(account.index, identity.mailbox, stateOf(dir, path, identity));
    account.announce({ type: 'mailbox', mailbox: inserted.mailbox, path, what: 'created' });
    return inserted;
  });
  if (dir === '') account.lastUidValidity = identity.lastUidValidity;
  if (identity !== file) account.writeFolderFile(folder);
  folder.dirty = true;
  account.folders.set(folder.mailbox, folder);
  account.byPath.set(path, folder);
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
    if (account.byPath.get(folder.path) === folder) account.byPath.delete(folder.path);
  }
}

/**
 * A new object id, and a UIDVALIDITY that no folder of this account ever had.
 * @param above nor one that is being made
 */
export function newIdentity(account: MaildirAccount, use: SpecialUse | null, above = 0): FolderFile {
  let highest = Math.max(account.lastUidValidity, above);
  for (const folder of account.folders.values()) highest = Math.max(highest, folder.uidValidity);
  const uidValidity = Math.max(Math.floor(account.now() / 1000), highest + 1);
  return {
    mailbox: `M${randomBytes(8).toString('hex')}` as MailboxId,
    uidValidity,
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
export function renameDirectories(
  maildir: string,
  pairs: readonly { readonly from: string; readonly to: string }[],
): void {
  writeDurably(maildir, RENAME_FILE, pairs.map(({ from, to }) => `${from}\t${to}\n`).join(''));
  finishRename(maildir);
}

function finishRename(maildir: string): void {
  const plan = `${maildir}/${RENAME_FILE}`;
  const lines = readOptional(plan)?.toString('utf8').split('\n');
  if (!lines) return;
  for (const line of lines) {
    const [from = '', to = ''] = line.split('\t');
    // Whoever may write into this Maildir may not have us move other directories.
    if (![from, to].every((dir) => dir === basename(dir) && pathOf(dir) !== undefined)) continue;
    if (exists(`${maildir}/${to}/cur`)) continue;
    try {
      renameIfThere(`${maildir}/${from}`, `${maildir}/${to}`);
    } catch (error) {
      // Something is in the way that was not there when it was planned: the folder keeps its old name.
      if (!IN_THE_WAY.includes(codeOf(error) ?? '')) throw error;
    }
  }
  syncDirectory(maildir);
  unlinkIfThere(plan);
}
