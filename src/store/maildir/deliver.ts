import { closeSync, fdatasync, fdatasyncSync, fsync, fsyncSync, openSync } from 'node:fs';
import { type Piece, pieceSize } from '../../lib/pieces.ts';
import { pack } from '../packed-messages.ts';
import type { Limits, Usage } from '../quota.ts';
import { type Flag, type MailboxId, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { toStoreError } from './disk.ts';
import { removeRows } from './expunge.ts';
import { SEEN } from './flags.ts';
import type { Folder } from './folder.ts';
import { isDamaged, SPAN } from './index.ts';
import {
  discard,
  type PlannedFile,
  planMessage,
  putInPlace,
  RangeReader,
  writeFile,
} from './message-file.ts';
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

interface Plan extends PlannedFile {
  readonly arrival: Arrival;
  /** The torn message of this key, when a power cut left one. */
  readonly replaces: { readonly folder: Folder; readonly row: MessageRow } | null;
}

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
    for (const [at, plan] of plans)
      attempt(at, () => files.set(at, writeFile(plan.temporary, plan.arrival, reader, together)));
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
  for (const [at, plan] of plans) attempt(at, () => putInPlace(plan.arrival.account, plan));
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
  return { ...planMessage(account, folder, { ...arrival, size }), arrival, replaces };
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
