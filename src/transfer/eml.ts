import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MAX_DEPTH } from '../store/mailbox-path.ts';
import { toCrlf } from '../store/maildir/line-ends.ts';
import type { Flag } from '../store/store.ts';
import { TransferError } from './errors.ts';
import { ByteFile, bytesBetween } from './file.ts';
import type { LedgerFolder } from './ledger.ts';
import type { Source, SourceFolder, SourceItem } from './source.ts';

/**
 * Messages as files: one, or a directory of `.eml` and Apple Mail's `.emlx`, with its directories as folders. When they
 * came is in their Received fields, for the time of such a file is mostly when it was copied.
 */
export interface EmlWishes {
  readonly path: string;
  readonly name: string | null;
}

/** Apple's list of properties after the message is short. */
const MAX_PROPERTIES = 64 * 1024;
/** Bits of its `flags`. */
const APPLE: readonly (readonly [number, Flag])[] = [
  [1, '\\Seen'],
  [1 << 1, '\\Deleted'],
  [1 << 2, '\\Answered'],
  [1 << 4, '\\Flagged'],
  [1 << 6, '\\Draft'],
  [1 << 8, '$Forwarded'],
];

export function emlSource(wishes: EmlWishes): Source {
  const root = realpathSync(wishes.path);
  return {
    kind: 'eml',
    name: wishes.name ?? root,
    async folders() {
      if (!statSync(root).isDirectory()) return [folder(basename(root), [], [root])];
      const found = [...walk(root, [])];
      if (found.length === 0) throw new TransferError(`there is no .eml file in ${wishes.path}`);
      return found.map(({ path, files }) => folder(path.join('/') || basename(root), path, files));
    },
    close: async () => {},
  };
}

function* walk(
  directory: string,
  path: readonly string[],
): Generator<{ readonly path: readonly string[]; readonly files: string[] }> {
  const names = readdirSync(directory).sort();
  const files = names.filter((name) => /\.emlx?$/i.test(name)).map((name) => join(directory, name));
  if (files.length > 0) yield { path, files };
  if (path.length >= MAX_DEPTH) return;
  for (const name of names) {
    const place = join(directory, name);
    if (!name.startsWith('.') && lstatSync(place).isDirectory()) yield* walk(place, [...path, name]);
  }
}

function folder(name: string, path: readonly string[], files: readonly string[]): SourceFolder {
  return {
    name,
    path,
    specialUse: null,
    subscribed: 'unknown',
    view: false,
    total: { messages: files.length },
    selectable: true,
    notes: () => [],
    *messages(ledger: LedgerFolder): Generator<SourceItem> {
      ledger.readAgain();
      for (const [at, path] of files.entries()) yield* message(path, at + 1);
    },
  };
}

function* message(path: string, done: number): Generator<SourceItem> {
  let file: ByteFile;
  try {
    file = new ByteFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    yield { is: 'broken', label: path, reason, done };
    return;
  }
  try {
    const { start, end, flags } = /\.emlx$/i.test(path)
      ? apple(file)
      : { start: 0, end: file.size, flags: [] };
    yield {
      is: 'message',
      done,
      label: path,
      identity: { by: 'content', name: null },
      flags,
      date: { from: 'header', ms: file.measure().modified },
      chunks: withCrlf(bytesBetween(file, start, end)),
    };
  } finally {
    file.close();
  }
}

/** A line with the number of octets, the message, a property list. */
function apple(file: ByteFile): { readonly start: number; readonly end: number; readonly flags: Flag[] } {
  const first = /^\s*(\d{1,12})\s*\n/.exec(file.bytes(0, 64).toString('latin1'));
  if (!first) return { start: 0, end: file.size, flags: [] };
  const start = first[0].length;
  const end = Math.min(start + Number(first[1]), file.size);
  const properties = file.bytes(end, Math.min(file.size, end + MAX_PROPERTIES)).toString('latin1');
  const bits = Number(/<key>flags<\/key>\s*<integer>(\d{1,15})<\/integer>/.exec(properties)?.[1] ?? 0);
  // Beyond 32 bits there are only counts.
  return { start, end, flags: APPLE.flatMap(([bit, flag]) => ((bits % 2 ** 32) & bit ? [flag] : [])) };
}

/** Bare LFs become CRLFs; nothing else changes. */
export function* withCrlf(chunks: Iterable<Uint8Array>, before = 0): Generator<Uint8Array> {
  let previous = before;
  for (const chunk of chunks) {
    yield toCrlf(chunk, previous);
    previous = chunk.at(-1) ?? previous;
  }
}
