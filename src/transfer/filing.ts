import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { DIRECTORY_MODE, FILE_MODE, syncDirectory } from '../store/maildir/disk.ts';
import type { EmailId, Flag, MailboxId, Uid } from '../store/store.ts';
import type { FilingAccount, Place } from './account.ts';
import { TransferError } from './errors.ts';

/**
 * Mail that is there already is put where it belongs, so that it can be put back. What is going to be done is written down
 * and synced before it is done, by the ids that messages keep wherever they go (RFC 8474): whatever part of it took place,
 * `undo` finds it. One file a filing, `<time>.jsonl`; `.undone` when it has been taken back.
 */

/** What is to be done with one message. */
export interface Wish {
  readonly uid: Uid;
  readonly emailId: EmailId;
  /** The mailbox it goes to; null: it stays. */
  readonly moveTo: string | null;
  readonly copyTo: readonly string[];
  /** That it gets, and has not. */
  readonly flags: readonly Flag[];
}

export interface Filed {
  readonly moved: number;
  readonly copied: number;
  readonly flagged: number;
  /** Mailboxes that were made. */
  readonly made: readonly string[];
}

export interface Undone {
  readonly moved: number;
  readonly expunged: number;
  readonly unflagged: number;
  readonly deleted: readonly string[];
  /** Messages that are not any more where they were put. */
  readonly missing: number;
}

interface Group {
  readonly uids: readonly Uid[];
  readonly emailIds: readonly EmailId[];
}

/** One line; numbers above `after` are of messages that came with it, or later. */
type Step =
  | { readonly step: 'make'; readonly path: string }
  | ({
      readonly step: 'flag';
      readonly mailbox: MailboxId;
      readonly after: number;
      readonly flags: readonly Flag[];
    } & Group)
  | ({
      readonly step: 'copy' | 'move';
      readonly from: MailboxId;
      readonly to: MailboxId;
      readonly after: number;
    } & Group);

/** Messages in a step. */
const BATCH = 500;
const OPEN = '.jsonl';
const UNDONE = '.undone';

/** What has to be done in one mailbox, as wishes come in; nothing is done before `carryOut`. */
export class Filing {
  readonly #account: FilingAccount;
  readonly #directory: string;
  readonly #wishes = new Map<Place, Wish[]>();

  /** @param directory for the journal; made when there is something to write */
  constructor(account: FilingAccount, directory: string) {
    this.#account = account;
    this.#directory = directory;
  }

  add(from: Place, wish: Wish): void {
    const wishes = this.#wishes.get(from) ?? [];
    wishes.push(wish);
    this.#wishes.set(from, wishes);
  }

  /** @param name of the journal; sorts by time. Throws StoreError: what is done so far can be undone. */
  async carryOut(name: string, onProgress: (done: number) => void): Promise<Filed> {
    if (this.#wishes.size === 0) return { moved: 0, copied: 0, flagged: 0, made: [] };
    const journal = new Journal(this.#directory, name);
    try {
      const made = await this.#make(journal);
      const places = new Map((await this.#account.mailboxes()).map((place) => [place.path, place]));
      let [moved, copied, flagged, done] = [0, 0, 0, 0];
      for (const [from, wishes] of this.#wishes) {
        for (const { key: flags, group } of grouped(wishes, ({ flags: each }) => each.join(' '))) {
          const after = await lastUid(this.#account, from.id);
          journal.write({ step: 'flag', mailbox: from.id, after, flags: flags.split(' '), ...group });
          await this.#account.setFlags(from.id, group.uids, { mode: 'add', flags: flags.split(' ') });
          flagged += group.uids.length;
        }
        const targets = new Set(wishes.flatMap(({ copyTo }) => copyTo));
        for (const path of targets) {
          const copies = wishes.filter(({ copyTo }) => copyTo.includes(path));
          for (const { group } of grouped(copies, () => path))
            copied += await this.#step(journal, 'copy', from, places.get(path), group);
        }
        for (const { key: path, group } of grouped(wishes, ({ moveTo }) => moveTo ?? '')) {
          moved += await this.#step(journal, 'move', from, places.get(path), group);
          done += group.uids.length;
          onProgress(done);
        }
      }
      return { moved, copied, flagged, made };
    } finally {
      journal.close();
    }
  }

  async #make(journal: Journal): Promise<readonly string[]> {
    const known = new Set(
      (await this.#account.mailboxes()).filter((place) => place.selectable).map(({ path }) => path),
    );
    const wanted = [...this.#wishes.values()]
      .flat()
      .flatMap(({ moveTo, copyTo }) => [...(moveTo === null ? [] : [moveTo]), ...copyTo]);
    // Parents are made with them, and before them.
    const missing = [...new Set(wanted.flatMap(withParents))].filter((path) => !known.has(path));
    for (const path of missing) {
      journal.write({ step: 'make', path });
      await this.#account.create(path, null);
      await this.#account.subscribe(path);
    }
    return missing;
  }

  async #step(
    journal: Journal,
    step: 'copy' | 'move',
    from: Place,
    to: Place | undefined,
    group: Group,
  ): Promise<number> {
    if (!to) return 0;
    const after = await lastUid(this.#account, to.id);
    journal.write({ step, from: from.id, to: to.id, after, ...group });
    return (await this.#account[step](from.id, group.uids, to.id)).length;
  }
}

/** Takes the last filing back that has not been. Throws TransferError when there is none. */
export async function undoFiling(account: FilingAccount, directory: string): Promise<Undone> {
  const name = filings(directory).at(-1);
  if (name === undefined) throw new TransferError('there is nothing to undo');
  const path = join(directory, name);
  const undo = new Undo(account);
  for (const step of readSteps(path).reverse()) await undo.take(step);
  renameSync(path, path.slice(0, -OPEN.length) + UNDONE);
  syncDirectory(directory);
  return undo;
}

class Undo implements Undone {
  moved = 0;
  expunged = 0;
  unflagged = 0;
  missing = 0;
  readonly deleted: string[] = [];
  readonly #account: FilingAccount;

  constructor(account: FilingAccount) {
    this.#account = account;
  }

  async take(step: Step): Promise<void> {
    switch (step.step) {
      case 'make':
        return this.#delete(step.path);
      case 'flag': {
        const uids = await this.#find(
          step.mailbox,
          step,
          ({ uid }) => uid > step.after || step.uids.includes(uid),
        );
        await this.#account.setFlags(step.mailbox, uids, { mode: 'remove', flags: step.flags });
        this.unflagged += uids.length;
        return;
      }
      case 'copy': {
        const uids = await this.#find(step.to, step, ({ uid }) => uid > step.after);
        this.expunged += (await this.#account.expunge(step.to, uids)).length;
        return;
      }
      case 'move': {
        const uids = await this.#find(step.to, step, ({ uid }) => uid > step.after);
        this.moved += (await this.#account.move(step.to, uids, step.from)).length;
        // Those that never went are where they were.
        const stayed = await this.#find(step.from, step, () => true);
        this.missing += Math.max(0, step.uids.length - stayed.length);
      }
    }
  }

  async #find(
    mailbox: MailboxId,
    { emailIds }: Group,
    matches: (message: { readonly uid: Uid }) => boolean,
  ): Promise<Uid[]> {
    const wanted = new Set(emailIds);
    const last = await lastUid(this.#account, mailbox);
    const found: Uid[] = [];
    for (let first = 1; first <= last; first += 10 * BATCH)
      for (const message of await this.#account.messages(mailbox, first, first + 10 * BATCH - 1))
        if (wanted.has(message.emailId) && matches(message)) found.push(message.uid);
    return found;
  }

  async #delete(path: string): Promise<void> {
    const place = (await this.#account.mailboxes()).find((each) => each.path === path);
    if (!place || place.total > 0) return;
    await this.#account.remove(place.id, path);
    this.deleted.push(path);
  }
}

class Journal {
  readonly #directory: string;
  readonly #name: string;
  #fd: number | undefined;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /** Durable when it returns. */
  write(step: Step): void {
    if (this.#fd === undefined) {
      mkdirSync(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
      this.#fd = openSync(join(this.#directory, this.#name + OPEN), 'ax', FILE_MODE);
      syncDirectory(this.#directory);
    }
    writeSync(this.#fd, `${JSON.stringify(step)}\n`);
    fdatasyncSync(this.#fd);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

function filings(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(OPEN))
      .sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** A last line that a crash has cut was not acted upon. */
function readSteps(path: string): Step[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Step);
}

function withParents(path: string): string[] {
  const levels = path.split('/');
  return levels.map((_, i) => levels.slice(0, i + 1).join('/'));
}

/** Wishes of one kind together, not too many; what has the empty key is left out. */
function* grouped(
  wishes: readonly Wish[],
  keyOf: (wish: Wish) => string,
): Generator<{ readonly key: string; readonly group: Group }> {
  const groups = new Map<string, Wish[]>();
  for (const wish of wishes) {
    const key = keyOf(wish);
    if (key === '') continue;
    const group = groups.get(key) ?? [];
    group.push(wish);
    groups.set(key, group);
  }
  for (const [key, all] of groups)
    for (let at = 0; at < all.length; at += BATCH) {
      const part = all.slice(at, at + BATCH);
      yield {
        key,
        group: { uids: part.map(({ uid }) => uid), emailIds: part.map(({ emailId }) => emailId) },
      };
    }
}

async function lastUid(account: FilingAccount, mailbox: MailboxId): Promise<number> {
  const uids = await account.uids(mailbox);
  return uids[uids.length - 1] ?? 0;
}
