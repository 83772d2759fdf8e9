import { closeSync, fstatSync, readdirSync, readSync } from 'node:fs';
import type { AccountId } from '../../directory/directory.ts';
import { pathComponent } from '../account-path.ts';
import { StoreError } from '../store.ts';
import { isMissing, NotRegular, openRegular, syncDirectory, unlinkIfThere, writeDurably } from './disk.ts';

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

/** Ascending, and apart. */
export type Ranges = readonly { readonly first: number; readonly last: number }[];

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
    if (isMissing(error) || error instanceof NotRegular) return undefined;
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
  const ranges: { readonly first: number; readonly last: number }[] = [];
  for (const line of lines.slice(1, end)) {
    const [word, value = ''] = line.split(' ');
    if (word === 'account') account = accountIn(value);
    else if (word === 'uidvalidity') uidValidity = /^[1-9]\d{0,9}$/.test(value) ? Number(value) : 0;
    else if (word === 'uids') {
      for (const range of value.split(',')) {
        const [, one = '', two = one] = /^([1-9]\d{0,9})(?::([1-9]\d{0,9}))?$/.exec(range) ?? [];
        const [first, last] = [Number(one), Number(two)];
        if (first <= (ranges.at(-1)?.last ?? 0) || last < first || ranges.length >= MAX_RANGES)
          return undefined;
        ranges.push({ first, last });
      }
    } else return undefined;
  }
  return account === undefined || uidValidity === 0 ? undefined : { account, uidValidity, ranges };
}

/** Afterwards it is durable; without ranges the file goes. Throws 'limit'. */
export function writeSeen(directory: string, seen: SeenFile): void {
  const file = seenFileOf(seen.account);
  if (seen.ranges.length > MAX_RANGES)
    throw new StoreError('limit', 'What was read of this mailbox is too scattered');
  if (seen.ranges.length > 0) writeDurably(directory, file, formatSeen(seen));
  else if (unlinkIfThere(`${directory}/${file}`)) syncDirectory(directory);
}

export function formatSeen({ account, uidValidity, ranges }: SeenFile): string {
  const lines = [HEADER, `account ${encodeURIComponent(account)}`, `uidvalidity ${uidValidity}`];
  for (let at = 0; at < ranges.length; at += A_LINE) {
    const some = ranges.slice(at, at + A_LINE);
    lines.push(
      `uids ${some.map(({ first, last }) => (first === last ? first : `${first}:${last}`)).join(',')}`,
    );
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
