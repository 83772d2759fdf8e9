import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Flag } from '../../store/store.ts';
import { withCrlf } from '../eml.ts';
import { TransferError } from '../errors.ts';
import { ByteFile, bytesBetween } from '../file.ts';
import type { LedgerFolder } from '../ledger.ts';
import type { Source, SourceFolder, SourceItem } from '../source.ts';
import { findMaildirs, type MaildirPlace } from './tree.ts';

/**
 * A Maildir of another program. It is only read. A message's name, up to the first comma, is the message's for ever: a
 * second run reads none that has come before. A file that gets another name while we read is looked for once more.
 */
export interface MaildirWishes {
  readonly path: string;
  readonly name: string | null;
}

const FLAGS: ReadonlyMap<string, Flag> = new Map([
  ['S', '\\Seen'],
  ['R', '\\Answered'],
  ['F', '\\Flagged'],
  ['T', '\\Deleted'],
  ['D', '\\Draft'],
  ['P', '$Forwarded'],
]);

interface Entry {
  readonly place: string;
  /** For ever. */
  readonly unique: string;
  readonly letters: string;
}

export function maildirSource(wishes: MaildirWishes): Source {
  const root = realpathSync(wishes.path);
  return {
    kind: 'maildir',
    name: wishes.name ?? root,
    async folders() {
      const places = findMaildirs(root);
      if (places.length === 0)
        throw new TransferError(
          `${wishes.path} is not a Maildir: neither it nor a directory in it has "cur"`,
        );
      return places.map(maildirFolder);
    },
    close: async () => {},
  };
}

function maildirFolder(place: MaildirPlace): SourceFolder {
  const { path, specialUse, subscribed } = place;
  return {
    name: path.join('/'),
    path,
    specialUse,
    subscribed,
    view: false,
    total: { messages: names(place.directory).length },
    selectable: true,
    notes: () => [],
    messages: (ledger) => messages(place, ledger),
  };
}

function* messages(place: MaildirPlace, ledger: LedgerFolder): Generator<SourceItem> {
  let done = 0;
  for (const name of names(place.directory).sort(byTime)) {
    const entry = entryOf(name);
    done++;
    if (ledger.placed(entry.unique)) yield { is: 'known', done };
    else yield* message(place, entry, done);
  }
}

function* message(place: MaildirPlace, entry: Entry, done: number): Generator<SourceItem> {
  const opened = open(place.directory, entry);
  if (!(opened instanceof ByteFile)) {
    // Gone meanwhile: whoever reads the Maildir has deleted it.
    if (opened === null) yield { is: 'passed', done };
    else yield { is: 'broken', label: join(place.directory, entry.place), reason: opened.message, done };
    return;
  }
  try {
    yield {
      is: 'message',
      done,
      label: opened.path,
      identity: { by: 'name', name: entry.unique },
      flags: flagsOf(entry.letters, place.keywords),
      date: { from: 'source', ms: opened.measure().modified },
      chunks: withCrlf(bytesBetween(opened, 0, opened.size)),
    };
  } finally {
    opened.close();
  }
}

function open(directory: string, entry: Entry): ByteFile | Error | null {
  try {
    return new ByteFile(join(directory, entry.place));
  } catch (error) {
    if (!isMissing(error)) return error instanceof Error ? error : new Error(String(error));
  }
  const now = names(directory)
    .map(entryOf)
    .find(({ unique }) => unique === entry.unique);
  try {
    return now ? new ByteFile(join(directory, now.place)) : null;
  } catch (error) {
    if (isMissing(error)) return null;
    return error instanceof Error ? error : new Error(String(error));
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/** `cur/…` and `new/…`. */
function names(directory: string): string[] {
  return ['cur', 'new'].flatMap((part) => {
    try {
      return readdirSync(join(directory, part))
        .filter((name) => !name.startsWith('.'))
        .map((name) => `${part}/${name}`);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  });
}

/** Where ':' cannot stand in names others are used. */
function entryOf(place: string): Entry {
  const name = place.slice(4);
  const info = /[:;!]2,([A-Za-z]*)$/.exec(name);
  const base = info ? name.slice(0, info.index) : name;
  const comma = base.indexOf(',');
  const unique = comma > 0 ? base.slice(0, comma) : base;
  return { place, unique, letters: place.startsWith('cur/') ? (info?.[1] ?? '') : '' };
}

function byTime(a: string, b: string): number {
  const seconds = (name: string): number => Number.parseInt(name.slice(4), 10) || 0;
  return seconds(a) - seconds(b) || (a.slice(4) < b.slice(4) ? -1 : 1);
}

function flagsOf(letters: string, keywords: readonly Flag[]): Flag[] {
  return [...letters].flatMap((letter) => {
    const keyword = /[a-z]/.test(letter) ? keywords[letter.charCodeAt(0) - 97] : undefined;
    return FLAGS.get(letter) ?? (keyword ? [keyword] : []);
  });
}
