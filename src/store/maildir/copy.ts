import { renameSync } from 'node:fs';
import { pack } from '../packed-messages.ts';
import type { Entrance, Limits } from '../quota.ts';
import type { MaildirAccount } from './account.ts';
import { isMissing, linkOrCopy, renameIfThere, toStoreError, unlinkIfThere } from './disk.ts';
import { bury } from './expunge.ts';
import { composeBase, parseBase } from './file-name.ts';
import { bitsOf, infoOf, SEEN } from './flags.ts';
import { CUR, type Folder, NEW, nameOf, type Place } from './folder.ts';
import { DERIVED } from './index.ts';
import { clearIntent, type IntentStep, noteIntent } from './intents.ts';
import { insertRow, type MessageRow, rowsBetween, rowsOf } from './message-row.ts';
import { copySeen } from './seen.ts';
import type { Steps } from './turns.ts';

/**
 * COPY and MOVE: links and renames, all or nothing (RFC 9051 6.4.7). Of several messages the plan is in the index,
 * durably, before the first step: a crash in the middle of a copy is undone at the next start, of a move it is finished.
 * Nobody else may use the account before they have come to their end.
 */

/** Messages between two steps. */
const STEP = 50;
/** Messages whose derived data goes along in one statement. */
const DERIVED_STEP = 250;

export interface Pair {
  readonly from: number;
  readonly to: number;
}

interface Plan {
  readonly source: MessageRow;
  readonly target: MessageRow;
  /** It was delivered under this key, says its name. */
  readonly key: string | null;
}

/** @param quota the account's; null is no limit. */
export function copying(
  account: MaildirAccount,
  from: Folder,
  uids: readonly number[],
  to: Folder,
  quota: Limits | null,
): Steps<Pair[]> {
  return again(account, from, function* () {
    const rows = rowsOf(account.index, from, uids);
    admit(account, 'copy', rows, quota, to);
    const plans = yield* planning(account, from, to, rows, 'copy');
    if (plans.length === 0) return [];
    copySeen(account, from, to, pairsOf(plans));
    const intent = plans.length > 1 ? noteIntent(account, 'copy', from, to, intentSteps(plans)) : 0;
    account.touching(to);
    const done: string[] = [];
    try {
      for (const { source, target } of plans) {
        const path = account.fileOf(to, target);
        linkOrCopy(account.fileOf(from, source), path, `${account.directoryOf(to)}/tmp/${target.base}`);
        done.push(path);
        if (done.length % STEP === 0) yield null;
      }
      yield placesOf(account, to, plans, 'target');
      account.touched(to);
      // The plan must not come back after a power cut: recovery would undo what we have answered for.
      yield* account.writing(intent > 0 ? 'wait' : 'later', [to], function* () {
        yield* arriving(account, to, plans);
        yield* remembering(account, plans, 'INSERT OR IGNORE');
        if (intent > 0) account.index.prepare('DELETE FROM intents WHERE number = ?').run(intent);
      });
    } catch (error) {
      for (const path of done) unlinkIfThere(path);
      account.touched(to);
      clearIntent(account, intent);
      throw toStoreError(error);
    }
    return pairsOf(plans);
  });
}

export function moving(
  account: MaildirAccount,
  from: Folder,
  uids: readonly number[],
  to: Folder,
): Steps<Pair[]> {
  return again(account, from, () => movingRows(account, from, rowsOf(account.index, from, uids), to));
}

export function movingAll(account: MaildirAccount, from: Folder, to: Folder): Steps<Pair[]> {
  const all = (): MessageRow[] => rowsBetween(account.index, from, 1, 2 ** 32 - 1);
  return again(account, from, () => movingRows(account, from, all(), to));
}

function* movingRows(
  account: MaildirAccount,
  from: Folder,
  rows: readonly MessageRow[],
  to: Folder,
): Steps<Pair[]> {
  if (from !== to) admit(account, 'move', rows, null, to);
  const plans = yield* planning(account, from, to, rows, 'move');
  if (plans.length === 0) return [];
  account.reserve(from, { uids: 0 });
  copySeen(account, from, to, pairsOf(plans));
  const intent = plans.length > 1 ? noteIntent(account, 'move', from, to, intentSteps(plans)) : 0;
  account.touching(from);
  if (to !== from) account.touching(to);
  const done: Plan[] = [];
  try {
    for (const plan of plans) {
      renameSync(account.fileOf(from, plan.source), account.fileOf(to, plan.target));
      done.push(plan);
      if (done.length % STEP === 0) yield null;
    }
    yield placesOf(account, to, plans, 'target');
    if (to !== from) yield placesOf(account, from, plans, 'source');
    account.touched(from);
    if (to !== from) account.touched(to);
    yield* account.writing('later', to === from ? [to] : [from, to], function* () {
      yield* remembering(account, plans, 'INSERT OR REPLACE');
      leave(account, from, plans);
      yield* arriving(account, to, plans);
      const delivered = account.index.prepare('UPDATE deliveries SET id = ? WHERE key = ? AND id = ?');
      for (const { source, target, key } of plans) if (key !== null) delivered.run(target.id, key, source.id);
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
  return pairsOf(plans);
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
function* again<T>(account: MaildirAccount, from: Folder, work: () => Steps<T>): Steps<T> {
  try {
    return yield* work();
  } catch (error) {
    if (!isMissing(error)) throw error;
    yield* account.scanning(from);
    return yield* work();
  }
}

function* planning(
  account: MaildirAccount,
  from: Folder,
  to: Folder,
  rows: readonly MessageRow[],
  mode: 'copy' | 'move',
): Steps<Plan[]> {
  if (rows.length === 0) return [];
  const bits = rows.reduce((all, { flags }) => all | flags, 0);
  account.reserve(to, { uids: rows.length, flags: from.flagSet(bits) });
  const now = account.now();
  const plans: Plan[] = [];
  for (const source of rows) {
    if (plans.length % STEP === 0) yield null;
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
    plans.push({ source, target, key: name.key });
  }
  return plans;
}

function pairsOf(plans: readonly Plan[]): Pair[] {
  return plans.map(({ source, target }) => ({ from: source.uid, to: target.uid }));
}

function intentSteps(plans: readonly Plan[]): IntentStep[] {
  return plans.map(({ source, target }) => ({
    from: nameOf(source),
    to: nameOf(target),
  }));
}

function placesOf(
  account: MaildirAccount,
  folder: Folder,
  plans: readonly Plan[],
  end: 'source' | 'target',
): string[] {
  return [...new Set(plans.map((plan) => plan[end].place))].map((place) => account.placeOf(folder, place));
}

function* arriving(account: MaildirAccount, to: Folder, plans: readonly Plan[]): Steps<void> {
  const modSeq = ++to.modSeq;
  const rows: MessageRow[] = [];
  for (const { target } of plans) {
    if (rows.length % STEP === 0) yield null;
    const row = { ...target, modSeq };
    rows.push(row);
    insertRow(account.index, row);
    to.total++;
    to.size += row.size;
    if (!(row.flags & SEEN)) to.unseen++;
  }
  account.announce({ type: 'added', mailbox: to.mailbox, messages: pack(to, rows) });
}

function leave(account: MaildirAccount, from: Folder, plans: readonly Plan[]): void {
  bury(
    account,
    from,
    plans.map(({ source }) => source),
  );
}

/** What was worked out about the content is true of the copy too. */
function* remembering(account: MaildirAccount, plans: readonly Plan[], insert: string): Steps<void> {
  for (let at = 0; at < plans.length; at += DERIVED_STEP) {
    const some = plans.slice(at, at + DERIVED_STEP);
    const pairs = JSON.stringify(some.map(({ source, target }) => [source.id, target.id]));
    for (const [table, columns] of DERIVED)
      account.index
        .prepare(
          `${insert} INTO ${table} SELECT pair.value ->> 1, ${columns}
             FROM json_each(?) AS pair CROSS JOIN ${table} ON ${table}.id = pair.value ->> 0`,
        )
        .run(pairs);
    yield null;
  }
}
