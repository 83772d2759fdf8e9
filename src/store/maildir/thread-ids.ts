import { hash } from 'node:crypto';
import type { MessageKeys } from '../../message/message-keys.ts';
import type { Index } from './index.ts';
import type { MessageRow } from './message-row.ts';

/**
 * The account's threads (RFC 8474 5.2), kept up as messages are indexed. A thread is named after the first message of
 * it that is known by name, so an index made anew names it the same; once given, a message's thread never changes, as
 * the RFC demands: of two threads that turn out to be one, later messages join the older ancestor's.
 */

export interface ThreadKeys {
  /** Numbers of its Message-ID, and of those before it. */
  readonly node: number;
  readonly references: readonly number[];
  /** Number of its base subject, negative for a reply or forward; 0 when it has none. */
  readonly subject: number;
  readonly thread: number;
}

/** As OBJECTID prints it. */
export function threadId(thread: number): string {
  return `T${thread.toString(16).padStart(13, '0')}`;
}

/** undefined for what is none of ours. */
export function parseThreadId(text: string): number | undefined {
  return /^T[0-9a-f]{13}$/.test(text) ? Number.parseInt(text.slice(1), 16) : undefined;
}

/** Inside a transaction. */
export function threadKeys(index: Index, row: MessageRow, keys: MessageKeys): ThreadKeys {
  // Without a Message-ID the message is known by its email id, which its copies have too.
  const own = hashOf(
    keys.messageId === null ? `email ${row.emailHigh} ${row.emailLow}` : `id ${keys.messageId}`,
  );
  const before = keys.ancestors.map((id) => hashOf(`id ${id}`)).filter((ancestor) => ancestor !== own);
  const known = new Map<number, Node>();
  for (const ancestor of [...before, own]) {
    const node = find(index, ancestor);
    if (node) known.set(ancestor, node);
  }
  const subject = subjectOf(index, keys);
  const oldest = [...before, own].find((ancestor) => known.has(ancestor));
  const thread =
    (oldest !== undefined ? known.get(oldest)?.thread : undefined) ??
    before[0] ??
    // A reply whose program said of nothing what it answers (RFC 5256 3, REFERENCES, step 5).
    (keys.kind === 'reply' ? subject?.thread : undefined) ??
    own;
  const numberOf = (ancestor: number): number =>
    known.get(ancestor)?.number ?? insert(index, ancestor, thread);
  const references = before.map(numberOf);
  const node = numberOf(own);
  if (!subject) return { node, references, subject: 0, thread };
  if (keys.kind === 'original' && before.length === 0)
    index.prepare('UPDATE subjects SET thread = ? WHERE number = ?').run(thread, subject.number);
  return { node, references, subject: keys.kind === 'reply' ? -subject.number : subject.number, thread };
}

interface Node {
  readonly number: number;
  readonly thread: number;
}

function find(index: Index, name: number): Node | undefined {
  const found = index.prepare<[number, number]>('SELECT number, thread FROM nodes WHERE hash = ?').get(name);
  return found && { number: found[0], thread: found[1] };
}

function insert(index: Index, name: number, thread: number): number {
  const { lastInsertRowid } = index
    .prepare('INSERT INTO nodes (hash, thread) VALUES (?, ?)')
    .run(name, thread);
  return Number(lastInsertRowid);
}

function subjectOf(
  index: Index,
  { base }: MessageKeys,
): { readonly number: number; readonly thread: number | undefined } | undefined {
  if (base === '') return undefined;
  const name = hashOf(`subject ${base}`);
  const found = index
    .prepare<[number, number | null]>('SELECT number, thread FROM subjects WHERE hash = ?')
    .get(name);
  if (found) return { number: found[0], thread: found[1] ?? undefined };
  const { lastInsertRowid } = index.prepare('INSERT INTO subjects (hash) VALUES (?)').run(name);
  return { number: Number(lastInsertRowid), thread: undefined };
}

/** 52 bits, which a number holds: nobody makes two of them meet but by trying for years. */
function hashOf(text: string): number {
  return Number.parseInt(hash('sha256', text, 'hex').slice(0, 13), 16);
}
