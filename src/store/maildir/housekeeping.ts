import { readdirSync, statSync } from 'node:fs';
import type { MaildirAccount } from './account.ts';
import { unlinkIfThere } from './disk.ts';
import { clearLeftovers } from './tree.ts';

/** What is done for an account once a day, when it is open anyway. */

const DAY = 86_400_000;
/** Files in tmp/ that nobody has touched for so long belong to a delivery that failed (Maildir's own rule). */
const TMP_AGE = 36 * 3_600_000;
/** Tombstones kept in each folder; who asks further back is told of all UIDs that are not there. */
const MAX_TOMBSTONES = 50_000;

export function keepHouse(account: MaildirAccount, rememberKeys: number): void {
  const now = account.now();
  if (now - account.index.meta('tmp_cleaned') < DAY) return;
  clearLeftovers(account.maildir);
  for (const folder of account.folders.values()) cleanTmp(`${account.directoryOf(folder)}/tmp`, now);
  account.write('later', [...account.folders.values()], () => {
    account.index.prepare('DELETE FROM deliveries WHERE at < ?').run(now - rememberKeys);
    for (const folder of account.folders.values()) {
      const oldest = account.index
        .prepare<[id: number, modSeq: number]>(
          'SELECT id, modseq FROM tombstones WHERE id BETWEEN ? AND ? ORDER BY modseq DESC LIMIT 1 OFFSET ?',
        )
        .get(folder.firstId, folder.lastId, MAX_TOMBSTONES);
      if (!oldest) continue;
      folder.vanishedFloor = Math.max(folder.vanishedFloor, oldest[1]);
      account.index
        .prepare('DELETE FROM tombstones WHERE id BETWEEN ? AND ? AND modseq <= ?')
        .run(folder.firstId, folder.lastId, oldest[1]);
    }
    account.index.setMeta('tmp_cleaned', now);
  });
}

function cleanTmp(directory: string, now: number): void {
  for (const name of readdirSync(directory)) {
    const path = `${directory}/${name}`;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() && now - Math.max(stats.atimeMs, stats.mtimeMs) > TMP_AGE) unlinkIfThere(path);
  }
}
