import type { FSWatcher } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import { pathOf } from '../mailbox-path.ts';
import type { MailboxId } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { changedAt, exists } from './disk.ts';
import { parseBase, splitName } from './file-name.ts';
import { CUR, type Folder, NEW, type Place } from './folder.ts';
import { UNKNOWN } from './known-tree.ts';
import { rowOf } from './message-row.ts';
import type { Notifier } from './notifier.ts';

/**
 * The folders of one account that somebody listens to, and its tree, as the system tells of changes in them. Our own
 * changes are told too; they are recognised by the index agreeing with the file, and cost one look at it. Where the
 * system does not tell, `poll` finds changes by the times of the directories.
 */

/** Folders that the system watches for one account; beyond that they are polled. */
const MAX_WATCHED = 1000;
/** Changes come in bursts: wait this long (ms) for the rest. */
const QUIET = 40;
/** Names looked at one by one; after more than that reading the directories is cheaper. */
const MAX_NAMES = 64;
/** A folder appears before its new/ and cur/ do: looked at again after so long (ms), so often. */
const UNFINISHED = 200;
const MAX_AGAIN = 10;

/** File systems count in milliseconds or in whole seconds. */
const COARSE_TICK = 2000;
/** No time. */
const DOUBTFUL = -1;

interface Watched {
  /** new/ and cur/. */
  directories: readonly string[];
  times: readonly number[];
  watchers: readonly FSWatcher[];
  readonly names: Set<string>;
  waiting: boolean;
}

export interface WatchesOptions {
  /** Opens it when it is closed; waits for it when it is being read from disk. */
  readonly use: <T>(work: (account: MaildirAccount) => T) => T | Promise<T>;
  readonly maildir: string;
  readonly clock: Clock;
  readonly notifier: Notifier;
  /** Is called when somebody else changed something in a folder. */
  readonly look: (mailbox: MailboxId) => void;
  /** Is called when somebody else made, renamed or removed a folder. */
  readonly lookAtTree: () => void;
}

export class FolderWatches {
  readonly #options: WatchesOptions;
  readonly #watched = new Map<MailboxId, Watched>();
  readonly #closed = new AbortController();
  #treeWatcher: FSWatcher | undefined;
  #treeTime: number;
  readonly #treeNames = new Set<string>();
  #treeWaiting = false;

  constructor(options: WatchesOptions) {
    this.#options = options;
    const { maildir, notifier } = options;
    this.#treeTime = changedAt(maildir);
    this.#treeWatcher = notifier.watch(
      maildir,
      (name) => {
        // Folders; what else lies there is ours.
        if (name !== null && !/^\.[^.]/.test(name)) return;
        if (this.#treeNames.size <= MAX_NAMES) this.#treeNames.add(name ?? '');
        void this.#settleTree();
      },
      () => {
        this.#treeWatcher?.close();
        this.#treeWatcher = undefined;
      },
    );
  }

  /** From now on; what happened before nobody was told, so a look must follow. */
  add(account: MaildirAccount, folder: Folder): void {
    const { mailbox } = folder;
    if (this.#watched.has(mailbox)) return;
    const directories = directoriesOf(account, folder);
    const times = directories.map(changedAt);
    const entry: Watched = { directories, times, watchers: [], names: new Set(), waiting: false };
    this.#watched.set(mailbox, entry);
    if (this.#watched.size > MAX_WATCHED) return;
    const watchers: FSWatcher[] = [];
    for (const place of [NEW, CUR] as const) {
      const watcher = this.#options.notifier.watch(
        account.placeOf(folder, place),
        (name) => {
          if (entry.names.size <= MAX_NAMES) entry.names.add(`${place}${name ?? ''}`);
          void this.#settle(mailbox, entry);
        },
        () => untell(entry),
      );
      if (watcher) watchers.push(watcher);
    }
    entry.watchers = watchers;
    // Half a folder is no help.
    if (watchers.length < 2) untell(entry);
  }

  drop(mailbox: MailboxId): void {
    const entry = this.#watched.get(mailbox);
    this.#watched.delete(mailbox);
    if (entry) untell(entry);
  }

  /** The system tells us of changes in this folder. */
  tells(mailbox: MailboxId): boolean {
    return (this.#watched.get(mailbox)?.watchers.length ?? 0) > 0;
  }

  /** Somebody listens, but the system tells nothing. */
  isPolled(mailbox: MailboxId): boolean {
    return this.#watched.has(mailbox) && !this.tells(mailbox);
  }

  /** It may have another name since. */
  moved(account: MaildirAccount, folder: Folder): void {
    const entry = this.#watched.get(folder.mailbox);
    if (entry) entry.directories = directoriesOf(account, folder);
  }

  /** What has changed since the last time; the account may be closed, and stays so when nothing has. */
  poll(): void {
    const now = this.#options.clock.now().getTime();
    const treeTime = changedAt(this.#options.maildir);
    if (treeTime !== this.#treeTime) {
      this.#treeTime = now - treeTime > COARSE_TICK ? treeTime : DOUBTFUL;
      this.#options.lookAtTree();
    }
    for (const [mailbox, entry] of this.#watched) {
      const times = entry.directories.map(changedAt);
      if (times.every((time, at) => time === entry.times[at])) continue;
      // What comes in the same tick of the file system's clock shows no other time: look once more after it.
      entry.times = now - Math.max(...times) > COARSE_TICK ? times : [DOUBTFUL, DOUBTFUL];
      this.#options.look(mailbox);
    }
  }

  close(): void {
    this.#closed.abort();
    this.#treeWatcher?.close();
    for (const mailbox of [...this.#watched.keys()]) this.drop(mailbox);
  }

  async #settle(mailbox: MailboxId, entry: Watched): Promise<void> {
    if (entry.waiting) return;
    entry.waiting = true;
    if (!(await this.#quiet(QUIET))) return;
    entry.waiting = false;
    const names = [...entry.names];
    entry.names.clear();
    if (this.#watched.get(mailbox) !== entry) return;
    try {
      const found = await this.#options.use((account) => {
        const folder = account.folders.get(mailbox);
        if (!folder) return 'nothing';
        if (names.length <= MAX_NAMES && !names.some((name) => isNews(account, folder, name)))
          return 'nothing';
        folder.dirty = true;
        return 'news';
      });
      if (found === 'nothing') return;
    } catch {
      // Looking at the folder finds out why, and tells it.
    }
    this.#options.look(mailbox);
  }

  async #settleTree(): Promise<void> {
    if (this.#treeWaiting) return;
    this.#treeWaiting = true;
    if (!(await this.#quiet(QUIET))) return;
    for (let again = 0; this.#treeNames.size > 0; again++) {
      const names = [...this.#treeNames];
      this.#treeNames.clear();
      const { maildir, use, lookAtTree } = this.#options;
      const isFinished = (name: string): boolean =>
        !exists(`${maildir}/${name}`) || exists(`${maildir}/${name}/cur`);
      try {
        const isNews = await use((account) => {
          if (!names.some((name) => name !== '' && isFolderNews(account, name))) return false;
          // What came in the moment of a change of our own shows no other time.
          account.treeTime = UNKNOWN;
          return true;
        });
        if (isNews || names.length > MAX_NAMES || names.includes('')) lookAtTree();
      } catch {
        lookAtTree();
      }
      if (again >= MAX_AGAIN) break;
      for (const name of names) if (!isFinished(name)) this.#treeNames.add(name);
      if (this.#treeNames.size > 0 && !(await this.#quiet(UNFINISHED))) return;
    }
    this.#treeWaiting = false;
  }

  async #quiet(ms: number): Promise<boolean> {
    try {
      await this.#options.clock.sleep(ms, this.#closed.signal);
      return true;
    } catch {
      return false;
    }
  }
}

function untell(entry: Watched): void {
  for (const watcher of entry.watchers) watcher.close();
  entry.watchers = [];
}

function directoriesOf(account: MaildirAccount, folder: Folder): string[] {
  return [account.placeOf(folder, NEW), account.placeOf(folder, CUR)];
}

/** @param event the place's number and the name */
function isNews(account: MaildirAccount, folder: Folder, event: string): boolean {
  const place: Place = event.startsWith('0') ? NEW : CUR;
  const name = event.slice(1);
  if (name === '') return true;
  if (name.startsWith('.')) return false;
  const { base } = splitName(name);
  const { uid } = parseBase(base);
  const row = uid?.validity === folder.uidValidity ? rowOf(account.index, folder, uid.uid) : undefined;
  if (row?.base === base) return !exists(account.fileOf(folder, row));
  return exists(`${account.placeOf(folder, place)}/${name}`);
}

/** @param name of a directory in the Maildir */
function isFolderNews(account: MaildirAccount, name: string): boolean {
  const path = pathOf(name);
  if (path === undefined) return false;
  const known = account.byPath.get(path)?.dir === name;
  return known !== exists(`${account.maildir}/${name}/cur`);
}
