import { openSqlite } from '../../lib/sqlite.ts';
import { exists } from './disk.ts';
import { isDamaged } from './index.ts';

/**
 * What SQLite says about the file of an account's index; empty when it is sound, or not there. Reads all of it, which
 * for a big one takes seconds: for a process of its own, beside the one that has the account open.
 */
export function damageOf(path: string): string[] {
  if (!exists(path)) return [];
  try {
    const db = openSqlite(path, { durability: 'normal', readonly: true });
    try {
      const rows = db.pragma('integrity_check(100)') as readonly { readonly integrity_check: string }[];
      return rows.map((row) => row.integrity_check).filter((text) => text !== 'ok');
    } finally {
      db.close();
    }
  } catch (error) {
    if (isDamaged(error)) return [error instanceof Error ? error.message : String(error)];
    throw error;
  }
}
