import { isAscii } from 'node:buffer';
import { type Accents, withoutAccents } from '../../message/fold.ts';
import type { Condition, Wanted } from '../../message/words.ts';
import type { MaildirAccount } from './account.ts';
import { type Index, onwards } from './index.ts';
import type { SearchMemory } from './search-memory.ts';

/**
 * The words of messages (message/words.ts) in SQLite's FTS5, without their order: enough to answer for parts of words,
 * exactly; several words are candidates that are looked at. FTS5 finds whole words only: which words have a wanted part
 * is read from the vocabulary, pages of words one after the other, a few milliseconds for half a million. Words stay in
 * it when their last message is gone; what they then find is nothing.
 */

export const TEXT_COLUMNS = ['subject', 'sender', 'recipient', 'cc', 'bcc', 'header', 'body'] as const;
export type TextColumn = (typeof TEXT_COLUMNS)[number];

/** Octets of a page of the vocabulary. */
const PAGE = 16 * 1024;
/** Pages read at a time. */
const PAGES = 32;
/** When accents are ignored, which takes longer. */
const LOOSE_PAGES = 4;
/** Words asked for in one query. */
const WORDS = 32;
/** A word that so many texts have is asked for alone. */
const MANY = 5000;
/** Of several conditions, one that so many words fulfil tells little: the others have to do. */
const VAGUE = 256;
/** Words remembered as known while messages are indexed. */
const MAX_SEEN = 50_000;
/** Texts removed, and pages merged, in one go. */
const FORGET = 20;
const MERGE = 4;

const NEWLINE = 0x0a;

export class FullText {
  readonly #account: MaildirAccount;
  readonly #memory: SearchMemory;
  readonly #seen = new Set<string>();
  #fresh: string[] = [];

  constructor(account: MaildirAccount, memory: SearchMemory) {
    this.#account = account;
    this.#memory = memory;
  }

  /** Inside a transaction that ends with `flush`. */
  add(doc: number, words: Readonly<Record<TextColumn, ReadonlySet<string>>>): void {
    const { index } = this.#account;
    index
      .prepare(`INSERT INTO texts (rowid, ${TEXT_COLUMNS.join(', ')}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(doc, ...TEXT_COLUMNS.map((column) => [...words[column]].join(' ')));
    const insert = index.prepare('INSERT OR IGNORE INTO words VALUES (?)');
    for (const column of TEXT_COLUMNS) {
      for (const word of words[column]) {
        if (this.#seen.has(word)) continue;
        if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
        this.#seen.add(word);
        if (insert.run(word).changes > 0) this.#fresh.push(word);
      }
    }
  }

  /** Writes the new words to the vocabulary. */
  flush(): void {
    if (this.#fresh.length === 0) return;
    const { index } = this.#account;
    const [page, words] = index
      .prepare<[number, Buffer]>('SELECT page, words FROM vocabulary ORDER BY page DESC LIMIT 1')
      .get() ?? [0, Buffer.alloc(0)];
    const more = Buffer.from(`${this.#fresh.join('\n')}\n`);
    const insert = index.prepare('INSERT OR REPLACE INTO vocabulary VALUES (?, ?)');
    if (page > 0 && words.length + more.length <= PAGE) insert.run(page, Buffer.concat([words, more]));
    else insert.run(page + 1, Buffer.concat([Buffer.from('\n'), more]));
    this.#fresh = [];
  }

  /** After a transaction that failed: nothing is known to be there. */
  reset(): void {
    this.#seen.clear();
    this.#fresh = [];
  }

  /** Removes some texts whose messages are gone; false when there are none. */
  forget(): boolean {
    const { index } = this.#account;
    const docs = index.column(`SELECT doc FROM forgotten LIMIT ${FORGET}`);
    if (docs.length === 0) return false;
    this.#account.write('later', [], () => {
      for (const doc of docs) {
        const [isUsed] = index.column('SELECT 1 FROM keys WHERE doc = ? LIMIT 1', doc);
        if (isUsed === undefined) index.prepare('DELETE FROM texts WHERE rowid = ?').run(doc);
        index.prepare('DELETE FROM forgotten WHERE doc = ?').run(doc);
      }
    });
    return true;
  }

  /** Puts pieces of the index together, a little at a time; false when there is nothing to do. */
  merge(): boolean {
    const { index } = this.#account;
    const total = (): number => index.column('SELECT total_changes()')[0] ?? 0;
    const before = total();
    this.#account.write('later', [], () =>
      index.prepare(`INSERT INTO texts (texts, rank) VALUES ('merge', ${MERGE})`).run(),
    );
    return total() - before > 1;
  }

  /**
   * Hands over the documents that fulfil the conditions, many of them more than once, until `take` has enough. Yields
   * when it has worked for a while. False when the conditions say nothing, and nothing was handed over.
   */
  *find(
    wanted: Wanted,
    columns: readonly TextColumn[],
    take: (docs: readonly number[]) => 'more' | 'enough',
    accents: Accents = 'matter',
  ): Generator<null, boolean> {
    const [only, ...more] = wanted.conditions;
    if (!only) return false;
    if (more.length === 0) {
      // Words that many messages have are met first: of a single letter, some words lead to all there are.
      let size = 1;
      let words: string[] = [];
      const ask = (): 'more' | 'enough' => {
        const docs = this.#docs([words], columns);
        words = [];
        size = docs.length > MANY ? 1 : Math.min(size * 2, WORDS);
        return docs.length > 0 ? take(docs) : 'more';
      };
      for (const some of this.#wordsOf(only, accents)) {
        for (const word of some) {
          words.push(word);
          if (words.length < size) continue;
          if (ask() === 'enough') return true;
          yield null;
        }
        yield null;
      }
      if (words.length > 0) ask();
      return true;
    }
    const sets: (readonly string[])[] = [];
    for (const condition of wanted.conditions) {
      const words: string[] = [];
      for (const some of this.#wordsOf(condition, accents)) {
        words.push(...some);
        yield null;
        if (words.length > VAGUE) break;
      }
      if (words.length === 0) return true;
      if (words.length <= VAGUE) sets.push(words);
    }
    if (sets.length === 0) return false;
    sets.sort((a, b) => a.length - b.length);
    const [fewest = [], ...others] = sets;
    for (let at = 0; at < fewest.length; at += WORDS) {
      const docs = this.#docs([fewest.slice(at, at + WORDS), ...others], columns);
      if (docs.length > 0 && take(docs) === 'enough') return true;
      yield null;
    }
    return true;
  }

  /** Texts that have a word of each set. */
  #docs(sets: readonly (readonly string[])[], columns: readonly TextColumn[]): number[] {
    return this.#account.index.column(
      'SELECT rowid FROM texts WHERE texts MATCH ?',
      `{${columns.join(' ')}} : (${sets.map(anyOf).join(' AND ')})`,
    );
  }

  /** A part of the vocabulary at a time. */
  *#wordsOf(condition: Condition, accents: Accents): Generator<string[]> {
    if (condition.is === 'word' && accents === 'matter') {
      yield [condition.word];
      return;
    }
    const needle = Buffer.from(asLine(condition));
    const pagesAtOnce = accents === 'matter' ? PAGES : LOOSE_PAGES;
    const { index } = this.#account;
    let vocabulary = this.#memory.get(this, Vocabulary);
    if (vocabulary?.index !== index) vocabulary = new Vocabulary(index);
    for (let from = 0; ; from += pagesAtOnce) {
      if (from + pagesAtOnce > vocabulary.pages.length) vocabulary.read();
      const pages = vocabulary.pages.slice(from, from + pagesAtOnce);
      if (pages.length === 0) break;
      const found: string[] = [];
      for (const words of pages)
        if (accents === 'matter' || isAscii(words)) wordsWith(words, needle, found);
        else wordsLike(words, needle.toString(), found);
      yield found;
    }
    this.#memory.keep(this.#account, this, vocabulary);
  }
}

/** Pages that were read; only the last one grows. */
class Vocabulary {
  readonly index: Index;
  readonly pages: Buffer[] = [];

  constructor(index: Index) {
    this.index = index;
  }

  get bytes(): number {
    return this.pages.length * PAGE;
  }

  /** Some more, and the last one again. */
  read(): void {
    const known = Math.max(this.pages.length - 1, 0);
    const rows = this.index
      .prepare<[page: number, words: Buffer]>(
        `SELECT page, words FROM vocabulary WHERE page > ? ORDER BY page LIMIT ${PAGES + 1}`,
      )
      .all(known);
    let before = known;
    for (const [page] of rows) before = onwards(before, page);
    this.pages.splice(known, 1, ...rows.map(([, words]) => words));
  }
}

/** Words stand between line ends; the page begins and ends with one. */
function wordsWith(page: Buffer, needle: Buffer, into: string[]): void {
  for (let at = page.indexOf(needle); at >= 0; ) {
    const start = page[at] === NEWLINE ? at + 1 : page.lastIndexOf(NEWLINE, at) + 1;
    const end = page.indexOf(NEWLINE, start);
    into.push(page.toString('utf8', start, end));
    at = page.indexOf(needle, end);
  }
}

/** The same where accents are ignored: `needle` has none. */
function wordsLike(page: Buffer, needle: string, into: string[]): void {
  const text = page.toString();
  const bare = withoutAccents(text);
  if (!bare.includes(needle)) return;
  const words = text.split('\n');
  for (const [at, word] of bare.split('\n').entries())
    if (word !== '' && `\n${word}\n`.includes(needle)) into.push(words[at] ?? '');
}

/** Words stand between line ends. */
function asLine(condition: Condition): string {
  if (condition.is === 'word') return `\n${condition.word}\n`;
  const { of, text } = condition;
  return `${of === 'begin' ? '\n' : ''}${text}${of === 'end' ? '\n' : ''}`;
}

function anyOf(words: readonly string[]): string {
  return `(${words.map((word) => `"${word}"`).join(' OR ')})`;
}
