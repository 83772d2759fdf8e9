import { type FSWatcher, watch } from 'node:fs';
import type { Clock } from '../../lib/clock.ts';
import type { MaildirAccount } from './account.ts';
import { exists } from './disk.ts';
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
  readonly watchers: readonly FSWatcher[];
  readonly names: Set<string>;
  waiting: boolean;
}

export class FolderWatches {
  readonly #account: () => MaildirAccount | undefined;
  readonly #clock: Clock;
  readonly #look: (folder: Folder) => void;
  readonly #watched = new Map<string, Watched>();
  readonly #closed = new AbortController();

  /**
   * @param account undefined while it is closed
   * @param look is called when somebody else changed something
   */
  constructor(account: () => MaildirAccount | undefined, clock: Clock, look: (folder: Folder) => void) {
    this.#account = account;
    this.#clock = clock;
    this.#look = look;
  }

  /** `told` from now on; `untold` where the system cannot, and at the very first time, when nothing was told yet. */
  add(account: MaildirAccount, folder: Folder): 'told' | 'untold' {
    const known = this.#watched.get(folder.mailbox);
    if (known) {
      this.#watched.delete(folder.mailbox);
      this.#watched.set(folder.mailbox, known);
      return 'told';
    }
    const names = new Set<string>();
    const watchers: FSWatcher[] = [];
    const entry: Watched = { watchers, names, waiting: false };
    try {
      for (const place of [NEW, CUR] as const) {
        const watcher = watch(account.placeOf(folder, place), (_event, name) => {
          if (names.size <= MAX_NAMES) names.add(`${place}${name ?? ''}`);
          void this.#settle(folder, entry);
        });
        watcher.on('error', () => this.#drop(folder.mailbox));
        watchers.push(watcher);
      }
    } catch (error) {
      // No more watches, or a file system without them: the poll has to do.
      for (const watcher of watchers) watcher.close();
      account.log.debug({ err: error, mailbox: folder.path }, 'folder cannot be watched');
      return 'untold';
    }
    this.#watched.set(folder.mailbox, entry);
    const [oldest] = this.#watched.keys();
    if (this.#watched.size > MAX_WATCHED && oldest !== undefined) this.#drop(oldest);
    return 'untold';
  }

  has(folder: Folder): boolean {
    return this.#watched.has(folder.mailbox);
  }

  close(): void {
    this.#closed.abort();
    for (const mailbox of [...this.#watched.keys()]) this.#drop(mailbox);
  }

  #drop(mailbox: string): void {
    for (const watcher of this.#watched.get(mailbox)?.watchers ?? []) watcher.close();
    this.#watched.delete(mailbox);
  }

  async #settle(folder: Folder, entry: Watched): Promise<void> {
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
    const account = this.#account();
    const current = account?.folders.get(folder.mailbox);
    if (!account || !current) return;
    if (names.length <= MAX_NAMES && !names.some((name) => isNews(account, current, name))) return;
    current.dirty = true;
    this.#look(current);
  }
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
