import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import type { MailboxId } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { changedAt, exists } from './disk.ts';
import { parseBase, splitName } from './file-name.ts';
import { CUR, type Folder, NEW, type Place } from './folder.ts';
import { rowOf } from './message-row.ts';

/**
 * The folders that sessions of one account look at, as the system tells of changes in them. Our own changes are told
 * too; they are recognised by the index agreeing with the file, and cost one look at it.
 */

/** Folders watched at once; the one asked for longest ago gives way. */
const MAX_WATCHED = 32;
/** Changes come in bursts: wait this long (ms) for the rest. */
const QUIET = 40;
/** Names looked at one by one; after more than that reading the directories is cheaper. */
const MAX_NAMES = 64;

interface Watched {
  /** new/ and cur/. */
  directories: readonly string[];
  times: readonly number[];
  readonly watchers: readonly FSWatcher[];
  readonly names: Set<string>;
  waiting: boolean;
}

export class FolderWatches {
  readonly #account: () => MaildirAccount;
  readonly #clock: Clock;
  readonly #look: (mailbox: MailboxId) => void;
  readonly #watched = new Map<MailboxId, Watched>();
  readonly #closed = new AbortController();

  /**
   * @param account opens it when it is closed
   * @param look is called when somebody else changed something
   */
  constructor(account: () => MaildirAccount, clock: Clock, look: (mailbox: MailboxId) => void) {
    this.#account = account;
    this.#clock = clock;
    this.#look = look;
  }

  /** `told` from now on; `untold` where the system cannot, and at the very first time, when nothing was told yet. */
  add(account: MaildirAccount, folder: Folder): 'told' | 'untold' {
    const known = this.#watched.get(folder.mailbox);
    if (known && known.watchers.length === 0) return 'untold';
    if (known) {
      this.#watched.delete(folder.mailbox);
      this.#watched.set(folder.mailbox, known);
      known.directories = directoriesOf(account, folder);
      return 'told';
    }
    const names = new Set<string>();
    const watchers: FSWatcher[] = [];
    const directories = directoriesOf(account, folder);
    const times = directories.map(changedAt);
    const entry: Watched = { directories, times, watchers, names, waiting: false };
    const { mailbox } = folder;
    try {
      for (const place of [NEW, CUR] as const) {
        const watcher = watch(account.placeOf(folder, place), (_event, name) => {
          if (names.size <= MAX_NAMES) names.add(`${place}${name ?? ''}`);
          void this.#settle(mailbox, entry);
        });
        watcher.on('error', () => this.#drop(mailbox));
        watchers.push(watcher);
      }
    } catch (error) {
      // No more watches, or a file system without them: the poll has to do.
      for (const watcher of watchers.splice(0)) watcher.close();
      account.log.debug({ err: error, mailbox: folder.path }, 'folder cannot be watched');
    }
    this.#watched.set(mailbox, entry);
    const [oldest] = this.#watched.keys();
    if (this.#watched.size > MAX_WATCHED && oldest !== undefined) this.#drop(oldest);
    return 'untold';
  }

  /** The system tells us of changes in this folder. */
  tells(folder: Folder): boolean {
    return (this.#watched.get(folder.mailbox)?.watchers.length ?? 0) > 0;
  }

  /** Folders that have changed since the last time; the account may be closed, and stays so when none has. */
  poll(): void {
    for (const [mailbox, entry] of this.#watched) {
      const times = entry.directories.map(changedAt);
      if (times.every((time, at) => time === entry.times[at])) continue;
      entry.times = times;
      this.#look(mailbox);
    }
  }

  close(): void {
    this.#closed.abort();
    for (const mailbox of [...this.#watched.keys()]) this.#drop(mailbox);
  }

  #drop(mailbox: MailboxId): void {
    for (const watcher of this.#watched.get(mailbox)?.watchers ?? []) watcher.close();
    this.#watched.delete(mailbox);
  }

  async #settle(mailbox: MailboxId, entry: Watched): Promise<void> {
    if (entry.waiting) return;
    entry.waiting = true;
    try {
      await this.#clock.sleep(QUIET, this.#closed.signal);
    } catch {
      return;
    }
    entry.waiting = false;
    const names = [...entry.names];
    entry.names.clear();
    try {
      const account = this.#account();
      const folder = account.folders.get(mailbox);
      if (!folder) return;
      if (names.length <= MAX_NAMES && !names.some((name) => isNews(account, folder, name))) return;
      folder.dirty = true;
    } catch {
      // The index is damaged: looking at the folder finds that out, and heals it.
    }
    this.#look(mailbox);
  }
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
