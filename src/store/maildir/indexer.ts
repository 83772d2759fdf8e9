import { type MailboxId, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { FullText } from './full-text.ts';
import { isDamaged, onwards } from './index.ts';
import { type Indexed, readForIndex } from './indexing.ts';
import { rowOf } from './message-row.ts';
import { keepSummary } from './read.ts';
import type { SearchMemory } from './search-memory.ts';
import { threadKeys } from './thread-ids.ts';

/**
 * Reads each message once, behind its delivery, and keeps all that sessions ask of it: what FETCH prints, keys to search,
 * sort and thread by, the words of its text. What is left to do stands in the index itself (a folder's messages after
 * `indexed.upto` that have no keys), so that it goes on after any interruption, and after the index was made anew.
 */

/** Messages in one transaction, and how long (ms) they may take to read. */
const BATCH = 32;
const TURN = 5;
/** Rows looked at to find the next ones; copies bring their keys along. */
const LOOK = 2000;

/** `states` in the index. */
export const WHOLE = 0;
export const CUT = 1;
export const UNREADABLE = 2;

interface Made {
  readonly uid: number;
  /** null when it could not be read: searches then look at the message itself. */
  readonly indexed: Indexed | null;
}

export class Indexer {
  readonly #account: MaildirAccount;
  readonly fullText: FullText;
  readonly memory: SearchMemory;
  /** Grows whenever keys were written. */
  version = 0;
  /** Folders that may have something to read; undefined: nobody has looked yet. */
  #waiting: Set<MailboxId> | undefined;
  /** Nothing was added or removed since the full text was put together. */
  #isTidy = true;

  constructor(account: MaildirAccount, memory: SearchMemory) {
    this.#account = account;
    this.memory = memory;
    this.fullText = new FullText(account, memory);
  }

  /** The index was thrown away, or is closed. */
  restart(): void {
    this.#waiting = undefined;
    this.memory.forget(this.#account);
    this.fullText.reset();
  }

  /** After a failure that will not go away by itself: what is left is for the next time the account is opened. */
  giveUp(): void {
    this.#waiting = new Set();
    this.fullText.reset();
  }

  /** Something of them is no longer true. */
  forgotten(mailbox: MailboxId): void {
    this.version++;
    this.added(mailbox);
  }

  /** Messages came into this folder. */
  added(mailbox: MailboxId): void {
    this.#waiting?.add(mailbox);
  }

  get hasWork(): boolean {
    return this.#waiting?.size !== 0;
  }

  /** Does all there is to do, then tidies up; yields when it has worked for a while. */
  *run(): Generator<null> {
    this.#waiting ??= this.#unfinished();
    for (const mailbox of this.#waiting) {
      const folder = this.#account.folders.get(mailbox);
      // It is deleted first: what arrives meanwhile puts it there again.
      this.#waiting?.delete(mailbox);
      while (folder && this.#account.folders.get(mailbox) === folder && (yield* this.#someOf(folder)))
        this.#isTidy = false;
    }
    while (this.fullText.forget()) {
      this.#isTidy = false;
      yield null;
    }
    while (!this.#isTidy) {
      this.#isTidy = !this.fullText.merge();
      yield null;
    }
  }

  /** What SORT, THREAD and THREADID need of these is there when this ends. */
  *complete(folder: Folder, uids: readonly number[]): Generator<null> {
    const { index } = this.#account;
    const known = index.prepare('SELECT 1 FROM keys WHERE id = ?');
    const missing = uids.filter((uid) => known.get(folder.id(uid)) === undefined);
    for (let at = 0; at < missing.length; ) {
      const batch = missing.slice(at, at + BATCH);
      const made = yield* this.#read(folder, batch);
      // What there was no time for comes next.
      at += made.length;
      this.#write(folder, made);
    }
  }

  /** True when there may be more. */
  *#someOf(folder: Folder): Generator<null, boolean> {
    const from = reached(this.#account, folder);
    const { uids, upto } = nextOf(this.#account, folder, from);
    const made = yield* this.#read(folder, uids);
    // What there was no time for comes next.
    const last = made.length < uids.length ? (made.at(-1)?.uid ?? 0) : folder.uidOf(upto);
    if (folder.id(last) <= from) return false;
    this.#write(folder, made, { from, upto: folder.id(last) });
    yield null;
    return true;
  }

  *#read(folder: Folder, uids: readonly number[]): Generator<null, Made[]> {
    const made: Made[] = [];
    const since = this.#account.now();
    for (const uid of uids) {
      if (made.length > 0 && this.#account.now() - since >= TURN) break;
      try {
        made.push({ uid, indexed: yield* readForIndex(this.#account, folder, uid) });
      } catch (error) {
        if (isDamaged(error)) throw error;
        // Expunged: nothing is written of it.
        if (!(error instanceof StoreError && error.kind === 'expunged'))
          this.#account.log.warn({ err: error, mailbox: folder.path, uid }, 'message cannot be indexed');
        made.push({ uid, indexed: null });
      }
    }
    return made;
  }

  #write(
    folder: Folder,
    made: readonly Made[],
    step?: { readonly from: number; readonly upto: number },
  ): void {
    const { index } = this.#account;
    // It was deleted while we read, or the index made anew.
    if (this.#account.folders.get(folder.mailbox) !== folder) return;
    this.version++;
    try {
      this.#account.write('later', [], () => {
        let doc = nextDoc(this.#account);
        for (const { uid, indexed } of made) if (this.#add(folder, uid, indexed, doc)) doc++;
        this.fullText.flush();
        // Unless a message appeared before it meanwhile.
        if (step?.from === reached(this.#account, folder))
          index.prepare('INSERT OR REPLACE INTO indexed VALUES (?, ?)').run(folder.row, step.upto);
      });
    } catch (error) {
      this.fullText.reset();
      throw error;
    }
  }

  #add(folder: Folder, uid: number, indexed: Indexed | null, doc: number): boolean {
    const { index } = this.#account;
    // It may have gone, or been indexed for somebody who could not wait.
    const row = rowOf(index, folder, uid);
    if (!row || index.column('SELECT 1 FROM keys WHERE id = ?', row.id).length > 0) return false;
    const insert = index.prepare('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    if (!indexed) {
      insert.run(row.id, 0, UNREADABLE, row.internalDate, row.internalDate, 0, 0, 0, null);
      return false;
    }
    const { summary, keys, words, text } = indexed;
    const { node, references, subject, thread } = threadKeys(index, row, keys);
    insert.run(
      row.id,
      doc,
      text === 'cut' ? CUT : WHOLE,
      // RFC 5256 2.2: without a usable Date field the internal date counts.
      keys.sentUtc ?? row.internalDate,
      keys.sent ?? row.internalDate,
      subject,
      node,
      thread,
      references.length > 0 ? references.join(' ') : null,
    );
    index
      .prepare('INSERT OR REPLACE INTO sort_keys VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(row.id, keys.subject, keys.from, keys.to, keys.cc, keys.displayFrom, keys.displayTo);
    keepSummary(index, row.id, summary);
    this.fullText.add(doc, {
      subject: words.subject,
      sender: words.from,
      recipient: words.to,
      cc: words.cc,
      bcc: words.bcc,
      header: words.header,
      body: words.body,
    });
    return true;
  }

  /** Folders whose last message is not indexed. */
  #unfinished(): Set<MailboxId> {
    return new Set(
      this.#account.index.column<MailboxId>(
        `SELECT mailbox FROM folders LEFT JOIN indexed ON folder = folders.id
          WHERE total > 0 AND coalesce(upto, 0) <
            (SELECT max(id) FROM messages WHERE id BETWEEN folders.id << 32 AND (folders.id << 32) + 4294967295)`,
      ),
    );
  }
}

/** UIDs of messages without keys, ascending: all of a folder, for a search that must look at them itself. */
export function unindexed(account: MaildirAccount, folder: Folder): number[] {
  return account.index
    .column(
      `SELECT messages.id FROM messages LEFT JOIN keys USING (id)
        WHERE messages.id > ? AND messages.id <= ? AND keys.id IS NULL ORDER BY messages.id`,
      reached(account, folder),
      folder.lastId,
    )
    .map((id) => folder.uidOf(id));
}

/** The next messages to read, and the message up to which all have been when they are. */
function nextOf(
  account: MaildirAccount,
  folder: Folder,
  from: number,
): { readonly uids: number[]; readonly upto: number } {
  const statement = account.index.prepare<[id: number, isIndexed: 0 | 1]>(
    `SELECT messages.id, keys.id IS NOT NULL FROM messages LEFT JOIN keys USING (id)
      WHERE messages.id > ? AND messages.id <= ? ORDER BY messages.id LIMIT ?`,
  );
  const uids: number[] = [];
  let upto = from;
  for (const limit of [BATCH, LOOK]) {
    const rows = statement.all(upto, folder.lastId, limit);
    for (const [id, isIndexed] of rows) {
      if (uids.length === BATCH) break;
      if (isIndexed === 0) uids.push(folder.uidOf(id));
      upto = onwards(upto, id);
    }
    // Else all were copies, which bring their keys along: there may be many.
    if (uids.length > 0 || rows.length < limit) break;
  }
  return { uids, upto };
}

function reached(account: MaildirAccount, folder: Folder): number {
  return account.index.column('SELECT upto FROM indexed WHERE folder = ?', folder.row)[0] ?? folder.firstId;
}

/** Numbers of texts that have still to be removed are not given again. */
function nextDoc(account: MaildirAccount): number {
  const [highest] = account.index.column<number | null>(
    'SELECT max(coalesce((SELECT max(doc) FROM keys), 0), coalesce((SELECT max(doc) FROM forgotten), 0))',
  );
  return (highest ?? 0) + 1;
}
