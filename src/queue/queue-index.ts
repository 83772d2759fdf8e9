import { rmSync } from 'node:fs';
import type { AccountId } from '../directory/directory.ts';
import { openSqlite, type Sqlite, type Statement } from '../lib/sqlite.ts';
import type { Position } from './journal.ts';
import { type NextHop, nextHop } from './next-hop.ts';
import type { QueuedMessage, QueuedRecipient, QueueId, RecipientState } from './queue.ts';
import { NewerFormat } from './segment.ts';

/**
 * Where the queue looks things up that it does not hold in memory: messages that wait, by next hop and time. Only an
 * index: it can be thrown away, the journal has everything. It knows up to which place of the journal it is complete,
 * and a row whose journal segment was given back is of a message that is finished.
 */
export interface IndexedMessage {
  readonly message: QueuedMessage;
  readonly base: Position;
  readonly length: number;
  readonly spooled: boolean;
}

/** A message as it is written here; `due` overrules the next attempt while a recipient is leased. */
export interface IndexEntry extends IndexedMessage {
  due(recipient: QueuedRecipient): number | null;
}

const VERSION = 1;
const PAGE = 200;
/** The index of some ten thousand messages. */
const CACHE_KB = 16 * 1024;

const SCHEMA = `
  CREATE TABLE message (
    id TEXT PRIMARY KEY,
    base INTEGER NOT NULL,
    length INTEGER NOT NULL,
    spooled INTEGER NOT NULL,
    account TEXT,
    domain TEXT,
    body TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX message_base ON message (base);
  CREATE TABLE recipient (
    id TEXT NOT NULL,
    number INTEGER NOT NULL,
    agent TEXT NOT NULL,
    hop TEXT NOT NULL,
    domain TEXT NOT NULL,
    due INTEGER,
    next_attempt INTEGER,
    state TEXT NOT NULL,
    PRIMARY KEY (id, number)
  ) WITHOUT ROWID;
  CREATE INDEX recipient_due ON recipient (agent, hop, due) WHERE due IS NOT NULL;
  CREATE TABLE hop (
    agent TEXT NOT NULL,
    hop TEXT NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (agent, hop)
  ) WITHOUT ROWID;
  CREATE INDEX hop_due ON hop (agent, due);
  CREATE TABLE progress (position INTEGER NOT NULL, closed INTEGER NOT NULL);
  INSERT INTO progress VALUES (0, 1);
  PRAGMA user_version = ${VERSION};
`;

interface MessageRow {
  readonly id: QueueId;
  readonly base: number;
  readonly length: number;
  readonly spooled: number;
  readonly body: string;
}

interface RecipientRow {
  readonly number: number;
  readonly next_attempt: number | null;
  readonly state: string;
}

export class QueueIndex {
  readonly #db: Sqlite;
  readonly #statements = new Map<string, Statement>();

  private constructor(db: Sqlite) {
    this.#db = db;
  }

  /** Throws the index away: what is opened next is empty (position 0). */
  static remove(path: string): void {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
  }

  /** @throws NewerFormat, and what `isCorruption` recognises when the file is damaged */
  static open(path: string): { readonly index: QueueIndex; readonly found: 'whole' | 'new' } {
    // The journal is the truth: losing the last commits to a power cut only makes the next start read more of it.
    const db = openSqlite(path, { durability: 'normal' });
    db.pragma(`cache_size = -${CACHE_KB}`);
    try {
      const version = Number(db.pragma('user_version', { simple: true }));
      if (version > VERSION) throw new NewerFormat('queue index', version, VERSION);
      if (version === 0) db.transaction(() => db.exec(SCHEMA))();
      // Reading all of it takes long when much waits: only where the last end was none.
      else if (
        db.prepare('SELECT closed FROM progress').pluck().get() !== 1 &&
        db.pragma('quick_check(1)', { simple: true }) !== 'ok'
      )
        throw Object.assign(new Error('quick_check failed'), { code: 'SQLITE_CORRUPT' });
      db.exec('CREATE TABLE IF NOT EXISTS newest (one INTEGER PRIMARY KEY, id TEXT NOT NULL)');
      db.exec('UPDATE progress SET closed = 0');
      return { index: new QueueIndex(db), found: version === 0 ? 'new' : 'whole' };
    } catch (error) {
      db.close();
      throw error;
    }
  }

  /** Everything in the journal before this place is in the index. */
  get position(): Position {
    return this.#get<{ position: number }>('SELECT position FROM progress')?.position ?? 0;
  }

  transaction<T>(work: () => T): T {
    return this.#db.transaction(work)();
  }

  /** Writes messages as they are now, takes out finished ones, and notes how far it is complete. */
  write(
    entries: readonly IndexEntry[],
    gone: readonly QueueId[],
    position: Position,
    newest: QueueId | undefined,
  ): void {
    this.transaction(() => {
      const touched = new Map<string, NextHop>();
      for (const id of gone) this.#delete(id, touched);
      for (const entry of entries) this.#put(entry, touched);
      this.#recount(touched);
      this.#run('UPDATE progress SET position = ?', position);
      if (newest !== undefined) this.#run('INSERT OR REPLACE INTO newest VALUES (1, ?)', newest);
    });
  }

  get(id: QueueId): IndexedMessage | undefined {
    const row = this.#get<MessageRow>('SELECT id, base, length, spooled, body FROM message WHERE id = ?', id);
    return row && this.#message(row);
  }

  /** Ids above `after`, ascending, one page at a time. */
  ids(after: string, filter: { readonly domain?: string; readonly account?: AccountId }): readonly QueueId[] {
    const where: string[] = ['id > ?'];
    const values: string[] = [after];
    if (filter.domain !== undefined) {
      where.push('(domain = ? OR EXISTS (SELECT 1 FROM recipient r WHERE r.id = m.id AND r.domain = ?))');
      values.push(filter.domain, filter.domain);
    }
    if (filter.account !== undefined) {
      const local = "SELECT 1 FROM recipient r WHERE r.id = m.id AND r.agent = 'local' AND r.hop = ?";
      where.push(`(account = ? OR EXISTS (${local}))`);
      values.push(filter.account, filter.account);
    }
    const sql = `SELECT id FROM message m WHERE ${where.join(' AND ')} ORDER BY id LIMIT ${PAGE}`;
    return this.#all<{ id: QueueId }>(sql, ...values).map((row) => row.id);
  }

  /** Messages whose journal record stands in `from` (inclusive) to `to` (exclusive). */
  based(from: Position, to: Position, limit: number): readonly QueueId[] {
    const sql = 'SELECT id FROM message WHERE base >= ? AND base < ? LIMIT ?';
    return this.#all<{ id: QueueId }>(sql, from, to, limit).map((row) => row.id);
  }

  /** Every message's place in the journal, for counting what lives where. */
  bases(): readonly { readonly base: Position; readonly length: number }[] {
    return this.#all<{ base: number; length: number }>('SELECT base, length FROM message');
  }

  spooled(): ReadonlySet<string> {
    return new Set(
      this.#all<{ id: string }>('SELECT id FROM message WHERE spooled = 1').map((row) => row.id),
    );
  }

  /** Of all messages that ever were, up to where it is complete. */
  get lastId(): QueueId | undefined {
    const sql =
      'SELECT max(id) AS id FROM (SELECT max(id) AS id FROM message UNION ALL SELECT id FROM newest)';
    return this.#get<{ id: QueueId | null }>(sql)?.id ?? undefined;
  }

  /** Takes out what stands before `position`: its journal segments are given back, so it was finished. */
  forgetBefore(position: Position): number {
    return this.transaction(() => {
      const touched = new Map<string, NextHop>();
      const stale = this.based(0, position, -1);
      for (const id of stale) this.#delete(id, touched);
      this.#recount(touched);
      return stale.length;
    });
  }

  /** At start nobody holds a lease any more. */
  endLeases(): void {
    this.transaction(() => {
      this.#run('UPDATE recipient SET due = next_attempt WHERE due IS NOT next_attempt');
      this.#run('DELETE FROM hop');
      this.#run(
        'INSERT INTO hop SELECT agent, hop, min(due) FROM recipient WHERE due IS NOT NULL GROUP BY agent, hop',
      );
    });
  }

  /** Up to `limit` next hops with something due, the longest waiting first, of those that `may` have more. */
  dueHops(
    agent: NextHop['agent'],
    now: number,
    limit: number,
    may: (name: string) => boolean,
  ): readonly NextHop[] {
    const hops: NextHop[] = [];
    const sql = 'SELECT agent, hop AS name FROM hop WHERE agent = ? AND due <= ? ORDER BY due';
    for (const hop of this.#statement(sql).iterate(agent, now) as IterableIterator<NextHop>) {
      if (may(hop.name)) hops.push(hop);
      if (hops.length >= limit) break;
    }
    return hops;
  }

  /** Messages with a recipient due at this next hop, longest due first. */
  dueMessages(hop: NextHop, now: number, limit: number): readonly QueueId[] {
    // Several recipients of one message are one job: look at more rows than jobs are wanted.
    const sql =
      'SELECT DISTINCT id FROM (SELECT id FROM recipient WHERE agent = ? AND hop = ? AND due <= ? ORDER BY due LIMIT ?)';
    return this.#all<{ id: QueueId }>(sql, hop.agent, hop.name, now, limit * 4)
      .slice(0, limit)
      .map((row) => row.id);
  }

  /** Nobody else gets these recipients before `until`. */
  lease(id: QueueId, numbers: readonly number[], until: number): void {
    for (const number of numbers)
      this.#run('UPDATE recipient SET due = ? WHERE id = ? AND number = ?', until, id, number);
  }

  recountHop(hop: NextHop): void {
    this.#recount(new Map([['', hop]]));
  }

  nextDue(): number | undefined {
    let next: number | undefined;
    for (const agent of ['local', 'remote']) {
      const due = this.#get<{ due: number | null }>(
        'SELECT min(due) AS due FROM hop WHERE agent = ?',
        agent,
      )?.due;
      if (due != null) next = Math.min(next ?? due, due);
    }
    return next;
  }

  /** Makes everything that waits and is not leased due. Resolves to how many recipients. */
  retryAll(now: number): number {
    return this.transaction(() => {
      const { changes } = this.#run(
        'UPDATE recipient SET due = ?, next_attempt = ? WHERE due IS NOT NULL AND due = next_attempt AND due > ?',
        now,
        now,
        now,
      );
      this.#run(
        'UPDATE hop SET due = (SELECT min(due) FROM recipient r WHERE r.agent = hop.agent AND r.hop = hop.hop AND r.due IS NOT NULL)',
      );
      return changes;
    });
  }

  get size(): number {
    return this.#get<{ n: number }>('SELECT count(*) AS n FROM message')?.n ?? 0;
  }

  close(): void {
    try {
      this.#run('UPDATE progress SET closed = 1');
    } finally {
      this.#db.close();
    }
  }

  /** Without the word that all is well. */
  abandon(): void {
    this.#db.close();
  }

  #put(entry: IndexEntry, touched: Map<string, NextHop>): void {
    const { message, base, length, spooled } = entry;
    const { recipients, ...body } = message;
    this.#run(
      'INSERT OR REPLACE INTO message (id, base, length, spooled, account, domain, body) VALUES (?, ?, ?, ?, ?, ?, ?)',
      message.id,
      base,
      length,
      spooled ? 1 : 0,
      message.account,
      message.from?.domain ?? null,
      JSON.stringify(body),
    );
    for (const recipient of recipients) {
      const hop = nextHop(recipient);
      touched.set(`${hop.agent} ${hop.name}`, hop);
      const { state } = recipient;
      this.#run(
        'INSERT OR REPLACE INTO recipient (id, number, agent, hop, domain, due, next_attempt, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
        message.id,
        recipient.index,
        hop.agent,
        hop.name,
        recipient.address.domain,
        entry.due(recipient),
        state.is === 'waiting' ? state.nextAttempt : null,
        JSON.stringify(recipient),
      );
    }
  }

  #delete(id: QueueId, touched: Map<string, NextHop>): void {
    if (!this.#get('SELECT 1 FROM message WHERE id = ?', id)) return;
    for (const hop of this.#all<NextHop>(
      'SELECT DISTINCT agent, hop AS name FROM recipient WHERE id = ?',
      id,
    ))
      touched.set(`${hop.agent} ${hop.name}`, hop);
    this.#run('DELETE FROM recipient WHERE id = ?', id);
    this.#run('DELETE FROM message WHERE id = ?', id);
  }

  #recount(touched: ReadonlyMap<string, NextHop>): void {
    for (const { agent, name } of touched.values()) {
      const sql = 'SELECT min(due) AS due FROM recipient WHERE agent = ? AND hop = ? AND due IS NOT NULL';
      const due = this.#get<{ due: number | null }>(sql, agent, name)?.due ?? null;
      if (due === null) this.#run('DELETE FROM hop WHERE agent = ? AND hop = ?', agent, name);
      else this.#run('INSERT OR REPLACE INTO hop (agent, hop, due) VALUES (?, ?, ?)', agent, name, due);
    }
  }

  #message(row: MessageRow): IndexedMessage {
    const rows = this.#all<RecipientRow>(
      'SELECT number, next_attempt, state FROM recipient WHERE id = ? ORDER BY number',
      row.id,
    );
    const body = JSON.parse(row.body) as Omit<QueuedMessage, 'recipients'>;
    return {
      message: { ...body, recipients: rows.map(recipientOf) },
      base: row.base,
      length: row.length,
      spooled: row.spooled === 1,
    };
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #run(sql: string, ...values: readonly unknown[]): { readonly changes: number } {
    return this.#statement(sql).run(...values);
  }

  #get<Row>(sql: string, ...values: readonly unknown[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  #all<Row>(sql: string, ...values: readonly unknown[]): readonly Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }
}

/** The column knows better than the JSON when the next attempt is: retryAll() only changes the column. */
function recipientOf(row: RecipientRow): QueuedRecipient {
  const recipient = JSON.parse(row.state) as QueuedRecipient;
  if (recipient.state.is !== 'waiting' || row.next_attempt === null) return recipient;
  const state: RecipientState = { ...recipient.state, nextAttempt: row.next_attempt };
  return { ...recipient, state };
}
