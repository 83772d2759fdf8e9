import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { StoreSettings } from '../options.ts';
import type { MaildirAccount } from './account.ts';
import { noteAllSharers } from './acls.ts';
import { exists, unlinkIfThere } from './disk.ts';
import { expireMail } from './expire.ts';
import type { Folder } from './folder.ts';
import { onwards } from './index.ts';
import type { Steps } from './turns.ts';

/**
 * What is done for each account once a day, whether anybody uses it or not: leftovers, tmp/, tombstones and delivery
 * keys that nobody asks for any more, mail that has expired. All of it can be done twice, and stopped anywhere. When it
 * was last done is in `housekept` beside the Maildir: milliseconds since the epoch, as text. Without that file it is
 * due, so a restart neither skips nor repeats a day.
 */

const HOUSEKEPT_FILE = 'housekept';
const DAY = 86_400_000;
/** Files in tmp/ that nobody has touched for so long belong to a delivery that failed (Maildir's own rule). */
const TMP_AGE = 36 * 3_600_000;
/** Tombstones kept in each folder; who asks further back is told of all UIDs that are not there. */
const MAX_TOMBSTONES = 50_000;

/** Rows in one step. */
const STEP = 5000;

export interface Chores {
  readonly settings: Pick<StoreSettings, 'rememberKeys' | 'expire'>;
  /** Removes a directory without keeping anybody waiting. */
  readonly discard: (directory: string) => void;
}

/** @param directory of the account */
export function isHouseworkDue(directory: string, now: number): boolean {
  let text: string;
  try {
    text = readFileSync(`${directory}/${HOUSEKEPT_FILE}`, 'latin1');
  } catch {
    return true;
  }
  const last = /^\d{1,15}$/.test(text.trim()) ? Number(text) : 0;
  // A clock that was wrong, and ahead, must not put it off.
  return now - last >= DAY || last > now;
}

/** In short steps: others may use the account between them. */
export function* keepHouse(account: MaildirAccount, { settings, discard }: Chores): Steps<void> {
  const began = account.now();
  for (const name of readdirSync(account.maildir))
    if (name.startsWith('..facteur-')) discard(`${account.maildir}/${name}`);
  while (forgetKeys(account, began - settings.rememberKeys) === STEP) yield null;
  yield null;
  for (const { mailbox } of [...account.folders.values()]) {
    const folder = account.folders.get(mailbox);
    if (!folder) continue;
    cleanTmp(`${account.directoryOf(folder)}/tmp`, began);
    yield null;
    yield* forgetTombstones(account, folder);
  }
  yield* noteAllSharers(account);
  const expired = yield* expireMail(account, settings.expire, 'remove');
  if (Object.keys(expired).length > 0) account.log.info({ expired }, 'expired mail removed');
  writeFileSync(`${account.directory}/${HOUSEKEPT_FILE}`, `${began}\n`, { mode: 0o600 });
}

/** How many of a step's number there were. */
function forgetKeys(account: MaildirAccount, before: number): number {
  return account.write('later', [], () => {
    const some = 'SELECT key FROM deliveries WHERE at < ? LIMIT ?';
    return account.index.prepare(`DELETE FROM deliveries WHERE key IN (${some})`).run(before, STEP).changes;
  });
}

function* forgetTombstones(account: MaildirAccount, folder: Folder): Steps<void> {
  const { index } = account;
  const isThere = (): boolean => account.folders.get(folder.mailbox) === folder;
  const range = [folder.firstId, folder.lastId];
  const [count = 0] =
    index.prepare<[number]>('SELECT count(*) FROM tombstones WHERE id BETWEEN ? AND ?').get(...range) ?? [];
  if (count <= MAX_TOMBSTONES) return;
  const modSeqs: number[] = [];
  for (let from = folder.firstId; ; ) {
    const rows = index
      .prepare<[id: number, modSeq: number]>(
        'SELECT id, modseq FROM tombstones WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?',
      )
      .all(from, folder.lastId, STEP);
    for (const [, modSeq] of rows) modSeqs.push(modSeq);
    const last = rows.at(-1);
    if (!last) break;
    from = onwards(from - 1, last[0]) + 1;
    yield null;
    if (!isThere()) return;
  }
  const floor = modSeqs.sort((a, b) => b - a)[MAX_TOMBSTONES];
  if (floor === undefined) return;
  // First nobody relies on them any more, then they go.
  account.write('later', [folder], () => {
    folder.vanishedFloor = Math.max(folder.vanishedFloor, floor);
  });
  const some = 'SELECT id FROM tombstones WHERE id BETWEEN ? AND ? AND modseq <= ? LIMIT ?';
  for (let changes = STEP; changes === STEP && isThere(); ) {
    changes = account.write('later', [], () =>
      index.prepare(`DELETE FROM tombstones WHERE id IN (${some})`).run(...range, floor, STEP),
    ).changes;
    yield null;
  }
}

function cleanTmp(directory: string, now: number): void {
  // Somebody removed the folder by hand.
  if (!exists(directory)) return;
  for (const name of readdirSync(directory)) {
    const path = `${directory}/${name}`;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() && now - Math.max(stats.atimeMs, stats.mtimeMs) > TMP_AGE) unlinkIfThere(path);
  }
}
