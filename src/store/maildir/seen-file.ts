import { closeSync, fstatSync, readdirSync, readSync } from 'node:fs';
import type { AccountId } from '../../directory/directory.ts';
import { pathComponent } from '../account-path.ts';
import { StoreError } from '../store.ts';
import {
  codeOf,
  isMissing,
  NotRegular,
  openRegular,
  syncDirectory,
  unlinkIfThere,
  writeDurably,
} from './disk.ts';

/**
 * `facteur-seen.<account>`, in a folder that others read as well: what this reader, who is not the owner, has seen of it
 * (\Seen of RFC 9051 2.3.2, kept for each of them). Lines of text:
 *
 *     facteur-seen 1                format and its version
 *     account <account>             as the name of the file has it, where that is not too short for it
 *     uidvalidity <n>               the folder's; under another one the UIDs mean nothing
 *     uids <set>                    1:7,9,12:40; as many such lines as it takes
 *     end
 *
 * UIDs that are gone may stand in a range or not. Written durably as a whole: a power cut leaves the old file or the new
 * one. A file that is damaged, or of another folder, counts as none: the messages are unseen.
 */
const PREFIX = 'facteur-seen.';
const HEADER = 'facteur-seen 1';
/** Of one file: every other message of 400,000. */
const MAX_RANGES = 200_000;
/** So much of a file is read; no file of ours is longer. */
const MAX_FILE: number = MAX_RANGES * 22 + 10_000;
/** Ranges in a line. */
const A_LINE = 500;

/** Pairs of the first and the last UID of each; ascending, and apart. */
export type Ranges = Uint32Array;

export interface SeenFile {
  readonly account: AccountId;
  readonly uidValidity: number;
  readonly ranges: Ranges;
}

export function seenFileOf(reader: AccountId): string {
  // A dot only before what is no such file: `.new` while one is written, `.aside-1` of one that was damaged.
  return PREFIX + pathComponent(reader).replaceAll('.', '%2E');
}

/** Names of the files there are. */
export function seenFilesIn(directory: string): string[] {
  return readdirSync(directory).filter(
    (name) => name.startsWith(PREFIX) && !name.includes('.', PREFIX.length),
  );
}

/** undefined when there is none, or none that can be read. */
export function readSeen(directory: string, file: string): SeenFile | undefined {
  let fd: number;
  try {
    // Never through a link: it could lead to another account's.
    fd = openRegular(`${directory}/${file}`);
  } catch (error) {
    if (isMissing(error) || error instanceof NotRegular || isForbidden(error)) return undefined;
    throw error;
  }
  try {
    const buffer = Buffer.allocUnsafe(Math.min(fstatSync(fd).size, MAX_FILE));
    return parseSeen(buffer.toString('latin1', 0, readSync(fd, buffer, 0, buffer.length, 0)));
  } finally {
    closeSync(fd);
  }
}

export function parseSeen(text: string): SeenFile | undefined {
  const lines = text.split('\n');
  const end = lines.indexOf('end');
  if (lines[0] !== HEADER || end < 0) return undefined;
  let account: AccountId | undefined;
  let uidValidity = 0;
  const bounds: number[] = [];
  for (const line of lines.slice(1, end)) {
    const space = line.indexOf(' ');
    const value = line.slice(space + 1);
    switch (line.slice(0, Math.max(space, 0))) {
      case 'account':
        account = accountIn(value);
        break;
      case 'uidvalidity':
        uidValidity = /^[1-9]\d{0,9}$/.test(value) ? Number(value) : 0;
        break;
      case 'uids':
        if (!readRanges(value, bounds)) return undefined;
        break;
      default:
        return undefined;
    }
  }
  if (account === undefined || uidValidity === 0) return undefined;
  return { account, uidValidity, ranges: Uint32Array.from(bounds) };
}

const COLON = 0x3a;
const COMMA = 0x2c;

/** Adds `1:7,9` to the bounds; false when it is none, or not above what is there. Thousands are usual. */
function readRanges(text: string, bounds: number[]): boolean {
  let first = 0;
  let number = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at === text.length ? COMMA : text.charCodeAt(at);
    const digit = code - 0x30;
    if (digit >= 0 && digit <= 9) {
      number = number * 10 + digit;
      if (number === 0 || number >= 2 ** 32) return false;
    } else if (code === COLON && first === 0 && number > 0) {
      first = number;
      number = 0;
    } else if (code === COMMA && number > 0) {
      if (first === 0) first = number;
      if (number < first || first <= (bounds.at(-1) ?? 0) || bounds.length >= 2 * MAX_RANGES) return false;
      bounds.push(first, number);
      first = 0;
      number = 0;
    } else return false;
  }
  return true;
}

/** Afterwards it is durable; without ranges the file goes. Throws 'limit'. */
export function writeSeen(directory: string, seen: SeenFile): void {
  const file = seenFileOf(seen.account);
  if (seen.ranges.length > 2 * MAX_RANGES)
    throw new StoreError('limit', 'What was read of this mailbox is too scattered');
  if (seen.ranges.length > 0) writeDurably(directory, file, formatSeen(seen));
  else if (unlinkIfThere(`${directory}/${file}`)) syncDirectory(directory);
}

export function formatSeen({ account, uidValidity, ranges }: SeenFile): string {
  const lines = [HEADER, `account ${encodeURIComponent(account)}`, `uidvalidity ${uidValidity}`];
  for (let from = 0; from < ranges.length; from += 2 * A_LINE) {
    const words: string[] = [];
    for (let at = from; at < Math.min(ranges.length, from + 2 * A_LINE); at += 2)
      words.push(ranges[at] === ranges[at + 1] ? `${ranges[at]}` : `${ranges[at]}:${ranges[at + 1]}`);
    lines.push(`uids ${words.join(',')}`);
  }
  return [...lines, 'end', ''].join('\n');
}

function accountIn(text: string): AccountId | undefined {
  try {
    return text === '' ? undefined : (decodeURIComponent(text) as AccountId);
  } catch {
    return undefined;
  }
}

/** It can be replaced all the same, and should not keep anybody from reading or copying mail. */
function isForbidden(error: unknown): boolean {
  return ['EACCES', 'EPERM'].includes(codeOf(error) ?? '');
}
