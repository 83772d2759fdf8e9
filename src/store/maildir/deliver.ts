import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  openSync,
  readSync,
  renameSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { type FileRange, type Piece, pieceSize } from '../../lib/pieces.ts';
import { pack } from '../packed-messages.ts';
import type { Limits, Usage } from '../quota.ts';
import { type Flag, type MailboxId, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { FILE_MODE, linkIntoPlace, refusesLinks, toStoreError, unlinkIfThere, writeAll } from './disk.ts';
import { removeRows } from './expunge.ts';
import { composeBase, emailBits } from './file-name.ts';
import { bitsOf, infoOf, SEEN } from './flags.ts';
import { CUR, type Folder, NEW } from './folder.ts';
import { isDamaged, SPAN } from './index.ts';
import { insertRow, type MessageRow, rowOf } from './message-row.ts';

/**
 * New messages, many at once, into one account or several. All are written, then all synced, then all renamed into
 * place, then each directory synced once, then one index transaction an account. A message is answered for only when
 * its file and its name are on the disk; the index may lose it again, the tree may not.
 */

export interface Arrival {
  readonly account: MaildirAccount;
  /** A path for deliveries, an id for APPEND. */
  readonly into: { readonly path: string } | { readonly mailbox: MailboxId };
  /** Delivered once under this key, whatever happens. */
  readonly key?: string;
  readonly flags: readonly Flag[];
  readonly internalDate: number;
  readonly content: readonly Piece[];
  /** The account's; null is no limit. */
  readonly quota: Limits | null;
  /** Neither the account's nor the folder's. */
  readonly limits?: 'ignored';
}

export type Arrived =
  | { readonly folder: Folder; readonly row: MessageRow }
  /** It was delivered before. */
  | { readonly mailbox: MailboxId; readonly uid: number }
  | { readonly error: unknown };

interface Plan {
  readonly arrival: Arrival;
  readonly folder: Folder;
  readonly row: MessageRow;
  readonly temporary: string;
  /** The torn message of this key, when a power cut left one. */
  readonly replaces: { readonly folder: Folder; readonly row: MessageRow } | null;
}

/** How much of a file is in memory while it is copied. */
const CHUNK = 256 * 1024;

/** Of a file its bytes, of a directory its names: what a power cut may not take any more. */
export interface Unsynced {
  readonly fd: number;
  readonly holds: 'bytes' | 'names';
}

/** How syncs went: undefined, or the error, one for each. */
export type Outcomes = readonly unknown[];

/** All of it at once, while the thread waits for the disk. */
export function deliverAll(arrivals: readonly Arrival[]): Arrived[] {
  const steps = delivering(arrivals);
  for (let step = steps.next(); ; ) {
    if (step.done) return step.value;
    step = steps.next(step.value.map(sync));
  }
}

/**
 * The same in steps: twice it asks for syncs, which may go on at the same time. Until it has come to its end nobody else
 * may use these accounts.
 */
export function* delivering(
  arrivals: readonly Arrival[],
): Generator<readonly Unsynced[], Arrived[], Outcomes> {
  const answers: (Arrived | undefined)[] = arrivals.map(() => undefined);
  const plans = new Map<number, Plan>();
  const inBatch = new Map<string, number>();
  /** What this batch adds to an account, and to a folder. */
  const planned = new Map<MaildirAccount | Folder, Usage>();
  const twins: [index: number, first: number][] = [];

  const attempt = (at: number, work: () => void): void => {
    try {
      work();
    } catch (error) {
      const plan = plans.get(at);
      plans.delete(at);
      if (plan) discard(plan.temporary);
      answers[at] = { error: toStoreError(error) };
    }
  };

  arrivals.forEach((arrival, at) => {
    attempt(at, () => {
      const name = arrival.key && `${arrival.account.id}\n${arrival.key}`;
      const first = name ? inBatch.get(name) : undefined;
      if (first !== undefined) {
        twins.push([at, first]);
        return;
      }
      const plan = makePlan(arrival, planned);
      if ('uid' in plan) {
        answers[at] = plan;
        return;
      }
      if (name) inBatch.set(name, at);
      for (const whole of [arrival.account, plan.folder])
        planned.set(whole, sum(planned.get(whole), { bytes: plan.row.size, messages: 1 }));
      plans.set(at, plan);
    });
  });

  const promised = foldersOf(plans);
  const reader = new RangeReader();
  const together = plans.size > 1;
  const files = new Map<number, number>();
  try {
    for (const [at, plan] of plans) attempt(at, () => files.set(at, writeFile(plan, reader, together)));
    reader.close();
    const unsynced = yield* synced(files, 'bytes');
    for (const [at, error] of unsynced)
      attempt(at, () => {
        throw error;
      });
  } finally {
    for (const fd of files.values()) closeSync(fd);
  }
  const folders = foldersOf(plans);
  for (const { account, folder } of folders) account.touching(folder);
  for (const [at, plan] of plans) attempt(at, () => putInPlace(plan));
  for (const { account, folder } of folders) account.touched(folder);
  const unnamed = yield* syncPlaces(plans);
  for (const [at, plan] of plans) {
    const error = unnamed.get(placeOf(plan));
    if (error !== undefined) {
      // It may be there or not: the next look at the directory tells, and the queue asks again.
      plan.folder.dirty = true;
      plan.arrival.account.suspect = true;
      plans.delete(at);
      answers[at] = { error };
    }
  }
  commit(plans, answers);
  for (const { folder } of promised) folder.promised = 0;
  for (const [at, first] of twins) answers[at] = answers[first];
  return answers.map((answer) => answer ?? { error: new Error('a delivery without an outcome') });
}

function makePlan(
  arrival: Arrival,
  planned: ReadonlyMap<MaildirAccount | Folder, Usage>,
): Plan | { readonly mailbox: MailboxId; readonly uid: number } {
  const { account, key, into } = arrival;
  let replaces: Plan['replaces'] = null;
  if (key !== undefined) {
    if (account.suspect) account.settle();
    // Its file may be in place already, found only when the index can be written: not a second one beside it.
    if (account.suspect) throw new StoreError('disk-full', 'There is no room for the mail index');
    const delivered = account.index
      .prepare<[id: number, torn: number]>('SELECT id, torn FROM deliveries WHERE key = ?')
      .get(key);
    if (delivered && !delivered[1]) return before(account, delivered[0]);
    if (delivered) replaces = tornMessage(account, delivered[0]);
  }
  const folder = 'path' in into ? account.folderAt(into.path) : account.folder(into.mailbox);
  const size = arrival.content.reduce((total, piece) => total + pieceSize(piece), 0);
  if (arrival.limits !== 'ignored')
    account.rules.admit(
      key === undefined ? 'append' : 'delivery',
      { bytes: size, messages: 1 },
      sum(planned.get(account), account.usage),
      arrival.quota,
      { path: folder.path, use: folder.use, held: sum(planned.get(folder), folder.held) },
    );
  account.reserve(folder, { uids: 1, flags: arrival.flags });
  const uid = folder.uidNext++;
  const flags = bitsOf(arrival.flags, folder.keywords);
  folder.promised |= flags;
  const now = account.now();
  const unique = account.names.next(now, key);
  const email = emailBits(unique);
  const place = flags === 0 ? NEW : CUR;
  const base = composeBase(unique, {
    size,
    crlfSize: size,
    validity: folder.uidValidity,
    uid,
    email: null,
  });
  const row: MessageRow = {
    id: folder.id(uid),
    uid,
    flags,
    modSeq: 0,
    internalDate: arrival.internalDate,
    savedDate: now,
    size,
    emailHigh: email.high,
    emailLow: email.low,
    place,
    lf: 0,
    info: place === CUR ? infoOf(flags, folder.keywords, null) : null,
    base,
  };
  const temporary = `${account.directoryOf(folder)}/tmp/${base}`;
  return { arrival, folder, row, temporary, replaces };
}

function sum(one: Usage | undefined, other: Usage): Usage {
  if (!one) return other;
  return { bytes: one.bytes + other.bytes, messages: one.messages + other.messages };
}

/** Where an earlier delivery went; its folder may be gone since. */
function before(account: MaildirAccount, id: number): { readonly mailbox: MailboxId; readonly uid: number } {
  const folder = account.folderOfRow(id);
  return { mailbox: (folder ?? account.inbox).mailbox, uid: id % SPAN };
}

/** Returns a descriptor of it, still to be synced. */
function writeFile(plan: Plan, reader: RangeReader, together: boolean): number {
  const { content, internalDate } = plan.arrival;
  const seconds = internalDate / 1000;
  if (linkWhole(content, plan.temporary)) {
    utimesSync(plan.temporary, seconds, seconds);
    return openSync(plan.temporary, 'r');
  }
  const fd = openSync(plan.temporary, 'wx', FILE_MODE);
  try {
    // ext4 gives a truncated file its blocks when it is closed: then one commit of its journal, at the first of the
    // syncs that follow, carries the whole batch instead of one message (three times the throughput).
    if (together) ftruncateSync(fd, 0);
    for (const piece of content) {
      if (piece instanceof Uint8Array) writeAll(fd, piece);
      else reader.copy(piece, fd);
    }
    futimesSync(fd, seconds, seconds);
    if (!together) return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  closeSync(fd);
  return openSync(plan.temporary, 'r');
}

/** One piece that is a whole file needs no second copy of its bytes. */
function linkWhole(content: readonly Piece[], target: string): boolean {
  const [piece] = content;
  if (content.length !== 1 || !piece || piece instanceof Uint8Array || piece.start !== 0) return false;
  const stats = statSync(piece.path);
  if (!stats.isFile() || stats.size !== piece.end || stats.size === 0) return false;
  try {
    linkSync(piece.path, target);
    return true;
  } catch (error) {
    if (refusesLinks(error)) return false;
    throw error;
  }
}

/** Asks for syncs; what failed, with its error. */
function* synced<K>(
  open: ReadonlyMap<K, number>,
  holds: Unsynced['holds'],
): Generator<readonly Unsynced[], ReadonlyMap<K, unknown>, Outcomes> {
  const failed = new Map<K, unknown>();
  if (open.size === 0) return failed;
  const outcomes = yield [...open.values()].map((fd) => ({ fd, holds }));
  let at = 0;
  for (const key of open.keys()) {
    const error = outcomes[at++];
    if (error !== undefined) failed.set(key, error);
  }
  return failed;
}

/** The directories that new names are in. */
function* syncPlaces(
  plans: ReadonlyMap<number, Plan>,
): Generator<readonly Unsynced[], ReadonlyMap<string, unknown>, Outcomes> {
  const failed = new Map<string, unknown>();
  const open = new Map<string, number>();
  try {
    for (const place of new Set([...plans.values()].map(placeOf))) {
      try {
        open.set(place, openSync(place, 'r'));
      } catch (error) {
        failed.set(place, error);
      }
    }
    const unsynced = yield* synced(open, 'names');
    for (const [place, error] of unsynced) failed.set(place, error);
  } finally {
    for (const fd of open.values()) closeSync(fd);
  }
  return failed;
}

function placeOf({ arrival, folder, row }: Plan): string {
  return arrival.account.placeOf(folder, row.place);
}

function sync({ fd, holds }: Unsynced): unknown {
  try {
    if (holds === 'bytes') fdatasyncSync(fd);
    else fsyncSync(fd);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** The same for all of them at once, in libuv's threads. */
export function syncTogether(unsynced: readonly Unsynced[]): Promise<Outcomes> {
  const one = ({ fd, holds }: Unsynced): Promise<unknown> =>
    new Promise((resolve) => {
      const done = (error: unknown): void => resolve(error ?? undefined);
      if (holds === 'bytes') fdatasync(fd, done);
      else fsync(fd, done);
    });
  return Promise.all(unsynced.map(one));
}

/** Where nothing can be removed either, housekeeping does it one day: others of the batch must not suffer from it. */
function discard(temporary: string): void {
  try {
    unlinkIfThere(temporary);
  } catch {
    // The error that led here is the one to tell.
  }
}

function putInPlace(plan: Plan): void {
  const { account } = plan.arrival;
  const place = account.fileOf(plan.folder, plan.row);
  if (account.delivery === 'link') linkIntoPlace(plan.temporary, place);
  else renameSync(plan.temporary, place);
}

function foldersOf(plans: ReadonlyMap<number, Plan>): { account: MaildirAccount; folder: Folder }[] {
  const found = new Map<Folder, MaildirAccount>();
  for (const { arrival, folder } of plans.values()) found.set(folder, arrival.account);
  return [...found].map(([folder, account]) => ({ account, folder }));
}

function commit(plans: ReadonlyMap<number, Plan>, answers: (Arrived | undefined)[]): void {
  const byAccount = new Map<MaildirAccount, [number, Plan][]>();
  for (const [at, plan] of plans) {
    const list = byAccount.get(plan.arrival.account);
    if (list) list.push([at, plan]);
    else byAccount.set(plan.arrival.account, [[at, plan]]);
  }
  for (const [account, list] of byAccount) {
    try {
      const rows = insert(
        account,
        list.map(([, plan]) => plan),
      );
      list.forEach(([at, { folder }], index) => {
        const row = rows[index];
        if (row) answers[at] = { folder, row };
      });
    } catch (error) {
      // The files are in place: whoever looks next finds them under their UIDs and keys.
      for (const [, { folder }] of list) folder.dirty = true;
      account.suspect = true;
      if (!isDamaged(error)) {
        for (const [at] of list) answers[at] = { error };
        continue;
      }
      account.rebuild(error);
      for (const [at, plan] of list) {
        const folder = account.folders.get(plan.folder.mailbox);
        const row = folder && rowOf(account.index, folder, plan.row.uid);
        answers[at] = folder && row ? { folder, row } : { error };
      }
    }
  }
}

function insert(account: MaildirAccount, plans: readonly Plan[]): MessageRow[] {
  const { index } = account;
  const folders = [...new Set(plans.map(({ folder }) => folder))];
  const counted = new Set([...folders, ...plans.flatMap(({ replaces }) => replaces?.folder ?? [])]);
  return account.write('later', [...counted], () => {
    for (const folder of folders) folder.modSeq++;
    const rows = plans.map(({ arrival, folder, row: plan, replaces }) => {
      const row = { ...plan, modSeq: folder.modSeq };
      insertRow(index, row);
      folder.total++;
      folder.size += row.size;
      if (!(row.flags & SEEN)) folder.unseen++;
      if (arrival.key !== undefined) {
        index
          .prepare('INSERT OR REPLACE INTO deliveries VALUES (?, ?, ?, 0)')
          .run(arrival.key, row.id, row.savedDate);
      }
      if (replaces) removeRows(account, replaces.folder, [replaces.row]);
      return row;
    });
    for (const folder of folders)
      account.announce({
        type: 'added',
        mailbox: folder.mailbox,
        messages: pack(
          folder,
          rows.filter((row) => row.id > folder.firstId && row.id <= folder.lastId),
        ),
      });
    return rows;
  });
}

function tornMessage(account: MaildirAccount, id: number): Plan['replaces'] {
  const folder = account.folderOfRow(id);
  const row = folder && rowOf(account.index, folder, folder.uidOf(id));
  if (!row) return null;
  account.reserve(folder, { uids: 0 });
  return { folder, row };
}

/** Copies ranges of files; a file that several messages of a batch lie in is opened once. */
class RangeReader {
  #path = '';
  #fd = -1;
  #buffer: Buffer | undefined;

  copy(range: FileRange, to: number): void {
    if (range.path !== this.#path) {
      this.close();
      this.#fd = openSync(range.path, 'r');
      this.#path = range.path;
    }
    this.#buffer ??= Buffer.allocUnsafe(CHUNK);
    for (let at = range.start; at < range.end; ) {
      const bytes = readSync(this.#fd, this.#buffer, 0, Math.min(CHUNK, range.end - at), at);
      if (bytes === 0) throw new Error('a message file ends before its range');
      writeAll(to, this.#buffer.subarray(0, bytes));
      at += bytes;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#path = '';
  }
}
