import { renameSync } from 'node:fs';
import type { MaildirAccount } from './account.ts';
import { isMissing, syncDirectory } from './disk.ts';
import { removeFile } from './expunge.ts';
import { infoOf } from './flags.ts';
import { CUR, type Folder, NEW, type Place } from './folder.ts';
import { forgetDerived, SPAN } from './index.ts';
import { forgetAbandoned } from './intents.ts';

/**
 * What follows a commit: file names get the letters of their flags, messages leave new/, files of expunged messages go.
 * The directory is synced before the index forgets that there was something to do, so that after a power cut no row
 * says more of a name than the disk has.
 */

/** Files in one go; between two goes deliveries have their turn. */
const STEP = 200;

type Pending = [id: number, cur: 0 | 1, flags: number, place: Place, info: string | null, base: string];
type Removal = [id: number, base: string, place: Place, info: string | null];

/** Files that have their new names; the index may say so when the disk does. Until then nobody else may use the account. */
interface Renamed {
  readonly directories: readonly string[];
  finish(): void;
}

/** Does a part of it; `behind` is false when nothing is left. */
export function catchUp(account: MaildirAccount): void {
  const renamed = beginCatchingUp(account);
  if (!renamed) return;
  for (const directory of renamed.directories) syncDirectory(directory);
  renamed.finish();
  account.settle();
}

/** The same without waiting for the disk where there is something to wait for; then `settle` has to follow, too. */
export function beginCatchingUp(account: MaildirAccount): Renamed | undefined {
  const { index } = account;
  if (account.abandoned.size > 0) forgetAbandoned(account);
  const names = index
    .prepare<Pending>(
      `SELECT pending.id, cur, flags, place, info, base FROM pending JOIN messages USING (id) LIMIT ${STEP}`,
    )
    .all();
  if (names.length > 0) return rename(account, names);
  const removals = index.prepare<Removal>(`SELECT id, base, place, info FROM removals LIMIT ${STEP}`).all();
  if (removals.length > 0) {
    remove(account, removals);
    return undefined;
  }
  account.behind = false;
  return undefined;
}

function rename(account: MaildirAccount, rows: readonly Pending[]): Renamed {
  const directories: string[] = [];
  const done: { id: number; place: Place; info: string | null }[] = [];
  for (const [folder, pending] of byFolder(account, rows)) {
    account.touching(folder);
    const changed = new Set<Place>();
    for (const [id, cur, flags, place, info, base] of pending) {
      const letters = infoOf(flags, folder.keywords, info);
      const to = place === CUR || cur === 1 || letters !== '' ? CUR : NEW;
      const target = { base, place: to, info: to === NEW ? info : letters };
      done.push({ id, place: target.place, info: target.info });
      if (to === place && target.info === info) continue;
      try {
        renameSync(account.fileOf(folder, { base, place, info }), account.fileOf(folder, target));
        changed.add(place).add(to);
      } catch (error) {
        if (!isMissing(error)) throw error;
        // Somebody else renamed or removed it: the scan merges.
        done.pop();
        folder.dirty = true;
      }
    }
    for (const place of changed) directories.push(account.placeOf(folder, place));
    account.touched(folder);
  }
  const finish = (): void =>
    account.write('later', [], () => {
      for (const { id, place, info } of done)
        account.index.prepare('UPDATE messages SET place = ?, info = ? WHERE id = ?').run(place, info, id);
      for (const [id] of rows) account.index.prepare('DELETE FROM pending WHERE id = ?').run(id);
      // Rows whose file was not there under its name: when the scan finds it, it sees that flags and letters differ.
    });
  return { directories, finish };
}

function remove(account: MaildirAccount, rows: readonly Removal[]): void {
  for (const [folder, removals] of byFolder(account, rows)) {
    account.touching(folder);
    const places = new Set<Place>();
    for (const [id, base, place, info] of removals) {
      places.add(place);
      if (!account.removed.has(id)) removeFile(account, folder, { id, base, place, info });
    }
    account.touched(folder);
    for (const place of places) syncDirectory(account.placeOf(folder, place));
  }
  account.settle();
  account.write('later', [], () => {
    forgetDerived(account.index, { list: JSON.stringify(rows.map(([id]) => id)) });
    for (const [id] of rows) account.index.prepare('DELETE FROM removals WHERE id = ?').run(id);
  });
  for (const [id] of rows) account.removed.delete(id);
}

function byFolder<Row extends readonly [id: number, ...rest: unknown[]]>(
  account: MaildirAccount,
  rows: readonly Row[],
): Map<Folder, Row[]> {
  const numbers = new Set(rows.map(([id]) => Math.floor(id / SPAN)));
  const folders = new Map<number, Folder>();
  for (const folder of account.folders.values()) if (numbers.has(folder.row)) folders.set(folder.row, folder);
  const found = new Map<Folder, Row[]>();
  for (const row of rows) {
    const folder = folders.get(Math.floor(row[0] / SPAN));
    if (!folder) continue;
    const list = found.get(folder);
    if (list) list.push(row);
    else found.set(folder, [row]);
  }
  return found;
}
