import { mkdirSync } from 'node:fs';
import type { AccountId } from '../../directory/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { parsePath } from '../mailbox-path.ts';
import type { DefaultFolder } from '../options.ts';
import type { PackedMessages } from '../packed-messages.ts';
import { QuotaRules, type Usage } from '../quota.ts';
import { type Change, type MailboxId, StoreError } from '../store.ts';
import { changedAt, codeOf, DIRECTORY_MODE, exists, syncDirectory, toStoreError } from './disk.ts';
import { UniqueNames } from './file-name.ts';
import { type Keywords, keywordBit, MAX_KEYWORDS, newKeywords } from './flags.ts';
import { CUR, type Folder, type NameOnDisk, NEW, nameOf, PLACES, type Place } from './folder.ts';
import { FOLDER_FILE, writeFolderFile } from './folder-file.ts';
import { saveFolder } from './folder-row.ts';
import { type Index, isDamaged, isNonsense, openIndex, removeIndex, SPAN } from './index.ts';
import { Indexer } from './indexer.ts';
import { recoverIntents } from './intents.ts';
import { makeFolders } from './mailboxes.ts';
import { type Roster, Rosters } from './roster.ts';
import { scanning } from './scan.ts';
import { SearchMemory } from './search-memory.ts';
import type { Sharers } from './sharers.ts';
import {
  readSubscriptions,
  SUBSCRIPTIONS_FILE,
  type Subscriptions,
  writeSubscriptions,
} from './subscriptions.ts';
import { loadingTree, loadTree } from './tree.ts';
import { carryOut, finish, type Steps } from './turns.ts';

/**
 * One account's Maildir and its index, as the one thread that writes them sees it: everything here is synchronous and
 * happens between two turns of the event loop, so no two operations ever meet. What an operation promises when it
 * returns is in the room's README (state table).
 */

/** How far ahead UIDs and MODSEQs are reserved in the folder file: one durable write for so many. */
const BLOCK = 1000;
/**
 * One operation uses up to three MODSEQs, and the one below the mark is never used: after a crash the mailbox is at it,
 * and who saw less is told of all that may have been forgotten.
 */
const SPARE = 8;
/** UIDs are 32 bits (RFC 9051 2.3.1.1). */
const MAX_UID = 2 ** 32 - 2;
/** What the system says when something in a folder is not as it should be; not of what is gone or does not fit. */
const UNREADABLE: readonly string[] = ['EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'EIO', 'ELOOP'];
/** Coarser than the clock of any local file system; and of those that count in seconds. */
const TICK = 20;
const COARSE_TICK = 2000;
const NO_RULES = new QuotaRules({ quotaGrace: 0, quotaTrashExtra: 0, mailboxSizeLimit: [] });
/** A look that only doubt asks for may take this part of the time. */
const DOUBT_SHARE = 200;

/** A committed change, packed for its way to another thread. */
export type StoredChange =
  | { readonly type: 'added' | 'flags'; readonly mailbox: MailboxId; readonly messages: PackedMessages }
  | Extract<Change, { readonly type: 'expunged' | 'mailbox' | 'annotated' | 'acl' }>;

export interface AccountOptions {
  readonly id: AccountId;
  /** Holds `Maildir/` and `index.sqlite`; made at first use. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Stands in file names. */
  readonly host: string;
  readonly pid: number;
  /** Limits of folders, and how exactly the quota is meant; without them there are none. */
  readonly rules?: QuotaRules;
  /** How a message comes from tmp/ to its place; `rename` by default. */
  readonly delivery?: 'rename' | 'link';
  readonly defaultFolders: readonly DefaultFolder[];
  readonly onChange: (change: StoredChange) => void;
  /** Of all accounts of the thread together; its own when it is alone. */
  readonly rosters?: Rosters;
  readonly memory?: SearchMemory;
  /** Of all accounts together; without it nobody finds what is shared. */
  readonly sharers?: Sharers;
}

export class MaildirAccount {
  readonly id: AccountId;
  readonly directory: string;
  readonly maildir: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly names: UniqueNames;
  readonly rules: QuotaRules;
  readonly delivery: 'rename' | 'link';
  readonly sharers: Sharers | undefined;
  /** What is worked out of messages behind their delivery. */
  readonly indexer: Indexer;
  readonly folders: Map<MailboxId, Folder> = new Map();
  readonly byPath: Map<string, Folder> = new Map();
  /** Files and rows that have still to follow a commit: see background.ts. */
  behind = false;
  /** Files of expunged messages that are gone already, by their row in `removals`. */
  readonly removed: Set<number> = new Set();
  /** Plans of copies and moves that were given up. */
  readonly abandoned: Set<number> = new Set();
  /** A commit failed after its files were in place: keys may be in names only. */
  suspect = false;
  /** Sum of all sizes and messages, for the quota. */
  usedBytes = 0;
  usedMessages = 0;
  /** The highest UIDVALIDITY that was ever given here and may no longer be on disk. */
  lastUidValidity = 0;
  /** When all folders were last looked at for a listing. */
  listedAt = 0;
  /** When the Maildir itself had changed last when we read its folders. */
  treeTime = 0;
  /** Reading from disk that takes longer than this (ms) is thrown, as `Unfinished`, for others to carry on. */
  patience: number = Number.POSITIVE_INFINITY;
  /** Folders that cannot be read, by directory, and why: the others go on without them. */
  readonly unreadable: Map<string, string> = new Map();
  subscriptions: Subscriptions;
  #index: Index;
  readonly #onChange: (change: StoredChange) => void;
  readonly #rosters: Rosters;
  readonly #defaultFolders: readonly DefaultFolder[];
  #unannounced: StoredChange[] = [];

  constructor(options: AccountOptions) {
    this.id = options.id;
    this.directory = options.directory;
    this.maildir = `${options.directory}/Maildir`;
    this.clock = options.clock;
    this.log = options.log.child({ account: options.id });
    this.names = new UniqueNames(options.host, options.pid);
    this.rules = options.rules ?? NO_RULES;
    this.delivery = options.delivery ?? 'rename';
    this.sharers = options.sharers;
    this.#defaultFolders = options.defaultFolders;
    this.#onChange = options.onChange;
    this.indexer = new Indexer(this, options.memory ?? new SearchMemory());
    this.#rosters = options.rosters ?? new Rosters();
    this.#makeMaildir();
    this.#index = this.#openIndex();
    this.subscriptions = readSubscriptions(this.maildir);
  }

  /** Comes before all else. Throws StoreError; then the account is closed. */
  *opening(): Steps<void> {
    // Written last when an account is furnished.
    const isFresh = !exists(`${this.maildir}/${SUBSCRIPTIONS_FILE}`);
    try {
      yield* this.#loadingOrRebuilding();
      if (isFresh) this.#furnish(this.#defaultFolders);
    } catch (error) {
      this.#index.close('unclean');
      throw toStoreError(error);
    }
  }

  get indexPath(): string {
    return `${this.directory}/index.sqlite`;
  }

  get index(): Index {
    return this.#index;
  }

  get inbox(): Folder {
    const inbox = this.byPath.get('INBOX');
    if (!inbox) throw new Error(`no INBOX in ${this.maildir}`);
    return inbox;
  }

  get usage(): Usage {
    return { bytes: this.usedBytes, messages: this.usedMessages };
  }

  now(): number {
    return this.clock.now().getTime();
  }

  /** Throws 'not-found'; as all that looks at the disk, `Unfinished` when that takes more than `patience`. */
  folder(mailbox: MailboxId): Folder {
    const folder = this.folders.get(mailbox);
    if (!folder) throw new StoreError('not-found', 'There is no such mailbox');
    if (folder.dirty) this.scan(folder);
    return folder;
  }

  /** Throws 'not-found', also for what can be no name. */
  folderAt(path: string): Folder {
    const folder = this.byPath.get(path) ?? this.byPath.get(known(path));
    if (!folder) throw new StoreError('not-found', 'There is no such mailbox');
    if (folder.dirty) this.scan(folder);
    return folder;
  }

  /** Brings the index and the folder's directories together. */
  scan(folder: Folder): void {
    this.#carryOut(this.scanning(folder));
  }

  /** The folder of a message's key in the index; undefined when it is gone. */
  folderOfRow(id: number): Folder | undefined {
    const row = Math.floor(id / SPAN);
    for (const folder of this.folders.values()) if (folder.row === row) return folder;
    return undefined;
  }

  /** What sessions are told of a folder's messages. */
  roster(folder: Folder): Roster {
    return this.#rosters.of(this.#index, folder);
  }

  /** Rows of its messages were changed in a way that is not announced. */
  dropRoster(folder: Folder): void {
    this.#rosters.drop(folder);
  }

  directoryOf(folder: { readonly dir: string }): string {
    return folder.dir === '' ? this.maildir : `${this.maildir}/${folder.dir}`;
  }

  placeOf(folder: Folder, place: Place): string {
    return `${this.directoryOf(folder)}/${PLACES[place]}`;
  }

  fileOf(folder: Folder, message: NameOnDisk): string {
    return `${this.directoryOf(folder)}/${nameOf(message)}`;
  }

  /**
   * Commits `work` and, with it, the counters of `folders`; then announces what `work` announced. When it fails nothing
   * has happened, in memory neither; only UIDs are not given back.
   */
  write<T>(durability: 'wait' | 'later', folders: readonly Folder[], work: () => T): T {
    return finish(
      // biome-ignore lint/correctness/useYield: it has one step
      this.writing(durability, folders, function* () {
        return work();
      }),
    );
  }

  /** Nobody else may use the account before it has come to its end. */
  *writing<T>(durability: 'wait' | 'later', folders: readonly Folder[], work: () => Steps<T>): Steps<T> {
    const before = folders.map((folder) => ({
      modSeq: folder.modSeq,
      total: folder.total,
      unseen: folder.unseen,
      size: folder.size,
      firstRecent: folder.firstRecent,
      vanishedFloor: folder.vanishedFloor,
    }));
    const announced = this.#unannounced.length;
    const index = this.#index;
    let result: T;
    try {
      result = yield* index.transacting(durability, function* () {
        const value = yield* work();
        for (const folder of folders) saveFolder(index, folder);
        return value;
      });
    } catch (error) {
      folders.forEach((folder, at) => {
        Object.assign(folder, before[at]);
      });
      this.#unannounced.length = announced;
      throw toStoreError(error);
    }
    folders.forEach((folder, at) => {
      this.usedBytes += folder.size - (before[at]?.size ?? 0);
      this.usedMessages += folder.total - (before[at]?.total ?? 0);
    });
    for (const change of this.#unannounced.splice(announced)) this.tell(change);
    return result;
  }

  /** To be called inside `write`: listeners hear of it after the commit. */
  announce(change: StoredChange): void {
    this.#unannounced.push(change);
  }

  /** Listeners hear at once of what the index has already, or does not have. */
  tell(change: StoredChange): void {
    const folder = this.folders.get(change.mailbox);
    if (folder) this.#rosters.follow(folder, change);
    if (change.type === 'added') this.indexer.added(change.mailbox);
    this.#onChange(change);
  }

  /**
   * Comes before every change of messages. Makes sure that so many UIDs, a MODSEQ or three and these keywords may be used:
   * durable before they are shown or stand in a file name.
   */
  reserve(folder: Folder, need: { readonly uids: number; readonly flags?: readonly string[] }): void {
    this.#index.markUnclean();
    const keywords = need.flags ? this.#keywordsWith(folder, need.flags) : undefined;
    const uids = folder.uidNext + need.uids;
    if (uids > MAX_UID) throw new StoreError('limit', 'This mailbox has used up its message numbers');
    const modSeqs = folder.modSeq + SPARE >= folder.modSeqMark;
    const ahead = uids > folder.uidMark || modSeqs;
    if (!ahead && !keywords) return;
    const marks = {
      uidMark: uids > folder.uidMark ? Math.min(uids + BLOCK, MAX_UID) : folder.uidMark,
      modSeqMark: modSeqs ? folder.modSeq + BLOCK : folder.modSeqMark,
    };
    this.writeFolderFile(folder, { ...marks, ...(keywords && { keywords }) });
    if (keywords) folder.setKeywords(keywords);
    folder.uidMark = marks.uidMark;
    folder.modSeqMark = marks.modSeqMark;
  }

  writeFolderFile(
    folder: Folder,
    change: {
      readonly uidMark?: number;
      readonly modSeqMark?: number;
      readonly keywords?: Keywords;
      readonly lastUidValidity?: number;
    } = {},
  ): void {
    writeFolderFile(this.directoryOf(folder), {
      mailbox: folder.mailbox,
      uidValidity: folder.uidValidity,
      uidMark: folder.uidMark,
      modSeqMark: folder.modSeqMark,
      use: folder.use,
      keywords: folder.keywords,
      lastUidValidity: folder.dir === '' ? this.lastUidValidity : 0,
      ...change,
    });
  }

  /** Before we change new/ or cur/ ourselves: was somebody else there since we looked? */
  touching(folder: Folder): void {
    if (folder.dirty) return;
    for (const place of [NEW, CUR] as const)
      if (changedAt(this.placeOf(folder, place)) !== folder.times[place]) folder.dirty = true;
  }

  /** After we changed them: what we did is no news, but somebody may have come in the same tick. */
  touched(folder: Folder): void {
    if (folder.dirty) return;
    this.noteTimes(folder);
    folder.certain = false;
  }

  noteTimes(folder: Folder): void {
    folder.times = [changedAt(this.placeOf(folder, NEW)), changedAt(this.placeOf(folder, CUR))];
  }

  /**
   * Looks for changes by other programs, cheaply when there are none.
   * @param told the system tells us of every change: doubt is no reason to read the directories.
   */
  refresh(folder: Folder, told: 'told' | 'untold' = 'untold'): void {
    const now = this.now();
    const times = [changedAt(this.placeOf(folder, NEW)), changedAt(this.placeOf(folder, CUR))] as const;
    const changed = times[0] !== folder.times[0] || times[1] !== folder.times[1];
    const doubtful = !folder.certain && told === 'untold' && now >= folder.nextDoubt;
    if (folder.dirty || changed || doubtful) this.#carryOut(this.#refreshing(folder, times));
  }

  *#refreshing(folder: Folder, times: readonly [number, number]): Steps<void> {
    const now = this.now();
    yield* this.scanning(folder);
    const coarse = times.every((time) => Number.isInteger(time / 1000));
    folder.certain = now - Math.max(...times) > (coarse ? COARSE_TICK : TICK);
    folder.nextDoubt = this.now() + Math.min((this.now() - now) * DOUBT_SHARE, 60_000);
  }

  /** Folders made, renamed or removed by other programs. */
  refreshTree(): void {
    if (changedAt(this.maildir) === this.treeTime) return;
    loadTree(this, 'again');
  }

  /** After folders came or went. */
  recount(): void {
    this.usedBytes = 0;
    this.usedMessages = 0;
    for (const folder of this.folders.values()) {
      this.usedBytes += folder.size;
      this.usedMessages += folder.total;
    }
  }

  /** All folders whose directories must be read are read. */
  settle(): void {
    this.#carryOut(this.#settling());
  }

  *#settling(): Steps<void> {
    for (const folder of [...this.folders.values()]) {
      if (!folder.dirty) continue;
      yield* this.scanning(folder);
      yield null;
    }
    // The others must have their mail: of what a folder holds that cannot be read, a second copy may come.
    this.suspect = [...this.folders.values()].some(({ dirty, dir }) => dirty && !this.unreadable.has(dir));
  }

  /** True, and said once in the log, when `error` means that this folder alone cannot be used. */
  isUnreadable(dir: string, error: unknown): boolean {
    const code = codeOf(error) ?? '';
    if (!UNREADABLE.includes(code)) return false;
    const reason = error instanceof Error ? error.message : code;
    if (this.unreadable.get(dir) !== reason)
      this.log.error({ err: error, directory: dir }, 'a folder of the Maildir cannot be read');
    this.unreadable.set(dir, reason);
    return true;
  }

  saveSubscriptions(): void {
    writeSubscriptions(this.maildir, this.subscriptions);
  }

  /** The index is damaged or gone: throws it away and makes it again from the tree. */
  rebuild(reason: unknown): void {
    this.#carryOut(this.rebuilding(reason));
  }

  *rebuilding(reason: unknown): Steps<void> {
    this.log.error({ err: reason }, 'mail index damaged, rebuilding it from the Maildir');
    this.#replaceIndex();
    yield* this.#loading();
  }

  /** An admin wants it: the same, but a folder is read when somebody looks at it. Nothing may be `behind`. */
  reindex(): void {
    this.log.info({}, 'making the mail index again');
    this.#replaceIndex();
    loadTree(this, 'unclean');
  }

  #replaceIndex(): void {
    try {
      this.#index.close('unclean');
    } catch {
      // What cannot be closed is thrown away just the same.
    }
    removeIndex(this.indexPath);
    for (const folder of this.folders.values()) this.#rosters.drop(folder);
    this.folders.clear();
    this.byPath.clear();
    this.unreadable.clear();
    this.removed.clear();
    this.abandoned.clear();
    this.#unannounced = [];
    this.indexer.restart();
    this.#index = openIndex(this.indexPath).index;
  }

  /** @param wanted 'clean' only when nothing is `behind`; a folder that could not be read makes it unclean. */
  close(wanted: 'clean' | 'unclean'): void {
    this.indexer.restart();
    const state = [...this.folders.values()].some(({ dirty }) => dirty) ? 'unclean' : wanted;
    for (const folder of this.folders.values()) this.#rosters.drop(folder);
    if (!this.#index.clean && state === 'clean')
      this.write('later', [...this.folders.values()], () => undefined);
    this.#index.close(state);
  }

  #openIndex(): Index {
    try {
      const { index, isNew } = openIndex(this.indexPath);
      if (isNew && exists(`${this.maildir}/${FOLDER_FILE}`))
        this.log.warn({}, 'mail index missing, rebuilding it from the Maildir');
      return index;
    } catch (error) {
      if (!isDamaged(error)) throw toStoreError(error);
      this.log.error({ err: error }, 'mail index damaged, rebuilding it from the Maildir');
      removeIndex(this.indexPath);
      return openIndex(this.indexPath).index;
    }
  }

  /** Damage may show only in the pages that are read now. */
  *#loadingOrRebuilding(): Steps<void> {
    try {
      yield* this.#loading();
    } catch (error) {
      if (!isDamaged(error) && !isNonsense(error)) throw error;
      yield* this.rebuilding(error);
    }
  }

  *#loading(): Steps<void> {
    const clean = this.#index.clean;
    yield* loadingTree(this, clean ? 'clean' : 'unclean');
    if (clean) return;
    this.removed.clear();
    this.abandoned.clear();
    this.behind = true;
    recoverIntents(this);
    yield* this.#settling();
  }

  /** On a full disk people can still read what the index knows, and make room; so it is with a folder in disorder. */
  *scanning(folder: Folder): Steps<void> {
    try {
      yield* scanning(this, folder);
      this.unreadable.delete(folder.dir);
    } catch (error) {
      if (this.isUnreadable(folder.dir, error)) {
        folder.dirty = true;
        return;
      }
      if (!(error instanceof StoreError && error.kind === 'disk-full')) throw error;
      folder.dirty = true;
      this.log.warn(
        { err: error, mailbox: folder.path },
        'no room on the disk to note what changed in a folder',
      );
    }
  }

  #carryOut(steps: Steps<void>): void {
    carryOut(steps, () => this.now(), this.patience);
  }

  #makeMaildir(): void {
    if (exists(`${this.maildir}/cur`) && exists(`${this.maildir}/new`)) return;
    const above = this.directory.split('/').slice(0, -1).join('/');
    for (const name of ['tmp', 'new', 'cur'])
      mkdirSync(`${this.maildir}/${name}`, { recursive: true, mode: DIRECTORY_MODE });
    // Up to the data directory, where mail/ itself may be new.
    for (const path of [this.maildir, this.directory, above, `${above}/..`, `${above}/../..`])
      syncDirectory(path);
  }

  #furnish(folders: readonly DefaultFolder[]): void {
    const uses = new Map(folders.map(({ name, use }) => [parsePath(name), use]));
    const missing = [...uses].filter(([path]) => !this.byPath.has(path));
    makeFolders(
      this,
      missing.map(([path, use]) => ({ path, use })),
    );
    for (const path of ['INBOX', ...uses.keys()]) this.subscriptions.paths.add(path);
    this.saveSubscriptions();
  }

  /** undefined when the folder has them all. Throws 'limit'. */
  #keywordsWith(folder: Folder, flags: readonly string[]): Keywords | undefined {
    const wanted = newKeywords(flags, folder.keywords);
    if (wanted.length === 0) return undefined;
    const keywords = [...folder.keywords];
    for (const keyword of wanted) {
      let at = keywords.indexOf('');
      if (at < 0) at = this.#unusedKeyword(folder, keywords, wanted);
      if (at < 0)
        throw new StoreError('limit', `A mailbox cannot have more than ${MAX_KEYWORDS} keywords in use`);
      keywords[at] = keyword;
    }
    return keywords;
  }

  /** A letter that no message has, so that it can get a new meaning; -1 when there is none. */
  #unusedKeyword(folder: Folder, keywords: Keywords, keep: readonly string[]): number {
    const flags = this.#index
      .prepare<[number]>('SELECT DISTINCT flags FROM messages WHERE id BETWEEN ? AND ?')
      .all(folder.firstId, folder.lastId);
    const used = flags.reduce((all, [bits]) => all | bits, folder.promised);
    const letters = this.#index
      .prepare<[string | null]>('SELECT DISTINCT info FROM messages WHERE id BETWEEN ? AND ?')
      .all(folder.firstId, folder.lastId)
      .map(([info]) => info ?? '')
      .join('');
    return keywords.findIndex((keyword, at) => {
      const letter = String.fromCharCode(97 + at);
      return !keep.includes(keyword) && !(used & keywordBit(at)) && !letters.includes(letter);
    });
  }
}

function known(path: string): string {
  try {
    return parsePath(path);
  } catch (error) {
    throw new StoreError('not-found', 'There is no such mailbox', error);
  }
}
