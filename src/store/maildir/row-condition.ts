import type { SearchCriteria } from '../store.ts';
import { bitOf } from './flags.ts';
import type { Folder } from './folder.ts';
import { parseThreadId } from './thread-ids.ts';

/** Criteria that the rows of messages answer by themselves, as a condition in SQL. */

export interface RowCondition {
  readonly sql: string;
  readonly values: readonly (number | string)[];
}

/** SQLite takes some thousand of each; people ask for a few. */
const MAX_VALUES = 200;
const MAX_DEPTH = 20;

/** The condition that all fulfil. */
export const ALL = '1';

const NEVER: RowCondition = { sql: '0', values: [] };

/** undefined when rows do not tell, or when it would be too long. */
export function rowCondition(folder: Folder, criteria: SearchCriteria, depth = 0): RowCondition | undefined {
  if (depth > MAX_DEPTH) return undefined;
  if ('all' in criteria) return joined(folder, criteria.all, 'AND', depth);
  if ('any' in criteria) return joined(folder, criteria.any, 'OR', depth);
  if ('not' in criteria) {
    const inner = rowCondition(folder, criteria.not, depth + 1);
    return inner && { sql: `NOT (${inner.sql})`, values: inner.values };
  }
  if ('flag' in criteria) return { sql: 'flags & ? <> 0', values: [bitOf(criteria.flag, folder.keywords)] };
  if ('size' in criteria)
    return { sql: `size ${criteria.size === 'larger' ? '>' : '<'} ?`, values: [criteria.bytes] };
  if ('changedSince' in criteria) return { sql: 'modseq > ?', values: [criteria.changedSince] };
  if ('emailId' in criteria) return emailCondition(criteria.emailId);
  if ('threadId' in criteria) return threadCondition(folder, criteria.threadId);
  if ('date' in criteria && criteria.date !== 'sent') {
    const column = criteria.date === 'internal' ? 'internal_date' : 'saved_date';
    return {
      sql: `${column} >= ? AND ${column} < ?`,
      values: [criteria.from ?? Number.MIN_SAFE_INTEGER, criteria.before ?? Number.MAX_SAFE_INTEGER],
    };
  }
  return undefined;
}

function joined(
  folder: Folder,
  criteria: readonly SearchCriteria[],
  operator: 'AND' | 'OR',
  depth: number,
): RowCondition | undefined {
  const parts: RowCondition[] = [];
  for (const next of criteria) {
    const part = rowCondition(folder, next, depth + 1);
    if (!part) return undefined;
    parts.push(part);
  }
  const values = parts.flatMap((part) => part.values);
  if (parts.length > MAX_VALUES || values.length > MAX_VALUES) return undefined;
  const nothing = operator === 'AND' ? ALL : '0';
  return { sql: parts.map(({ sql }) => `(${sql})`).join(` ${operator} `) || nothing, values };
}

function emailCondition(emailId: string): RowCondition {
  if (!/^E[0-9a-f]{16}$/.test(emailId)) return NEVER;
  const half = (from: number): number => Number.parseInt(emailId.slice(from, from + 8), 16);
  return { sql: 'email_high = ? AND email_low = ?', values: [half(1), half(9)] };
}

function threadCondition(folder: Folder, threadId: string): RowCondition {
  const thread = parseThreadId(threadId);
  // 0 stands for those that cannot be read.
  if (!thread) return NEVER;
  return {
    sql: 'id IN (SELECT id FROM keys WHERE id BETWEEN ? AND ? AND thread = ?)',
    values: [folder.firstId, folder.lastId, thread],
  };
}
