import { realpathSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { TransferError } from '../errors.ts';
import { ByteFile } from '../file.ts';
import type { LedgerFolder } from '../ledger.ts';
import type { Source, SourceFolder, SourceItem } from '../source.ts';
import { detectFormat } from './detect.ts';
import { type Extent, extents, firstMessage } from './extents.ts';
import type { MboxFormat } from './format.ts';
import { fromLineDate } from './from-line.ts';
import { readMboxMessage } from './read.ts';
import { findMboxes, type MboxPlace } from './tree.ts';

/**
 * An mbox, or a directory of them. A file may get more mail while it is read: the last message is taken when the file
 * has been as long for a moment and no other program holds `<file>.lock`.
 */
export interface MboxWishes {
  readonly path: string;
  /** `null`: by looking. */
  readonly format: MboxFormat | null;
  /** Status, X-Status and so on stay in the message. */
  readonly status: 'strip' | 'keep';
  /** Overrides the path as the source's name. */
  readonly name: string | null;
}

/** Another program that appends is waited for so long (ms), looked at so often. */
const LOCK_WAIT = 30_000;
const LOCK_LOOK = 250;
/** A dot-lock that is older (ms) is nobody's. */
const STALE_LOCK = 5 * 60_000;

export function mboxSource(wishes: MboxWishes, clock: Clock): Source {
  const root = realpathSync(wishes.path);
  return {
    kind: 'mbox',
    name: wishes.name ?? root,
    async folders() {
      const places = findMboxes(root);
      if (places.length === 0) throw new TransferError(`there is no mbox in ${wishes.path}`);
      const single = places.length === 1 && places[0]?.file === root;
      return places.map((place) => mboxFolder(place, single ? 'single' : 'tree', wishes, clock));
    },
    close: async () => {},
  };
}

function mboxFolder(
  place: MboxPlace,
  kind: 'single' | 'tree',
  wishes: MboxWishes,
  clock: Clock,
): SourceFolder {
  const notes: string[] = [];
  return {
    name: kind === 'single' ? basename(place.file) : place.path.join('/'),
    path: kind === 'single' ? [] : place.path,
    specialUse: null,
    subscribed: place.subscribed,
    view: false,
    total: { octets: statSync(place.file).size },
    selectable: true,
    notes: () => notes,
    messages: (ledger) => messages(place.file, ledger, wishes, notes, clock),
  };
}

async function* messages(
  path: string,
  ledger: LedgerFolder,
  wishes: MboxWishes,
  notes: string[],
  clock: Clock,
): AsyncGenerator<SourceItem> {
  ledger.readAgain();
  const file = new ByteFile(path);
  try {
    const opened = file.measure();
    const format = wishes.format ?? detectFormat(file);
    let first = firstMessage(file);
    if (first === file.size && !isBlank(file))
      throw new TransferError(`${path} is not an mbox: no line in it begins a message ("From …")`);
    if (first > 0 && first < file.size) notes.push(`${first} octets before the first message are no mail`);
    while (first < file.size) {
      let grown: number | null = null;
      for (const extent of extents(file, format, first)) {
        if (extent.next === file.size && (await hasGrown(file, clock))) {
          grown = extent.at;
          break;
        }
        yield item(file, extent, format, wishes.status);
      }
      if (grown === null) break;
      first = grown;
    }
    const { size, modified } = file.measure();
    if (size < opened.size || (size === opened.size && modified !== opened.modified))
      notes.push('it was changed while it was read: run the same command again');
  } finally {
    file.close();
  }
}

function item(file: ByteFile, extent: Extent, format: MboxFormat, mode: 'strip' | 'keep'): SourceItem {
  const done = extent.next;
  const { status, chunks, header } = readMboxMessage(file, extent, format, mode);
  if (status.expunged || status.internal) return { is: 'passed', done };
  const ms = fromLineDate(extent.fromLine);
  return {
    is: 'message',
    done,
    label: `${file.path} at octet ${extent.at}`,
    identity: { by: 'content', name: null },
    flags: status.flags,
    date: ms === null ? { from: 'header', ms: file.measure().modified } : { from: 'source', ms },
    chunks: header.length === 0 && extent.start === extent.end ? [] : chunks,
  };
}

/** The last message is whole when nobody is writing: whoever appends holds a dot-lock, or has done so by a moment later. */
async function hasGrown(file: ByteFile, clock: Clock): Promise<boolean> {
  const before = file.size;
  const end = clock.now().getTime() + LOCK_WAIT;
  while (isLocked(file.path, clock) && clock.now().getTime() < end) await clock.sleep(LOCK_LOOK);
  let { size, modified } = file.measure();
  while (clock.now().getTime() - modified < LOCK_LOOK && clock.now().getTime() < end) {
    await clock.sleep(LOCK_LOOK);
    ({ size, modified } = file.measure());
  }
  return size > before;
}

function isLocked(path: string, clock: Clock): boolean {
  const lock = statSync(`${path}.lock`, { throwIfNoEntry: false });
  return lock !== undefined && clock.now().getTime() - lock.mtimeMs < STALE_LOCK;
}

/** Nothing but line ends: a folder without mail. */
function isBlank(file: ByteFile): boolean {
  return (
    file.size === 0 || (file.size < 100 && /^[\r\n]*$/.test(file.bytes(0, file.size).toString('latin1')))
  );
}
