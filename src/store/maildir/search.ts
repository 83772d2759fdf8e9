import { type Accents, fold } from '../../message/fold.ts';
import { type Wanted, type WordStyle, wantedWords } from '../../message/words.ts';
import { type SearchCriteria, StoreError } from '../store.ts';
import type { MaildirAccount } from './account.ts';
import type { Folder } from './folder.ts';
import { folderKeys } from './folder-keys.ts';
import type { TextColumn } from './full-text.ts';
import { UNREADABLE, unindexed } from './indexer.ts';
import { highestUid, normaliseRanges } from './message-row.ts';
import { MessageTests } from './message-tests.ts';
import { ALL, rowCondition } from './row-condition.ts';
import { both, either, inRanges, NO_UIDS, placesIn, type UidSet, uidSet, without } from './uid-set.ts';

/**
 * SEARCH over sets of UIDs: what the rows tell is one query, words come from the full text, and only what these leave
 * open is read. Messages that are not indexed yet, or not wholly, are looked at themselves. A generator, so that whoever
 * runs it can let others in between: it yields when it has worked for a while.
 */

/** Nesting of criteria; RFC 9051 has no minimum, people nest two or three. */
const MAX_DEPTH = 100;
/** Messages that are asked for one by one; of more, all of the folder are read. */
const FEW = 1000;
/** From so few candidates on, looking at each is cheaper than asking the index. */
const HANDFUL = 4;

/** A folded string, and the words among which it is looked for. */
interface WantedText {
  readonly needle: string;
  readonly style: WordStyle;
  readonly columns: readonly TextColumn[];
  readonly accents: Accents | undefined;
}

type Ranges = ReturnType<typeof normaliseRanges>;
type Steps = Generator<null, UidSet>;

export function* search(account: MaildirAccount, { mailbox }: Folder, criteria: SearchCriteria): Steps {
  for (;;) {
    const { index } = account;
    const folder = account.folder(mailbox);
    const found = yield* new Search(account, folder).find(criteria, undefined, 0);
    // When the index was made anew in between, half of the answer is of nothing.
    if (account.index === index) return both(found, account.roster(folder).uids());
  }
}

class Search {
  readonly #account: MaildirAccount;
  readonly #folder: Folder;
  readonly #tests: MessageTests;
  #all: UidSet | undefined;
  #unindexed: UidSet | undefined;
  #incomplete: UidSet | undefined;

  constructor(account: MaildirAccount, folder: Folder) {
    this.#account = account;
    this.#folder = folder;
    this.#tests = new MessageTests(account, folder);
  }

  /** Those `within` (undefined: the whole folder) that match. */
  *find(criteria: SearchCriteria, within: UidSet | undefined, depth: number): Steps {
    if (depth > MAX_DEPTH) throw new StoreError('limit', 'This search is nested too deeply');
    if (within?.length === 0) return NO_UIDS;
    const condition = rowCondition(this.#folder, criteria);
    if (condition?.sql === ALL) return within ?? this.#everything();
    if (condition) return this.#rows(condition.sql, condition.values, within);
    if ('all' in criteria) {
      let left = within;
      for (const next of byCost(criteria.all)) left = yield* this.find(next, left, depth + 1);
      return left ?? this.#everything();
    }
    if ('any' in criteria) {
      let found = NO_UIDS;
      for (const next of byCost(criteria.any)) {
        const rest = found.length > 0 ? without(within ?? this.#everything(), found) : within;
        found = either(found, yield* this.find(next, rest, depth + 1));
      }
      return found;
    }
    if ('not' in criteria) {
      const all = within ?? this.#everything();
      return without(all, yield* this.find(criteria.not, within, depth + 1));
    }
    if ('uid' in criteria) {
      const ranges: Ranges = normaliseRanges(criteria.uid, highestUid(this.#account.index, this.#folder));
      return inRanges(within ?? this.#everything(), ranges);
    }
    if ('header' in criteria) return yield* this.#header(criteria, within);
    if ('text' in criteria) return yield* this.#text(criteria, within);
    if ('date' in criteria) return yield* this.#sent(criteria, within);
    throw new Error('rows answer all other criteria');
  }

  #rows(sql: string, values: readonly (number | string)[], within: UidSet | undefined): UidSet {
    const { firstId, lastId } = this.#folder;
    const few = within && within.length <= FEW ? within : undefined;
    const ids = few
      ? this.#account.index.column(
          `SELECT id FROM messages WHERE id IN (SELECT value FROM json_each(?)) AND (${sql}) ORDER BY id`,
          JSON.stringify(Array.from(few, (uid) => this.#folder.id(uid))),
          ...values,
        )
      : this.#account.index.column(
          `SELECT id FROM messages WHERE id BETWEEN ? AND ? AND (${sql}) ORDER BY id`,
          firstId,
          lastId,
          ...values,
        );
    const found = this.#uidsOf(ids);
    return within && !few ? both(found, within) : found;
  }

  *#header(
    { header, contains, accents }: Extract<SearchCriteria, { readonly header: string }>,
    within: UidSet | undefined,
  ): Steps {
    const name = header.toLowerCase();
    const needle = fold(contains, accents);
    const test = (uid: number): boolean => this.#tests.header(uid, name, needle, accents);
    if (within && within.length <= HANDFUL) return yield* this.#lookAt(within, test);
    const column = COLUMN_OF.get(name);
    if (column && needle !== '') {
      const style = column === 'subject' ? 'text' : 'address';
      const wanted: WantedText = { needle, style, columns: [column], accents };
      return yield* this.#words(wanted, within, 'exact', test);
    }
    // The field's name, or what is looked for in it, is in the header somewhere.
    const wanted = {
      needle: needle === '' ? fold(name) : needle,
      style: 'text',
      columns: ['header'],
      accents,
    } as const;
    return yield* this.#words(wanted, within, 'candidates', test, name);
  }

  *#text(
    { text, in: where, accents }: Extract<SearchCriteria, { readonly text: string }>,
    within: UidSet | undefined,
  ): Steps {
    const needle = fold(text, accents);
    if (needle === '') return within ?? this.#everything();
    const test = (uid: number): boolean => this.#tests.text(uid, where, text, accents);
    if (within && within.length <= HANDFUL) return yield* this.#lookAt(within, test);
    const columns: readonly TextColumn[] = where === 'body' ? ['body'] : ['header', 'body'];
    return yield* this.#words({ needle, style: 'text', columns, accents }, within, 'exact', test);
  }

  /** @param meaning `candidates`: what the words find is looked at in any case */
  *#words(
    { needle, style, columns, accents }: WantedText,
    within: UidSet | undefined,
    meaning: 'exact' | 'candidates',
    test: (uid: number) => boolean,
    field?: string,
  ): Steps {
    // Before the words are asked: what is indexed meanwhile is then found twice, not missed.
    const untested = this.#untested();
    const wanted = wantedWords(needle, style, accents);
    const mayStand = field === undefined || this.#tests.isIndexed(field);
    const found = mayStand ? yield* this.#withWords(wanted, columns, within, accents) : undefined;
    if (!found) return yield* this.#lookAt(within ?? this.#everything(), test);
    const isProof = wanted.proves === 'yes' && meaning === 'exact';
    const sure = isProof ? found : yield* this.#lookAt(found, test);
    const rest = without(within ? both(untested, within) : untested, isProof ? found : sure);
    return either(sure, yield* this.#lookAt(rest, test));
  }

  *#sent(
    { from, before }: Extract<SearchCriteria, { readonly date: unknown }>,
    within: UidSet | undefined,
  ): Steps {
    const first = from ?? Number.MIN_SAFE_INTEGER;
    const end = before ?? Number.MAX_SAFE_INTEGER;
    // Of one that cannot be read the day of arrival is known.
    const notIndexed = uidSet(unindexed(this.#account, this.#folder));
    const { uids, sent: dates } = yield* folderKeys(this.#account, this.#folder);
    const indexed = uids.filter((_, at) => (dates[at] ?? 0) >= first && (dates[at] ?? 0) < end);
    const isIn = (uid: number): boolean => {
      const sent = this.#tests.sent(uid);
      return sent >= first && sent < end;
    };
    const known = within ? both(indexed, within) : indexed;
    return either(known, yield* this.#lookAt(within ? both(notIndexed, within) : notIndexed, isIn));
  }

  *#lookAt(uids: UidSet, test: (uid: number) => boolean): Steps {
    const found: number[] = [];
    for (const uid of uids) {
      try {
        if (test(uid)) found.push(uid);
      } catch (error) {
        // It went while we searched.
        if (!(error instanceof StoreError && error.kind === 'expunged')) throw error;
      }
      yield null;
    }
    return Uint32Array.from(found);
  }

  #everything(): UidSet {
    this.#all ??= this.#account.roster(this.#folder).uids();
    return this.#all;
  }

  /** Not indexed, or only in part. */
  #untested(): UidSet {
    this.#incomplete ??= this.#withState('state <> 0');
    return either(this.#notIndexed(), this.#incomplete);
  }

  /** Nothing is known of them. */
  #notIndexed(): UidSet {
    this.#unindexed ??= either(
      uidSet(unindexed(this.#account, this.#folder)),
      this.#withState(`state <> 0 AND state = ${UNREADABLE}`),
    );
    return this.#unindexed;
  }

  #withState(condition: string): UidSet {
    const ids = this.#account.index.column(
      `SELECT id FROM keys WHERE ${condition} AND id BETWEEN ? AND ? ORDER BY id`,
      this.#folder.firstId,
      this.#folder.lastId,
    );
    return this.#uidsOf(ids);
  }

  /** Those whose texts fulfil the conditions; undefined when these say nothing. */
  *#withWords(
    wanted: Wanted,
    columns: readonly TextColumn[],
    within: UidSet | undefined,
    accents: Accents | undefined,
  ): Generator<null, UidSet | undefined> {
    const { uids, docs, placesByDoc: places } = yield* folderKeys(this.#account, this.#folder);
    /** Of each text: 1 when it was found. */
    const found = new Uint8Array(places.length);
    let left = within ? within.length : uids.length;
    const isWanted = within && new Uint8Array(uids.length);
    if (within && isWanted) for (const place of placesIn(uids, within)) isWanted[place] = 1;
    let hits = 0;
    const isKnown = yield* this.#account.indexer.fullText.find(
      wanted,
      columns,
      (texts) => {
        for (const doc of texts) {
          const place = places[doc] ?? 0;
          if (place === 0 || found[doc] === 1) continue;
          found[doc] = 1;
          hits++;
          if (!isWanted || isWanted[place - 1] === 1) left--;
        }
        return left > 0 ? 'more' : 'enough';
      },
      accents,
    );
    if (!isKnown) return undefined;
    if (hits === 0) return NO_UIDS;
    const all = new Uint32Array(uids.length);
    let count = 0;
    // Copies in one folder share their text.
    for (let at = 0; at < uids.length; at++) if (found[docs[at] ?? 0] === 1) all[count++] = uids[at] ?? 0;
    const matching = all.subarray(0, count);
    return within ? both(matching, within) : matching;
  }

  #uidsOf(ids: readonly number[]): UidSet {
    const { firstId } = this.#folder;
    return Uint32Array.from(ids, (id) => id - firstId);
  }
}

const COLUMN_OF: ReadonlyMap<string, TextColumn> = new Map([
  ['subject', 'subject'],
  ['from', 'sender'],
  ['to', 'recipient'],
  ['cc', 'cc'],
  ['bcc', 'bcc'],
]);

function byCost(criteria: readonly SearchCriteria[]): SearchCriteria[] {
  return [...criteria].sort((a, b) => cost(a, 0) - cost(b, 0));
}

function cost(criteria: SearchCriteria, depth: number): number {
  if (depth > MAX_DEPTH) return 0;
  if ('all' in criteria) return Math.max(0, ...criteria.all.map((next) => cost(next, depth + 1)));
  if ('any' in criteria) return Math.max(0, ...criteria.any.map((next) => cost(next, depth + 1)));
  if ('not' in criteria) return cost(criteria.not, depth + 1);
  if ('text' in criteria) return 3;
  if ('header' in criteria) return COLUMN_OF.has(criteria.header.toLowerCase()) ? 1 : 2;
  return 0;
}
