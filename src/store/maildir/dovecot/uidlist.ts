import { closeSync, openSync, readSync } from 'node:fs';
import { isMissing } from '../disk.ts';

/**
 * `dovecot-uidlist`, one in each folder of Dovecot's: which message has which UID. Version 3 is
 *
 *     3 V<uidvalidity> N<next uid> G<folder guid> …
 *     <uid> [<letter><value> …] :<file name>
 *
 * and version 1 `1 <uidvalidity> <next uid>` with lines `<uid> <file name>`. Letters: S octets on disk, W octets with
 * CRLF, P the POP3 unique id ('' is the file name), O the place in POP3's order, G the message's guid. File names count
 * up to their ':'. Dovecot appends lines without touching the header, so the next UID is above all that are listed,
 * whatever N says; and files that are gone stay listed until it writes the list anew. Lines that make no sense are
 * counted and skipped: their messages are then as if they were not listed.
 */
export const UIDLIST_FILE = 'dovecot-uidlist';

/** UIDs and UIDVALIDITYs are 32 bits (RFC 9051 2.3.1.1). */
const MAX_UINT32 = 2 ** 32 - 1;
/** NAME_MAX, with room for what stands before the name. */
const MAX_LINE = 4096;
/** Octets read at a time. */
const READ = 256 * 1024;
const LF = 0x0a;

export interface UidlistEntry {
  readonly uid: number;
  /** The file name up to its ':'. */
  readonly base: string;
  /** By letter. */
  readonly fields: Readonly<Record<string, string>>;
}

export interface Uidlist {
  readonly uidValidity: number;
  /** Above every UID of the list. */
  readonly uidNext: number;
  /** Fields of the header but V and N, by letter. */
  readonly fields: Readonly<Record<string, string>>;
  /** Ascending by UID; a file stands once, with its highest UID, as Dovecot takes it. */
  readonly entries: readonly UidlistEntry[];
  /** Lines that could not be used. */
  readonly broken: number;
}

/** The lines after the header, one at a time; null is one that could not be used. */
export type UidlistLines = Generator<UidlistEntry | null>;

/** undefined when it is not such a list, or has no UIDVALIDITY. Linear. */
export function parseUidlist(lines: Iterable<string>): Uidlist | undefined {
  const opened = openUidlist(lines);
  if (!opened) return undefined;
  const entries: UidlistEntry[] = [];
  const at = new Map<string, number>();
  let broken = 0;
  for (const entry of opened.entries) {
    if (entry === null || at.has(entry.base)) broken++;
    if (entry) at.set(entry.base, entries.push(entry) - 1);
  }
  return {
    uidValidity: opened.uidValidity,
    uidNext: Math.max(opened.uidNext, (entries.at(-1)?.uid ?? 0) + 1),
    fields: opened.fields,
    entries:
      at.size === entries.length ? entries : entries.filter(({ base }, index) => at.get(base) === index),
    broken,
  };
}

/** For who must not hold all of it at once. */
export function openUidlist(
  lines: Iterable<string>,
): (Header & { readonly entries: UidlistLines }) | undefined {
  const iterator = lines[Symbol.iterator]();
  const { value, done } = iterator.next();
  const header = done ? undefined : parseHeader(value);
  return header && { ...header, entries: entriesOf(iterator, header.version) };
}

function* entriesOf(lines: Iterator<string>, version: 1 | 3): UidlistLines {
  let last = 0;
  for (let next = lines.next(); !next.done; next = lines.next()) {
    const entry = parseLine(next.value, version);
    if (entry && entry.uid > last) {
      last = entry.uid;
      yield entry;
    } else yield null;
  }
}

/**
 * The lines of a file, without their ends, read in pieces; a last one without its end was cut off while it was written
 * and is left out. A line that is too long becomes one that nobody can use. undefined when there is no such file.
 */
export function readLines(path: string): Iterable<string> | undefined {
  const fd = openOptional(path);
  return fd === undefined ? undefined : linesOf(fd);
}

function* linesOf(fd: number): Generator<string> {
  try {
    const chunk = Buffer.allocUnsafe(READ);
    let rest = Buffer.alloc(0);
    for (let bytes = readSync(fd, chunk); bytes > 0; bytes = readSync(fd, chunk)) {
      const text = Buffer.concat([rest, chunk.subarray(0, bytes)]);
      let from = 0;
      for (let to = text.indexOf(LF); to >= 0; to = text.indexOf(LF, from)) {
        yield to - from > MAX_LINE ? '' : text.toString('utf8', from, to);
        from = to + 1;
      }
      // What is longer than any line is cut, so that a file without lines costs no more than others.
      rest = text.subarray(from, from + MAX_LINE + 1);
    }
  } finally {
    closeSync(fd);
  }
}

interface Header {
  readonly version: 1 | 3;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly fields: Readonly<Record<string, string>>;
}

function parseHeader(line: string): Header | undefined {
  const words = line.split(' ').filter((word) => word !== '');
  if (words[0] === '1') {
    const uidValidity = uint32(words[1]);
    const uidNext = uint32(words[2]);
    return uidValidity && uidNext ? { version: 1, uidValidity, uidNext, fields: {} } : undefined;
  }
  if (words[0] !== '3') return undefined;
  const all = new Map(words.slice(1).map((word) => [word.slice(0, 1), word.slice(1)]));
  const uidValidity = uint32(all.get('V'));
  const uidNext = uint32(all.get('N'));
  if (!uidValidity || !uidNext) return undefined;
  all.delete('V');
  all.delete('N');
  return { version: 3, uidValidity, uidNext, fields: Object.fromEntries(all) };
}

function parseLine(line: string, version: 1 | 3): UidlistEntry | undefined {
  const space = line.indexOf(' ');
  const uid = uint32(line.slice(0, Math.max(space, 0)));
  if (!uid || uid === MAX_UINT32) return undefined;
  let rest = line.slice(space + 1);
  const fields: Record<string, string> = {};
  if (version === 3) {
    while (rest !== '' && !rest.startsWith(':')) {
      const next = rest.indexOf(' ');
      if (next < 0) return undefined;
      if (/^[A-Za-z]/.test(rest)) fields[rest.slice(0, 1)] = rest.slice(1, next);
      rest = rest.slice(next + 1);
    }
    rest = rest.slice(1);
  }
  const base = baseOf(rest);
  return base === '' || base.includes('/') ? undefined : { uid, base, fields };
}

/** A file name up to its ':', as Dovecot compares names. */
export function baseOf(name: string): string {
  const colon = name.indexOf(':');
  return colon < 0 ? name : name.slice(0, colon);
}

function uint32(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value > 0 && value <= MAX_UINT32 ? value : undefined;
}

/** Its first line, version 3. */
export function formatUidlistHeader(list: Pick<Uidlist, 'uidValidity' | 'uidNext' | 'fields'>): string {
  return `3 V${list.uidValidity} N${list.uidNext}${formatFields(list.fields)}\n`;
}

export function formatUidlistEntry({ uid, base, fields }: UidlistEntry): string {
  return `${uid}${formatFields(fields)} :${base}\n`;
}

function formatFields(fields: Readonly<Record<string, string>>): string {
  let text = '';
  for (const [letter, value] of Object.entries(fields)) text += ` ${letter}${value}`;
  return text;
}

function openOptional(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
