import { renameSync } from 'node:fs';
import { pack } from '../packed-messages.ts';
import type { Entrance, Limits } from '../quota.ts';
import type { MaildirAccount } from './account.ts';
import { isMissing, linkOrCopy, renameIfThere, syncDirectory, toStoreError, unlinkIfThere } from './disk.ts';
import { bury } from './expunge.ts';
import { composeBase, parseBase } from './file-name.ts';
import { bitsOf, infoOf, SEEN } from './flags.ts';
import { CUR, type Folder, NEW, nameOf, type Place } from './folder.ts';
import { DERIVED } from './index.ts';
import { clearIntent, type IntentStep, noteIntent } from './intents.ts';
import { insertRow, type MessageRow, rowsBetween, rowsOf } from './message-row.ts';
import { scanFolder } from './scan.ts';

/**
 * COPY and MOVE: links and renames, all or nothing (RFC 9051 6.4.7). Of several messages the plan is in the index,
 * durably, before the first step: a crash in the middle of a copy is undone at the next start, of a move it is finished.
 */

export interface Pair {
  readonly from: number;
  readonly to: number;
}

interface Step {
  readonly source: MessageRow;
  readonly target: MessageRow;
  /** It was delivered under this key, says its name. */
  readonly key: string | null;
}

/** @param quota the account's; null is no limit. */
export function copy(
  account: MaildirAccount,
  from: Folder,
  uids: readonly number[],
  to: Folder,
  quota: Limits | null,
): Pair[] {
  return again(account, from, () => {
    const rows = rowsOf(account.index, from, uids);
    admit(account, 'copy', rows, quota, to);
    const steps = plan(account, from, to, rows, 'copy');
    if (steps.length === 0) return [];
    const intent = steps.length > 1 ? noteIntent(account, 'copy', from, to, intentSteps(steps)) : 0;
    account.touching(to);
    const done: string[] = [];
    try {
      for (const { source, target } of steps) {
        const path = account.fileOf(to, target);
        linkOrCopy(account.fileOf(from, source), path, `${account.directoryOf(to)}/tmp/${target.base}`);
        done.push(path);
      }
      sync(account, to, steps, 'target');
      account.touched(to);
      // The plan must not come back after a power cut: recovery would undo what we have answered for.
      account.write(intent > 0 ? 'wait' : 'later', [to], () => {
        arrive(account, to, steps);
        remember(account, steps, 'INSERT OR IGNORE');
        if (intent > 0) account.index.prepare('DELETE FROM intents WHERE number = ?').run(intent);
      });
    } catch (error) {
      for (const path of done) unlinkIfThere(path);
      account.touched(to);
      clearIntent(account, intent);
      throw toStoreError(error);
    }
    return steps.map(({ source, target }) => ({ from: source.uid, to: target.uid }));
  });
}

export function move(account: MaildirAccount, from: Folder, uids: readonly number[], to: Folder): Pair[] {
  return again(account, from, () => moveRows(account, from, rowsOf(account.index, from, uids), to));
}

export function moveAll(account: MaildirAccount, from: Folder, to: Folder): void {
  again(account, from, () => moveRows(account, from, rowsBetween(account.index, from, 1, 2 ** 32 - 1), to));
}

function moveRows(account: MaildirAccount, from: Folder, rows: readonly MessageRow[], to: Folder): Pair[] {
  if (from !== to) admit(account, 'move', rows, null, to);
  const steps = plan(account, from, to, rows, 'move');
  if (steps.length === 0) return [];
  account.reserve(from, { uids: 0 });
  const intent = steps.length > 1 ? noteIntent(account, 'move', from, to, intentSteps(steps)) : 0;
  account.touching(from);
  if (to !== from) account.touching(to);
  const done: Step[] = [];
  try {
    for (const step of steps) {
      renameSync(account.fileOf(from, step.source), account.fileOf(to, step.target));
      done.push(step);
    }
    sync(account, to, steps, 'target');
    if (to !== from) sync(account, from, steps, 'source');
    account.touched(from);
    if (to !== from) account.touched(to);
    account.write('later', to === from ? [to] : [from, to], () => {
      remember(account, steps, 'INSERT OR REPLACE');
      leave(account, from, steps);
      arrive(account, to, steps);
      const delivered = account.index.prepare('UPDATE deliveries SET id = ? WHERE key = ? AND id = ?');
      for (const { source, target, key } of steps) if (key !== null) delivered.run(target.id, key, source.id);
      if (intent > 0) account.index.prepare('DELETE FROM intents WHERE number = ?').run(intent);
    });
  } catch (error) {
    for (const { source, target } of done)
      renameIfThere(account.fileOf(to, target), account.fileOf(from, source));
    account.touched(from);
    account.touched(to);
    clearIntent(account, intent);
    throw toStoreError(error);
  }
  return steps.map(({ source, target }) => ({ from: source.uid, to: target.uid }));
}

function admit(
  account: MaildirAccount,
  entrance: Entrance,
  rows: readonly MessageRow[],
  quota: Limits | null,
  to: Folder,
): void {
  if (rows.length === 0) return;
  const bytes = rows.reduce((sum, { size }) => sum + size, 0);
  const more = { bytes, messages: rows.length };
  account.rules.admit(entrance, more, account.usage, quota, to);
}

/** A file that another program renamed while we were at it: look, and try once more with what is there. */
function again<T>(account: MaildirAccount, from: Folder, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isMissing(error)) throw error;
    scanFolder(account, from);
    return work();
  }
}

function plan(
  account: MaildirAccount,
  from: Folder,
  to: Folder,
  rows: readonly MessageRow[],
  mode: 'copy' | 'move',
): Step[] {
  if (rows.length === 0) return [];
  const bits = rows.reduce((all, { flags }) => all | flags, 0);
  account.reserve(to, { uids: rows.length, flags: from.flagSet(bits) });
  const now = account.now();
  return rows.map((source) => {
    const uid = to.uidNext++;
    const name = parseBase(source.base);
    const flags = bitsOf(from.flagSet(source.flags), to.keywords);
    // A move keeps the name's unique part and with it the delivery key; a copy is not a delivery.
    const unique = mode === 'move' ? name.unique : account.names.next(now);
    const email = { high: source.emailHigh, low: source.emailLow };
    const base = composeBase(unique, {
      size: name.size ?? source.size,
      crlfSize: name.crlfSize ?? source.size,
      validity: to.uidValidity,
      uid,
      email: mode === 'move' ? name.email : email,
    });
    const place: Place = flags === 0 && source.place === NEW ? NEW : CUR;
    const target: MessageRow = {
      ...source,
      id: to.id(uid),
      uid,
      flags,
      savedDate: now,
      place,
      info: place === CUR ? infoOf(flags, to.keywords, null) : null,
      base,
    };
    return { source, target, key: name.key };
  });
}

function intentSteps(steps: readonly Step[]): IntentStep[] {
  return steps.map(({ source, target }) => ({
    from: nameOf(source),
    to: nameOf(target),
  }));
}

function sync(
  account: MaildirAccount,
  folder: Folder,
  steps: readonly Step[],
  end: 'source' | 'target',
): void {
  const places = new Set(steps.map((step) => step[end].place));
  for (const place of places) syncDirectory(account.placeOf(folder, place));
}

function arrive(account: MaildirAccount, to: Folder, steps: readonly Step[]): void {
  const modSeq = ++to.modSeq;
  const rows = steps.map(({ target }) => ({ ...target, modSeq }));
  for (const row of rows) {
    insertRow(account.index, row);
    to.total++;
    to.size += row.size;
    if (!(row.flags & SEEN)) to.unseen++;
  }
  account.announce({ type: 'added', mailbox: to.mailbox, messages: pack(to, rows) });
}

function leave(account: MaildirAccount, from: Folder, steps: readonly Step[]): void {
  bury(
    account,
    from,
    steps.map(({ source }) => source),
  );
}

/** What was worked out about the content is true of the copy too. */
function remember(account: MaildirAccount, steps: readonly Step[], insert: string): void {
  const pairs = JSON.stringify(steps.map(({ source, target }) => [source.id, target.id]));
  for (const [table, columns] of DERIVED)
    account.index
      .prepare(
        `${insert} INTO ${table} SELECT pair.value ->> 1, ${columns}
           FROM json_each(?) AS pair CROSS JOIN ${table} ON ${table}.id = pair.value ->> 0`,
      )
      .run(pairs);
}
