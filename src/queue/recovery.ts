import { statfsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import type { DurableFiles } from '../lib/durable-file.ts';
import type { Logger } from '../lib/logger.ts';
import { isCorruption, isDiskFull } from '../lib/sqlite.ts';
import { Entry } from './entry.ts';
import { Journal, type JournalRecord } from './journal.ts';
import { Live } from './live.ts';
import type { QueueIds } from './queue-id.ts';
import { QueueIndex } from './queue-index.ts';
import { parseRecord } from './record.ts';

export interface QueueParts {
  readonly journal: Journal;
  readonly index: QueueIndex;
  readonly live: Live;
  readonly spool: string;
}

export interface RecoveryOptions {
  readonly directory: string;
  readonly segmentSize: number;
}

export interface RecoveryDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly files: DurableFiles;
}

/** With less (bytes) no database can be opened: its -wal and -shm need as much. */
const MIN_ROOM = 128 * 1024;
/** Changed messages held in memory during replay. */
const MAX_REPLAYED = 5000;

/**
 * Opens journal and index and makes them agree: what the index does not know is read from the journal, what stands in
 * no journal segment any more is finished, and spool files that nobody refers to are removed. The README's state table
 * says why this is enough after every kind of end.
 */
export async function recover(
  options: RecoveryOptions,
  deps: RecoveryDeps,
  ids: QueueIds,
): Promise<QueueParts> {
  const { directory } = options;
  const { log, files } = deps;
  for (const path of [spoolOf(directory), journalOf(directory)]) await mkdir(path, { recursive: true });
  for (const path of [directory, dirname(directory)]) await files.syncDirectory(path);
  const path = join(directory, 'index.sqlite');
  try {
    return await attempt(path, options, deps, ids);
  } catch (error) {
    if (isDiskFull(error) || hasNoRoom(directory)) return inMemory(error, options, deps, ids);
    if (!isCorruption(error)) throw error;
    log.error({ err: error }, 'the queue index was damaged and is made anew from the journal');
    QueueIndex.remove(path);
    return attempt(path, options, deps, ids);
  }
}

/**
 * On a full disk the index cannot be written, perhaps not even opened: it is made anew in memory, from all of the
 * journal. What was accepted is delivered where there is room, new mail waits outside, and the next start reads more of
 * the journal than usual.
 */
function inMemory(
  error: unknown,
  options: RecoveryOptions,
  deps: RecoveryDeps,
  ids: QueueIds,
): Promise<QueueParts> {
  deps.log.error(
    { err: error },
    'no room on the disk: the queue index is kept in memory until the next start',
  );
  return attempt(':memory:', options, deps, ids);
}

async function attempt(
  path: string,
  options: RecoveryOptions,
  deps: RecoveryDeps,
  ids: QueueIds,
): Promise<QueueParts> {
  const { index, found } = QueueIndex.open(path);
  const opened: Journal[] = [];
  try {
    const { segmentSize } = options;
    const journal = await Journal.open({ directory: journalOf(options.directory), segmentSize }, deps);
    opened.push(journal);
    return await agree(journal, index, found, options, deps, ids);
  } catch (error) {
    index.abandon();
    for (const journal of opened) await journal.close();
    throw error;
  }
}

/** SQLite has many words for it, one for each of its files. */
function hasNoRoom(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < MIN_ROOM;
}

async function agree(
  journal: Journal,
  index: QueueIndex,
  found: 'whole' | 'new',
  { directory }: RecoveryOptions,
  { log, clock, files }: RecoveryDeps,
  ids: QueueIds,
): Promise<QueueParts> {
  const spool = spoolOf(directory);
  index.endLeases();

  const live = new Live(journal, index, clock);
  for await (const record of journal.replay(index.position)) {
    apply(record, live, ids);
    if (live.dirty >= MAX_REPLAYED) live.flush('all', MAX_REPLAYED);
  }
  live.flush('all', MAX_REPLAYED);
  // A restored backup, a lost file: better no start than a queue that looks empty.
  if (journal.segments === 0 && index.size > 0)
    throw new Error(
      `the journal in ${journalOf(directory)} is missing, but the index knows ${index.size} messages`,
    );
  const stale = index.forgetBefore(journal.firstPosition);
  const bases = index.bases();
  for (const { base, length } of bases) journal.retain(base, length);
  await journal.ready();
  live.recountDue();
  const { lastId } = index;
  if (lastId) ids.seen(lastId);
  await removeOrphans(spool, index.spooled(), files);
  if (found !== 'new') log.info({ messages: bases.length, stale, index: found }, 'queue opened');
  return { journal, index, live, spool };
}

function spoolOf(directory: string): string {
  return join(directory, 'spool');
}

function journalOf(directory: string): string {
  return join(directory, 'journal');
}

function apply(record: JournalRecord, live: Live, ids: QueueIds): void {
  const parsed = parseRecord(record.type, record.payload);
  if (!parsed) return;
  switch (parsed.is) {
    case 'message': {
      const { message, body } = parsed;
      ids.seen(message.id);
      const old = live.peek(message.id);
      const place = { base: record.position, length: record.length, spooled: body === 'spooled' };
      const entry = old ?? new Entry(message, place, 'indexed');
      entry.message = message;
      entry.base = place.base;
      entry.length = place.length;
      if (!old) live.add(entry, undefined);
      live.changed(entry, record.position, 'later');
      return;
    }
    case 'states': {
      const entry = live.load(parsed.id);
      if (!entry) return;
      entry.restore(parsed.states);
      live.changed(entry, record.position, 'later');
      return;
    }
    case 'gone': {
      const entry = live.load(parsed.id);
      if (entry) live.gone(entry);
      return;
    }
  }
}

async function removeOrphans(spool: string, known: ReadonlySet<string>, files: DurableFiles): Promise<void> {
  for (const name of await readdir(spool)) if (!known.has(name)) await files.unlink(join(spool, name));
}
