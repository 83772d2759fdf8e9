import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { Journal, type JournalRecord, type NewRecord, segmentOf } from '../../src/queue/journal.ts';
import { QueueFull } from '../../src/queue/queue.ts';
import { diskFull, FaultyFiles, ioError } from '../faulty-files.ts';
import { silent } from './fixtures.ts';

const SEGMENT = 16 * 1024;
let directory: string;
let files: FaultyFiles;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'journal-'));
  files = new FaultyFiles();
});
afterEach(() => rmSync(directory, { recursive: true }));

async function open(segmentSize = SEGMENT): Promise<{ journal: Journal; records: JournalRecord[] }> {
  files = new FaultyFiles();
  const journal = await Journal.open({ directory, segmentSize }, { files, clock: systemClock, log: silent });
  const records: JournalRecord[] = [];
  for await (const record of journal.replay(0))
    records.push({ ...record, payload: Buffer.from(record.payload) });
  // Segments given back but not yet used again still tell their old records, before they are known to be so.
  const alive = records.filter(({ position }) => position >= journal.firstPosition);
  for (const { position, length } of alive) journal.retain(position, length);
  await journal.ready();
  return { journal, records: alive };
}

const record = (text: string, purpose: NewRecord['purpose'] = 'new'): NewRecord => ({
  type: 1,
  parts: [Buffer.from(text)],
  purpose,
  live: true,
});
/** Waits until no file is being prepared in the background: the names are there, and the sync that follows them too. */
async function prepared(): Promise<void> {
  let steps = -1;
  while (
    readdirSync(directory).filter((name) => name.endsWith('.segment')).length < 3 ||
    steps !== files.steps
  ) {
    steps = files.steps;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const texts = (records: readonly JournalRecord[]): string[] =>
  records.map(({ payload }) => payload.toString());

test('what was appended is replayed in order after a restart, and can be read at its place', async () => {
  const { journal } = await open();
  const written = await Promise.all(['a', 'bb', 'ccc'].map((text) => journal.append(record(text))));
  const second = written[1];
  expect((await journal.read(second?.position ?? 0, second?.length ?? 0)).toString()).toBe('bb');
  await journal.close();
  const again = await open();
  expect(texts(again.records)).toEqual(['a', 'bb', 'ccc']);
  await again.journal.append(record('dddd'));
  await again.journal.close();
  const third = await open();
  expect(texts(third.records)).toEqual(['a', 'bb', 'ccc', 'dddd']);
  await third.journal.close();
});

test('all that waits shares one write and one sync', async () => {
  const { journal } = await open();
  await journal.append(record('first'));
  await prepared();
  const before = files.steps;
  const seen: string[] = [];
  files.fault = (step) => void seen.push(step);
  await Promise.all(Array.from({ length: 50 }, (_, n) => journal.append(record(`r${n}`))));
  expect(files.steps - before).toBe(2);
  expect(seen).toEqual(['write', 'datasync']);
  await journal.close();
});

test('what comes while a sync is under way waits for the next one', async () => {
  const { journal } = await open();
  await journal.append(record('first'));
  await prepared();
  let syncs = 0;
  const late: Promise<unknown>[] = [];
  files.fault = (step) => {
    if (step === 'datasync' && syncs++ === 0)
      late.push(journal.append(record('late')), journal.append(record('late')));
    return undefined;
  };
  await journal.append(record('early'));
  expect(syncs).toBe(1);
  await Promise.all(late);
  expect(syncs).toBe(2);
  await journal.close();
});

test('any records over any number of segments come back as they were', async () => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 3000 }), { minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(bodies, async (all) => {
      rmSync(directory, { recursive: true });
      const { journal } = await open();
      for (let at = 0; at < all.length; at += 7)
        await Promise.all(
          all
            .slice(at, at + 7)
            .map((body) => journal.append({ type: 3, parts: [body], purpose: 'new', live: true })),
        );
      await journal.close();
      const { journal: again, records } = await open();
      expect(records.map(({ payload }) => payload.toString('hex'))).toEqual(
        all.map((body) => Buffer.from(body).toString('hex')),
      );
      await again.close();
    }),
    { numRuns: 15 },
  );
});

test('a record bigger than a segment gets a segment of its own', async () => {
  const { journal } = await open();
  await journal.append(record('small'));
  await journal.append(record('x'.repeat(3 * SEGMENT)));
  await journal.close();
  const { journal: again, records } = await open();
  expect(records.map(({ payload }) => payload.length)).toEqual([5, 3 * SEGMENT]);
  await again.close();
});

test('segments are given back oldest first when nothing lives in them, and their files used again', async () => {
  const { journal } = await open();
  const fill = 'x'.repeat(4000);
  const written = [];
  for (let n = 0; n < 40; n++) written.push(await journal.append(record(fill)));
  const used = journal.segments;
  expect(used).toBeGreaterThan(8);
  // All but one in the oldest segment: nothing can go.
  for (const { position, length } of written.slice(1)) journal.drop(position, length);
  await journal.flush();
  expect(journal.segments).toBe(used);
  const first = written[0];
  journal.drop(first?.position ?? 0, first?.length ?? 0);
  await journal.flush();
  expect(journal.segments).toBe(1);
  for (let n = 0; n < 40; n++) {
    const { position, length } = await journal.append(record(fill));
    journal.drop(position, length);
    await journal.flush();
  }
  expect(readdirSync(directory).length).toBeLessThanOrEqual(5);
  await journal.close();
  const { journal: again, records } = await open();
  expect(again.segments).toBeLessThanOrEqual(2);
  // What was dropped in the segment still in use is told of again; nothing older is.
  expect(records.length).toBeLessThanOrEqual(SEGMENT / 4000);
  await again.close();
});

test.each(['write', 'datasync'] as const)(
  'after a failed %s nothing of the group counts, and the journal goes on',
  async (bad) => {
    const { journal } = await open();
    await journal.append(record('before'));
    await prepared();
    let failed = 0;
    files.fault = (step) => (step === bad && failed++ === 0 ? ioError() : undefined);
    const results = await Promise.allSettled([
      journal.append(record('lost 1')),
      journal.append(record('kept', 'state')),
      journal.append(record('lost 2')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    const kept = results[1];
    if (kept?.status === 'fulfilled') expect(segmentOf(kept.value.position)).toBe(2);
    await journal.append(record('after'));
    await journal.close();
    const { journal: again, records } = await open();
    expect(texts(records)).toEqual(['before', 'kept', 'after']);
    await again.close();
  },
);

test('a disk that stays broken: new mail is refused, state is refused after some attempts', async () => {
  const { journal } = await open();
  await journal.append(record('before'));
  await prepared();
  files.fault = (step) => (step === 'datasync' ? ioError() : undefined);
  await expect(journal.append(record('x'))).rejects.toThrow('cannot be written');
  await expect(journal.append(record('x', 'state'))).rejects.toThrow('cannot be written');
  files.fault = () => undefined;
  await journal.append(record('after'));
  await journal.close();
  const { journal: again, records } = await open();
  expect(texts(records)).toEqual(['before', 'after']);
  await again.close();
});

test('with a full disk new mail is refused with QueueFull while state of mail we have goes into the reserve', async () => {
  const { journal } = await open();
  const fill = 'x'.repeat(5000);
  await journal.append(record(fill));
  await prepared();
  files.fault = (step) => (step === 'free' ? diskFull() : undefined);
  let accepted = 0;
  await expect(
    (async () => {
      for (; accepted < 100; accepted++) await journal.append(record(fill));
    })(),
  ).rejects.toThrow(QueueFull);
  expect(accepted).toBeGreaterThan(0);
  for (let n = 0; n < 3; n++) await journal.append(record(fill, 'state'));
  await expect(journal.append(record('even a small one'))).rejects.toThrow(QueueFull);
  files.fault = () => undefined;
  await journal.append(record('room again'));
  await journal.close();
  const { journal: again, records } = await open();
  expect(records).toHaveLength(1 + accepted + 3 + 1);
  await again.close();
});

test('an unfinished prepared file is removed at start', async () => {
  const { journal } = await open();
  await journal.append(record('x'));
  await journal.close();
  const { writeFileSync } = process.getBuiltinModule('node:fs');
  writeFileSync(join(directory, '77.segment.new'), 'junk');
  writeFileSync(join(directory, 'README'), 'not ours');
  const { journal: again, records } = await open();
  expect(texts(records)).toEqual(['x']);
  expect(readdirSync(directory)).not.toContain('77.segment.new');
  expect(readdirSync(directory)).toContain('README');
  await again.close();
});

test('lazy records go along with the next group, or by themselves soon', async () => {
  const { journal } = await open();
  await journal.append(record('first'));
  await prepared();
  const before = files.steps;
  const lazy = journal.appendLazily(record('lazy', 'state'));
  await journal.append(record('now'));
  await lazy;
  expect(files.steps - before).toBe(2);
  await journal.appendLazily(record('alone', 'state'));
  await journal.close();
});
