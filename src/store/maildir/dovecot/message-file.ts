import { closeSync, openSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import { parseBase, splitName } from '../file-name.ts';
import { CUR, NEW, PLACES, type Place } from '../folder.ts';

/** The message files of a folder of another server, and what can be said of each without believing its name. */

export interface MessageFile {
  readonly name: string;
  readonly place: Place;
  readonly base: string;
  readonly info: string | null;
  readonly path: string;
}

/** `.` in front means that it is no message (Maildir). */
export function messageFiles(directory: string): MessageFile[] {
  const found: MessageFile[] = [];
  for (const place of [NEW, CUR] as const) {
    const within = `${directory}/${PLACES[place]}`;
    for (const name of statSync(within, { throwIfNoEntry: false }) ? readdirSync(within) : [])
      if (!name.startsWith('.')) found.push({ name, place, ...splitName(name), path: `${within}/${name}` });
  }
  return found;
}

/** What Dovecot's zlib and mail_crypt plugins write instead of the message itself. */
const DISGUISES: readonly { readonly is: 'compressed' | 'encrypted'; readonly magic: Buffer }[] = [
  { is: 'compressed', magic: Buffer.from([0x1f, 0x8b]) },
  { is: 'compressed', magic: Buffer.from('BZh') },
  { is: 'compressed', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]) },
  { is: 'compressed', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { is: 'compressed', magic: Buffer.from('Dovecot-LZ4') },
  { is: 'encrypted', magic: Buffer.from('CRYPTED\x03\x07', 'latin1') },
];

/** Only a file whose size is not that in its name, or that has none there, is opened. */
export function disguiseOf(file: MessageFile, stats: Stats): 'compressed' | 'encrypted' | undefined {
  if (parseBase(file.base).size === stats.size) return undefined;
  const fd = openSync(file.path, 'r');
  try {
    const start = Buffer.alloc(16);
    const bytes = readSync(fd, start);
    return DISGUISES.find(({ magic }) => start.subarray(0, Math.min(bytes, magic.length)).equals(magic))?.is;
  } finally {
    closeSync(fd);
  }
}
