import type { MaildirAccount } from './account.ts';
import { changedAt } from './disk.ts';
import type { Folder } from './folder.ts';

/**
 * What is remembered of a Maildir as the directory of its folders, so that a command costs what it changes and not what
 * there is: whether anybody else was there since, and which names have something below them. It hangs on INBOX, whose
 * directory the Maildir is; an account whose index was made anew has a new one.
 */

/** `treeTime` of an account whose tree is to be read at the next look, whatever the time of the Maildir says. */
export const UNKNOWN = 0;
/** And of one that is to be read again when doubt has waited for long enough. */
const DOUBTED = -1;
/** A change in the same tick of the file system's clock shows no other time, and a folder is made in several steps. */
const SETTLED = 1000;
/** A look that only doubt asks for may take this part of the time, and comes after this time at the latest (ms). */
const DOUBT_SHARE = 200;
const MAX_DOUBT = 1000;
/** Directories that may become folders; of more than so many each look reads the tree. */
const MAX_UNFINISHED = 64;

export class KnownTree {
  /** When the Maildir had changed last when all of it was known. */
  #time = 0;
  #nextDoubt = 0;
  /** How long doubt waits. */
  #patience = 0;
  /** Directories that were no folders yet when they were looked at. */
  #unfinished: readonly string[] = [];
  /** How many folders there are below each name that has some. */
  #below: Map<string, number> | null = null;
  /** 0 when nobody asked yet. */
  #highestUidValidity = 0;

  /** Nothing new has come since the tree was last read, as far as one look at the Maildir tells. */
  isKnown(account: MaildirAccount, isFolder: (directory: string) => boolean): boolean {
    return (
      account.treeTime === DOUBTED &&
      changedAt(account.maildir) === this.#time &&
      account.now() < this.#nextDoubt &&
      !this.#unfinished.some(isFolder)
    );
  }

  /**
   * After all directories were read.
   * @param time of the Maildir, before that
   * @param began when it was
   */
  noteRead(account: MaildirAccount, time: number, began: number, unfinished: readonly string[]): void {
    const now = account.now();
    const settled = began - time > SETTLED;
    this.#time = time;
    this.#unfinished = settled || unfinished.length > MAX_UNFINISHED ? [] : unfinished;
    this.#patience = Math.min((now - began) * DOUBT_SHARE, MAX_DOUBT);
    this.#nextDoubt = now + this.#patience;
    if (settled) account.treeTime = time;
    else account.treeTime = unfinished.length > MAX_UNFINISHED ? UNKNOWN : DOUBTED;
  }

  /** Our own change of names in the Maildir is no news, but somebody may have come in the same moment. */
  changing<T>(account: MaildirAccount, change: () => T): T {
    const settle = this.#expecting(account);
    try {
      return change();
    } finally {
      settle();
    }
  }

  *changingInSteps(account: MaildirAccount, change: Generator<null, void>): Generator<null, void> {
    const settle = this.#expecting(account);
    try {
      yield* change;
    } finally {
      settle();
    }
  }

  #expecting(account: MaildirAccount): () => void {
    const wasDoubted = account.treeTime === DOUBTED;
    if (changedAt(account.maildir) !== (wasDoubted ? this.#time : account.treeTime)) return () => {};
    return () => {
      this.#time = changedAt(account.maildir);
      account.treeTime = DOUBTED;
      if (!wasDoubted) this.#nextDoubt = account.now() + this.#patience;
    };
  }

  /** There is a folder below this name. */
  hasBelow(account: MaildirAccount, path: string): boolean {
    return this.#counts(account).has(path);
  }

  /** Names that exist only because something is below them. */
  *namesOnly(account: MaildirAccount): Generator<string> {
    for (const path of this.#counts(account).keys()) if (!account.byPath.has(path)) yield path;
  }

  /** No folder has a higher one. */
  highestUidValidity(account: MaildirAccount): number {
    if (this.#highestUidValidity === 0)
      for (const { uidValidity } of account.folders.values())
        this.#highestUidValidity = Math.max(this.#highestUidValidity, uidValidity);
    return this.#highestUidValidity;
  }

  /** A folder has this name from now on. */
  entered({ path, uidValidity }: Folder): void {
    if (this.#highestUidValidity > 0)
      this.#highestUidValidity = Math.max(this.#highestUidValidity, uidValidity);
    if (this.#below) for (const above of ancestors(path)) count(this.#below, above, 1);
  }

  /** And no more. */
  left({ path }: Folder): void {
    if (this.#below) for (const above of ancestors(path)) count(this.#below, above, -1);
  }

  /** The names were changed at large. */
  recount(): void {
    this.#below = null;
  }

  #counts(account: MaildirAccount): Map<string, number> {
    if (!this.#below) {
      this.#below = new Map();
      for (const path of account.byPath.keys())
        for (const above of ancestors(path)) count(this.#below, above, 1);
    }
    return this.#below;
  }
}

function count(counts: Map<string, number>, path: string, by: 1 | -1): void {
  const sum = (counts.get(path) ?? 0) + by;
  if (sum > 0) counts.set(path, sum);
  else counts.delete(path);
}

function* ancestors(path: string): Generator<string> {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) yield path.slice(0, at);
}
