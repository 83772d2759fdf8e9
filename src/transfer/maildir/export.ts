import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  futimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { directoryOf } from '../../store/mailbox-path.ts';
import { syncDirectory, writeDurably } from '../../store/maildir/disk.ts';
import { writeSubscriptions } from '../../store/maildir/subscriptions.ts';
import { type Flag, StoreError } from '../../store/store.ts';
import type { Listed, Place } from '../account.ts';
import { TransferError } from '../errors.ts';
import {
  ExportCount,
  type ExportParts,
  type ExportSummary,
  messagesOf,
  type Outgoing,
} from '../export-mail.ts';
import { CarriageReturns } from '../mbox/write.ts';
import { dovecotKeywords, isMaildir } from './tree.ts';

/**
 * Folders as a Maildir++ for other programs: flags in names, keywords in `dovecot-keywords`, dates as file times. Names
 * are made of UIDVALIDITY and UID, so an export into the same place writes what is new, renames what has other flags
 * and leaves all else alone; what has been expunged here stays there.
 */
export interface MaildirExport {
  readonly destination: string;
  /** `root`: one folder, as the Maildir itself. */
  readonly layout: 'tree' | 'root';
  readonly lineEnds: 'crlf' | 'lf';
}

/** Files written before their directory is synced. */
const BATCH = 1000;
const MAX_KEYWORDS = 26;
const LETTERS: readonly (readonly [Flag, string])[] = [
  ['\\Draft', 'D'],
  ['\\Flagged', 'F'],
  ['$Forwarded', 'P'],
  ['\\Answered', 'R'],
  ['\\Seen', 'S'],
  ['\\Deleted', 'T'],
];

export async function exportMaildir(
  places: readonly Place[],
  wish: MaildirExport,
  parts: ExportParts,
): Promise<ExportSummary> {
  const { destination, layout } = wish;
  if (existsSync(destination) && !isMaildir(destination) && readdirSync(destination).length > 0)
    throw new TransferError(`${destination} is there, not empty and not a Maildir`);
  const count = new ExportCount(places, parts.onProgress);
  const notes: string[] = [];
  const results: { folder: string; file: string; messages: number }[] = [];
  makeMaildir(destination);
  for (const place of places) {
    count.begin(place.path);
    const directory = layout === 'root' ? destination : join(destination, directoryOf(place.path));
    makeMaildir(directory);
    const folder = new Folder(directory, place, wish.lineEnds);
    results.push({ folder: place.path, file: directory, messages: await folder.write(parts, count) });
    if (folder.dropped > 0)
      notes.push(
        `${place.path}: ${folder.dropped} message(s) lost keywords, a Maildir has room for ${MAX_KEYWORDS}`,
      );
    count.end();
  }
  if (layout === 'tree')
    writeSubscriptions(destination, { paths: new Set(await parts.account.subscriptions()), strange: [] });
  syncDirectory(destination);
  return { ...count.progress(), places: results, notes };
}

function makeMaildir(directory: string): void {
  for (const part of ['cur', 'new', 'tmp'])
    mkdirSync(join(directory, part), { recursive: true, mode: 0o700 });
}

class Folder {
  dropped = 0;
  readonly #directory: string;
  readonly #place: Place;
  readonly #lineEnds: 'crlf' | 'lf';
  readonly #keywords: Flag[];
  /** What was exported before: part and name, by what is unique. */
  readonly #there = new Map<string, string>();
  #unsynced: [temporary: string, name: string][] = [];

  constructor(directory: string, place: Place, lineEnds: 'crlf' | 'lf') {
    this.#directory = directory;
    this.#place = place;
    this.#lineEnds = lineEnds;
    this.#keywords = dovecotKeywords(directory);
    for (const part of ['new', 'cur'])
      for (const name of readdirSync(join(directory, part)))
        this.#there.set(name.split(',', 1)[0] ?? name, `${part}/${name}`);
    // Of an export that was stopped.
    for (const name of readdirSync(join(directory, 'tmp')))
      if (name.includes('.facteur,')) rmSync(join(directory, 'tmp', name));
  }

  async write({ account, signal }: ExportParts, count: ExportCount): Promise<number> {
    let messages = 0;
    const wanted = (message: Listed): boolean => !this.#there.has(this.#unique(message));
    for await (const message of messagesOf(account, this.#place, wanted)) {
      signal.throwIfAborted();
      if ('skipped' in message) {
        this.#rename(message.skipped);
        count.add('known', 0);
        continue;
      }
      if (!(await this.#add(message))) continue;
      messages++;
      count.add('messages', message.size);
      if (this.#unsynced.length >= BATCH) this.#settle();
    }
    this.#settle();
    return messages;
  }

  #unique({ uid, internalDate }: Listed): string {
    return `${Math.floor(internalDate / 1000)}.V${this.#place.uidValidity}U${uid}.facteur`;
  }

  /** False when it was expunged meanwhile. */
  async #add(message: Outgoing): Promise<boolean> {
    const info = this.#info(message.flags);
    const temporary = join(this.#directory, 'tmp', `${this.#unique(message)},S=${message.size}`);
    const fd = openSync(temporary, 'w', 0o600);
    let size = 0;
    try {
      // As in the store: so one sync carries a whole batch on ext4.
      ftruncateSync(fd, 0);
      const carriage = this.#lineEnds === 'lf' ? new CarriageReturns() : null;
      const write = (bytes: Uint8Array): void => {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at);
        size += bytes.length;
      };
      for await (const chunk of message.raw.read())
        for (const bytes of carriage ? carriage.next(chunk) : [chunk]) write(bytes);
      for (const bytes of carriage?.end() ?? []) write(bytes);
      futimesSync(fd, message.internalDate / 1000, message.internalDate / 1000);
    } catch (error) {
      rmSync(temporary, { force: true });
      if (error instanceof StoreError && error.kind === 'expunged') return false;
      throw error;
    } finally {
      closeSync(fd);
    }
    const base = `${this.#unique(message)},S=${size},W=${message.size}`;
    const name = info === '' ? `new/${base}` : `cur/${base}:2,${info}`;
    this.#unsynced.push([temporary, name]);
    return true;
  }

  /** All that was written gets its name when it is on the disk. */
  #settle(): void {
    for (const [temporary] of this.#unsynced) {
      const fd = openSync(temporary, 'r');
      try {
        fdatasyncSync(fd);
      } finally {
        closeSync(fd);
      }
    }
    for (const [temporary, name] of this.#unsynced) renameSync(temporary, join(this.#directory, name));
    if (this.#unsynced.length > 0)
      for (const part of ['new', 'cur']) syncDirectory(join(this.#directory, part));
    this.#unsynced = [];
  }

  /** Flags may have changed since it was exported. */
  #rename(message: Listed): void {
    const old = this.#there.get(this.#unique(message));
    if (old === undefined) return;
    const info = this.#info(message.flags);
    const base = old.slice(4).replace(/:2,[A-Za-z]*$/, '');
    const name = info === '' && old.startsWith('new/') ? `new/${base}` : `cur/${base}:2,${info}`;
    if (name !== old && statSync(join(this.#directory, old), { throwIfNoEntry: false }))
      renameSync(join(this.#directory, old), join(this.#directory, name));
  }

  #info(flags: readonly Flag[]): string {
    const letters = new Set<string>();
    let lost = false;
    for (const flag of flags) {
      const system = LETTERS.find(([known]) => known.toLowerCase() === flag.toLowerCase());
      if (system) letters.add(system[1]);
      else if (!flag.startsWith('\\')) {
        const letter = this.#keyword(flag);
        if (letter === null) lost = true;
        else letters.add(letter);
      }
    }
    if (lost) this.dropped++;
    return [...letters].sort().join('');
  }

  #keyword(keyword: Flag): string | null {
    let at = this.#keywords.findIndex((known) => known.toLowerCase() === keyword.toLowerCase());
    if (at < 0) {
      at = this.#keywords.indexOf('');
      if (at < 0) return null;
      this.#keywords[at] = keyword;
      const lines = this.#keywords.flatMap((known, number) => (known === '' ? [] : [`${number} ${known}\n`]));
      writeDurably(this.#directory, 'dovecot-keywords', lines.join(''));
    }
    return String.fromCharCode(97 + at);
  }
}
