import { closeSync, fdatasyncSync } from 'node:fs';
import { type Piece, pieceSize } from '../../lib/pieces.ts';
import { pack } from '../packed-messages.ts';
import type { Leaving, Limits } from '../quota.ts';
import { type Flag, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import { exists, syncDirectory, toStoreError } from './disk.ts';
import { removeFile, removeRows } from './expunge.ts';
import { SEEN } from './flags.ts';
import { type Folder, nameOf } from './folder.ts';
import { clearIntent, type IntentStep, noteIntent } from './intents.ts';
import {
  discard,
  type PlannedFile,
  planMessage,
  putInPlace,
  RangeReader,
  writeFile,
} from './message-file.ts';
import { insertRow, type MessageRow, rowOf } from './message-row.ts';
import type { Steps } from './turns.ts';

/**
 * Several messages of one APPEND (RFC 3502 6.3.11), and those that take another's place (RFC 8508): all or nothing. All
 * are written and synced in tmp/; then their names are noted in the index, durably; then they appear; and one commit
 * makes them messages, takes the replaced one away and the note with it. A crash before that commit is undone at the
 * next start. Nobody else may use the account before it has come to its end.
 */

/** Messages between two steps. */
const STEP = 50;
/** Files that are open at the same time, and share a commit of the file system's journal (message-file.ts). */
const LOT = 100;

export interface Appending {
  readonly content: readonly Piece[];
  readonly flags: readonly Flag[];
  readonly internalDate: number;
}

interface Old {
  readonly folder: Folder;
  readonly uid: number;
}

/** @param quota the account's; null is no limit. */
export function* appendingAll(
  account: MaildirAccount,
  to: Folder,
  messages: readonly Appending[],
  replaces: Old | null,
  quota: Limits | null,
): Steps<MessageRow[]> {
  const old = replaces && (yield* findingOld(account, replaces));
  const sizes = messages.map(({ content }) => content.reduce((sum, piece) => sum + pieceSize(piece), 0));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const leaving = replaces && leavingFrom(account, replaces, to);
  const entering = { bytes, messages: messages.length };
  account.rules.admit('append', entering, account.usage, quota, to, leaving ?? undefined);
  const plans: PlannedFile[] = [];
  let intent = 0;
  let rows: MessageRow[];
  try {
    const lots = Math.ceil(messages.length / LOT);
    for (let lot = 0; lot < lots; lot++) yield* writing(account, to, messages, sizes, plans);
    intent = noteIntent(account, 'append', to, to, intentSteps(plans));
    account.touching(to);
    for (const [at, plan] of plans.entries()) {
      putInPlace(account, plan);
      if (at % STEP === 0) yield null;
    }
    for (const place of new Set(plans.map(({ row }) => row.place))) syncDirectory(account.placeOf(to, place));
    account.touched(to);
    yield null;
    rows = yield* committing(
      account,
      to,
      plans,
      intent,
      replaces && old && { folder: replaces.folder, row: old },
    );
  } catch (error) {
    for (const plan of plans) {
      discard(plan.temporary);
      discard(account.fileOf(to, plan.row));
    }
    account.touched(to);
    clearIntent(account, intent);
    throw toStoreError(error);
  } finally {
    to.promised = 0;
  }
  if (replaces && old) removeOld(account, replaces.folder, old);
  return rows;
}

/** What a replaced message gives back to the account and, when it is there, to the folder. */
export function leavingFrom(account: MaildirAccount, { folder, uid }: Old, to: Folder): Leaving | undefined {
  const row = rowOf(account.index, folder, uid);
  if (!row) return undefined;
  const usage = { bytes: row.size, messages: 1 };
  return { account: usage, folder: folder === to ? usage : { bytes: 0, messages: 0 } };
}

/** Another program may have renamed its file, or removed it. */
function* findingOld(account: MaildirAccount, { folder, uid }: Old): Steps<MessageRow> {
  let row = rowOf(account.index, folder, uid);
  if (row && !exists(account.fileOf(folder, row))) {
    yield* account.scanning(folder);
    row = rowOf(account.index, folder, uid);
  }
  if (!row) throw new StoreError('expunged', 'The message to replace is gone');
  return row;
}

/** The next lot of them in tmp/, durably; its first sync carries most of it. */
function* writing(
  account: MaildirAccount,
  to: Folder,
  messages: readonly Appending[],
  sizes: readonly number[],
  plans: PlannedFile[],
): Steps<void> {
  const reader = new RangeReader();
  const files: number[] = [];
  try {
    for (const message of messages.slice(plans.length, plans.length + LOT)) {
      const plan = planMessage(account, to, { ...message, size: sizes[plans.length] ?? 0 });
      plans.push(plan);
      files.push(writeFile(plan.temporary, message, reader, messages.length > 1));
      yield null;
    }
    for (const fd of files) {
      fdatasyncSync(fd);
      yield null;
    }
  } finally {
    reader.close();
    for (const fd of files) closeSync(fd);
  }
}

function intentSteps(plans: readonly PlannedFile[]): IntentStep[] {
  return plans.map(({ row }) => ({ from: '', to: nameOf(row) }));
}

/** The note must not come back after a power cut: recovery would undo what was answered for. So it waits for the disk. */
function* committing(
  account: MaildirAccount,
  to: Folder,
  plans: readonly PlannedFile[],
  intent: number,
  old: { readonly folder: Folder; readonly row: MessageRow } | null,
): Steps<MessageRow[]> {
  if (old) account.reserve(old.folder, { uids: 0 });
  return yield* account.writing('wait', [...new Set([to, ...(old ? [old.folder] : [])])], function* () {
    const modSeq = ++to.modSeq;
    const rows: MessageRow[] = [];
    for (const { row: planned } of plans) {
      if (rows.length % STEP === 0) yield null;
      const row = { ...planned, modSeq };
      rows.push(row);
      insertRow(account.index, row);
      to.total++;
      to.size += row.size;
      if (!(row.flags & SEEN)) to.unseen++;
    }
    account.announce({ type: 'added', mailbox: to.mailbox, messages: pack(to, rows) });
    if (old) removeRows(account, old.folder, [old.row]);
    account.index.prepare('DELETE FROM intents WHERE number = ?').run(intent);
    return rows;
  });
}

/** What does not go now goes later (background.ts): it is no message any more. */
function removeOld(account: MaildirAccount, folder: Folder, row: MessageRow): void {
  account.touching(folder);
  try {
    removeFile(account, folder, row);
  } catch (error) {
    account.log.warn(
      { err: error, mailbox: folder.path },
      'the file of a replaced message cannot be removed yet',
    );
  }
  account.touched(folder);
}
