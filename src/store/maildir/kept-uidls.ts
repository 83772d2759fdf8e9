import { closeSync, openSync, readSync } from 'node:fs';
import { StoreError } from '../store.ts';
import { isMissing, writeDurably } from './disk.ts';

/**
 * `facteur-uidl`, in the Maildir of an account that came from another server: the POP3 unique ids its messages had there
 * (RFC 1939 7), so that no client fetches them again. Lines of text:
 *
 *     facteur-uidl 1                format and its version
 *     uidvalidity <n>               INBOX's, else the file means nothing
 *     format <f>                    how messages without a line get theirs: uidl-format.ts, from UID and UIDVALIDITY alone
 *     theirs <f>                    what the other server computes by itself (pop3_uidl_format)
 *     <uid> <unique id>             ascending
 *     end
 *
 * Written once, complete, before the account is used; UIDs never come again, so lines of messages that are gone do no
 * harm. Large accounts have large files: they are read in pieces.
 */
export const UIDL_FILE = 'facteur-uidl';

const READ = 128 * 1024;
/** RFC 1939 7 ends at 70; file names as unique ids are longer. */
export const MAX_UIDL = 255;

export interface KeptUidl {
  readonly uid: number;
  readonly uniqueId: string;
}

export interface KeptUidls {
  readonly format: string;
  readonly theirs: string;
  readonly ids: readonly KeptUidl[];
  /** Where to go on; null at the end. */
  readonly next: number | null;
}

/** A piece of them; `from` is 0 or the `next` of the piece before. undefined when there are none for this UIDVALIDITY. */
export function readKeptUidls(maildir: string, uidValidity: number, from: number): KeptUidls | undefined {
  const fd = open(`${maildir}/${UIDL_FILE}`);
  if (fd === undefined) return undefined;
  try {
    const buffer = Buffer.allocUnsafe(READ);
    const header = parseHeader(buffer.toString('latin1', 0, readSync(fd, buffer, 0, READ, 0)));
    if (!header || header.uidValidity !== uidValidity) return undefined;
    const start = Math.max(from, header.length);
    const bytes = readSync(fd, buffer, 0, READ, start);
    const end = buffer.subarray(0, bytes).lastIndexOf(0x0a) + 1;
    const ids: KeptUidl[] = [];
    let next: number | null = end > 0 ? start + end : null;
    for (const line of buffer.toString('latin1', 0, end).split('\n')) {
      if (line === 'end') next = null;
      const [, uid, uniqueId] = /^(\d{1,10}) ([\x21-\x7e]{1,255})$/.exec(line) ?? [];
      if (uid !== undefined && uniqueId !== undefined) ids.push({ uid: Number(uid), uniqueId });
    }
    return { format: header.format, theirs: header.theirs, ids, next };
  } finally {
    closeSync(fd);
  }
}

/** Durably, in the place of what was there. */
export function writeKeptUidls(
  maildir: string,
  kept: Pick<KeptUidls, 'format' | 'theirs' | 'ids'> & { readonly uidValidity: number },
): void {
  const lines = [
    'facteur-uidl 1',
    `uidvalidity ${kept.uidValidity}`,
    `format ${kept.format}`,
    `theirs ${kept.theirs}`,
    ...kept.ids.map(({ uid, uniqueId }) => `${uid} ${uniqueId}`),
  ];
  writeDurably(maildir, UIDL_FILE, `${lines.join('\n')}\nend\n`);
}

function parseHeader(
  text: string,
): { uidValidity: number; format: string; theirs: string; length: number } | undefined {
  const version = /^facteur-uidl (\d{1,9})\n/.exec(text)?.[1];
  if (version !== undefined && version !== '1')
    throw new StoreError('read-only', 'The mail was written by a newer version of this program');
  const match = /^facteur-uidl 1\nuidvalidity (\d{1,10})\nformat (\S{1,200})\ntheirs (\S{1,200})\n/.exec(
    text,
  );
  if (!match) return undefined;
  const [all, uidValidity, format = '', theirs = ''] = match;
  return { uidValidity: Number(uidValidity), format, theirs, length: all.length };
}

function open(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
