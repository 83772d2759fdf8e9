import { statSync } from 'node:fs';
import { ruleFor } from '../folder-rules.ts';
import type { ExpireRule } from '../options.ts';
import type { MaildirAccount } from './account.ts';
import { expunge } from './expunge.ts';
import type { Folder } from './folder.ts';
import { onwards } from './index.ts';
import { rowOf } from './message-row.ts';
import type { Steps } from './turns.ts';

/**
 * Removes from a folder what its rule says: mail that came into it too long ago (the saved date, RFC 8514), then the
 * oldest of what is too many. Each removal is an expunge as any other: durable, with tombstones, told to who watches.
 */

/** Removed with one commit that waits for the disk. */
const BATCH = 100;
/** Rows looked at in one step. */
const STEP = 2000;

/** Whether it goes, or is only counted. */
export type ExpireMode = 'remove' | 'dry-run';

/** How many went, by path; the paths of mailboxes without expired mail are not named. */
export type Expired = Readonly<Record<string, number>>;

/** All folders that have a rule, step by step; others may use the account in between. */
export function* expireMail(
  account: MaildirAccount,
  rules: readonly ExpireRule[],
  mode: ExpireMode,
): Steps<Expired> {
  const expired = new Map<string, number>();
  if (rules.length === 0) return {};
  for (const { mailbox } of [...account.folders.values()]) {
    const folder = account.folders.get(mailbox);
    const rule = folder && ruleFor(rules, folder);
    if (!rule) continue;
    for (const count of expire(account, folder, rule, mode)) {
      if (count > 0) expired.set(folder.path, (expired.get(folder.path) ?? 0) + count);
      yield null;
    }
  }
  return Object.fromEntries(expired);
}

/** Yields how many went. */
function* expire(
  account: MaildirAccount,
  folder: Folder,
  rule: ExpireRule,
  mode: ExpireMode,
): Generator<number> {
  const { mailbox } = folder;
  const go = (uids: readonly number[]): number =>
    mode === 'remove' ? expunge(account, folder, uids).length : uids.length;
  let counted = 0;
  if (rule.after !== undefined) {
    const before = account.now() - rule.after;
    for (let from = 1; from < folder.uidNext; ) {
      const rows = account.index
        .prepare<[id: number, saved: number]>(
          'SELECT id, saved_date FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?',
        )
        .all(folder.id(from), folder.lastId, STEP);
      const last = rows.at(-1);
      if (!last) break;
      from = onwards(from - 1, folder.uidOf(last[0])) + 1;
      const old = rows.filter(([, saved]) => saved < before).map(([id]) => folder.uidOf(id));
      yield 0;
      for (let at = 0; at < old.length; at += BATCH) {
        if (account.folders.get(mailbox) !== folder) return;
        const batch = old.slice(at, at + BATCH).filter((uid) => isOld(account, folder, uid, before));
        const gone = go(batch);
        if (mode === 'dry-run') counted += gone;
        yield gone;
      }
      if (account.folders.get(mailbox) !== folder) return;
    }
  }
  if (mode === 'dry-run') {
    yield Math.max(0, folder.total - counted - (rule.messages ?? folder.total));
    return;
  }
  while (rule.messages !== undefined && folder.total > rule.messages) {
    const ids = account.index
      .prepare<[number]>('SELECT id FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?')
      .all(folder.firstId, folder.lastId, Math.min(BATCH, folder.total - rule.messages));
    const oldest = ids.map(([id]) => folder.uidOf(id));
    const gone = go(oldest);
    if (gone === 0) return;
    yield gone;
    if (account.folders.get(mailbox) !== folder) return;
  }
}

/**
 * After the index was made again, or when another program moved the file here, the saved date is what the name says:
 * when the message came into the account, perhaps long before it came into this folder. Whole seconds tell; then the
 * file's own time of change must be old too, since every move sets it.
 */
function isOld(account: MaildirAccount, folder: Folder, uid: number, before: number): boolean {
  const row = rowOf(account.index, folder, uid);
  if (!row || row.savedDate >= before) return false;
  if (row.savedDate % 1000 !== 0) return true;
  const changed = statSync(account.fileOf(folder, row), { throwIfNoEntry: false })?.ctimeMs;
  return changed !== undefined && changed < before;
}
