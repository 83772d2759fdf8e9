import { mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { parseUidlFormat, type UidlFormat } from '../../uidl-format.ts';
import type { MaildirAccount } from '../account.ts';
import { catchUp } from '../background.ts';
import { DIRECTORY_MODE, exists, unlinkIfThere, writeDurably } from '../disk.ts';
import { parseBase } from '../file-name.ts';
import type { Folder } from '../folder.ts';
import { onwards } from '../index.ts';
import { type KeptUidl, readKeptUidls } from '../kept-uidls.ts';
import { writeSubscriptions } from '../subscriptions.ts';
import { finish, type Steps } from '../turns.ts';
import { writingUidlist } from './adopt-folder.ts';
import { formatKeywords, KEYWORDS_FILE } from './keywords.ts';
import { baseOf, openUidlist, readLines, UIDLIST_FILE, type UidlistEntry } from './uidlist.ts';
import { writeLastUidValidity } from './uidvalidity.ts';

/**
 * Writes what Dovecot needs to take an account's tree with the same UIDs, UIDVALIDITY, keywords and POP3 unique ids:
 * dovecot-uidlist and dovecot-keywords in each folder, dovecot-uidvalidity and subscriptions. Its index files go: they
 * can be made again from these, and may know of UIDs that meanwhile belong to other messages. Each file is replaced at
 * once and durably; messages are not touched. Names must be up to date before (background.ts).
 */

export interface ReleaseOptions {
  /** How messages without a kept one get their POP3 unique id, in an account that was never adopted. */
  readonly uidl: string;
  /** `CONTROL=` of Dovecot's mail_location; null is the tree itself. */
  readonly control: string | null;
  /** `hand-over`: from now on the account is closed, until it is adopted again. `serve`: it goes on. */
  readonly after: 'hand-over' | 'serve';
}

export interface Released {
  /** Where the tree lies, links followed. */
  readonly path: string;
  readonly folders: number;
  readonly messages: number;
  /** Index files of Dovecot's that were removed. */
  readonly removed: number;
  /** Above every MODSEQ that was shown. */
  readonly modSeq: number;
}

/** Rows read at a time; after each piece others may have their turn. */
const PIECE = 500;

export function* releasing(account: MaildirAccount, options: ReleaseOptions): Steps<Released> {
  const written = new Map<Folder, Written>();
  for (const folder of [...account.byPath.values()]) {
    written.set(folder, yield* releaseFolder(account, folder, options));
    yield null;
  }
  // What changed while others had their turn is written again, now without them.
  while (account.behind) catchUp(account);
  for (const folder of account.byPath.values()) {
    const before = written.get(folder);
    if (before?.modSeq !== folder.modSeq || before.uidNext !== folder.uidNext || before.dir !== folder.dir)
      written.set(folder, finish(releaseFolder(account, folder, options)));
  }
  const folders = [...account.byPath.values()];
  const highest = folders.reduce(
    (most, { uidValidity }) => Math.max(most, uidValidity),
    account.lastUidValidity,
  );
  const control = options.control ?? account.maildir;
  writeLastUidValidity(control, highest);
  account.saveSubscriptions();
  if (options.control !== null) writeSubscriptions(control, account.subscriptions);
  const all = folders.flatMap((folder) => written.get(folder) ?? []);
  return {
    path: realpathSync(account.maildir),
    folders: folders.length,
    messages: all.reduce((sum, { messages }) => sum + messages, 0),
    removed: all.reduce((sum, { removed }) => sum + removed, 0),
    modSeq: folders.reduce((most, { modSeq }) => Math.max(most, modSeq), 0),
  };
}

/** A folder's files as Dovecot will find them, and as of when. */
interface Written {
  readonly dir: string;
  readonly modSeq: number;
  readonly uidNext: number;
  readonly messages: number;
  readonly removed: number;
}

function* releaseFolder(account: MaildirAccount, folder: Folder, options: ReleaseOptions): Steps<Written> {
  const { dir, modSeq, uidNext, uidValidity } = folder;
  const directory = account.directoryOf(folder);
  const target = controlOf(folder, directory, options.control);
  const uidls = dir === '' ? uidlsOf(account, folder, options.uidl) : undefined;
  let messages = 0;
  const entries = counting(entriesOf(account, folder, target, uidls), (count) => {
    messages = count;
  });
  yield* writingUidlist(target, { uidValidity, uidNext, fields: headerFields(target) }, entries);
  if (folder.keywords.some((keyword) => keyword !== '') || exists(`${target}/${KEYWORDS_FILE}`))
    writeDurably(target, KEYWORDS_FILE, formatKeywords(folder.keywords));
  let removed = 0;
  for (const name of readdirSync(directory))
    if (/^dovecot\.(list\.)?index/.test(name) && unlinkIfThere(`${directory}/${name}`)) removed++;
  return { dir, modSeq, uidNext, messages, removed };
}

function controlOf({ dir }: Folder, directory: string, control: string | null): string {
  if (control === null) return directory;
  const target = dir === '' ? control : `${control}/${dir}`;
  mkdirSync(target, { recursive: true, mode: DIRECTORY_MODE });
  return target;
}

/** The folder's guid and what else Dovecot had written there. */
function headerFields(directory: string): Readonly<Record<string, string>> {
  const lines = readLines(`${directory}/${UIDLIST_FILE}`);
  const list = lines && openUidlist(lines);
  list?.entries.return(undefined);
  return list?.fields ?? {};
}

/** The messages with what the present list says of them besides: guid, order, unique id. Both ascend by UID. */
function* entriesOf(
  account: MaildirAccount,
  folder: Folder,
  directory: string,
  uidls: Uidls | undefined,
): Generator<UidlistEntry> {
  const lines = readLines(`${directory}/${UIDLIST_FILE}`);
  const list = lines && openUidlist(lines);
  const former = list && list.uidValidity === folder.uidValidity ? new Ascending(list.entries) : undefined;
  const last = folder.id(folder.uidNext - 1);
  for (let after = folder.firstId; ; ) {
    const rows = account.index
      .prepare<[id: number, base: string]>(
        `SELECT id, base FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT ${PIECE}`,
      )
      .all(after, last);
    for (const [id, base] of rows) {
      after = onwards(after, id);
      const uid = folder.uidOf(id);
      yield { uid, base: baseOf(base), fields: fieldsOf(former?.at(uid), base, uidls?.of(uid)) };
    }
    if (rows.length < PIECE) break;
  }
  list?.entries.return(undefined);
}

function fieldsOf(
  former: UidlistEntry | undefined,
  base: string,
  uniqueId: string | undefined,
): Readonly<Record<string, string>> {
  const same = former && parseBase(former.base).unique === parseBase(base).unique ? former : undefined;
  const fields: Record<string, string> = { ...same?.fields };
  // Without it the guid is made of the file name, which was another one.
  if (same && same.base !== baseOf(base)) fields['G'] ??= same.base;
  if (uniqueId !== undefined) fields['P'] = uniqueId;
  return fields;
}

interface Uidls {
  /** undefined: Dovecot makes the same one by itself. To be asked with ascending UIDs. */
  of(uid: number): string | undefined;
}

function uidlsOf(account: MaildirAccount, inbox: Folder, setting: string): Uidls {
  const { uidValidity } = inbox;
  const first = readKeptUidls(account.maildir, uidValidity, 0);
  const format: UidlFormat = parseUidlFormat(first?.format ?? setting);
  const kept = new Ascending(keptUidls(account.maildir, uidValidity));
  return {
    of(uid) {
      const own = kept.at(uid)?.uniqueId;
      if (own !== undefined || first?.theirs === format.text) return own;
      return format.expand({ uid, uidValidity });
    },
  };
}

export function* keptUidls(maildir: string, uidValidity: number): Generator<KeptUidl> {
  for (let from: number | null = 0; from !== null; ) {
    const piece = readKeptUidls(maildir, uidValidity, from);
    if (!piece) return;
    yield* piece.ids;
    from = piece.next;
  }
}

/** Finds, one after the other, the items of ascending UIDs. */
class Ascending<T extends { readonly uid: number }> {
  readonly #items: Iterator<T | null>;
  #next: T | undefined;

  constructor(items: Iterable<T | null>) {
    this.#items = items[Symbol.iterator]();
  }

  at(uid: number): T | undefined {
    while (!this.#next || this.#next.uid < uid) {
      const { value, done } = this.#items.next();
      if (done) return undefined;
      if (value) this.#next = value;
    }
    return this.#next.uid === uid ? this.#next : undefined;
  }
}

function* counting<T>(items: Iterable<T>, total: (count: number) => void): Generator<T> {
  let count = 0;
  for (const item of items) {
    count++;
    yield item;
  }
  total(count);
}
