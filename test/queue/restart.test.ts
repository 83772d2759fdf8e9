import { closeSync, cpSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openSqlite } from '../../src/lib/sqlite.ts';
import type { QueueId } from '../../src/queue/queue.ts';
import { SegmentQueue } from '../../src/queue/segment-queue.ts';
import { ManualClock } from '../clock.ts';
import { FaultyFiles } from '../faulty-files.ts';
import { add, all, bytes, collect, deferred, delivered, newMessage, recorder } from './fixtures.ts';

/** What a start must cope with although the last end was clean. */

let directory: string;
let clock: ManualClock;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'queue-'));
  clock = new ManualClock();
});
afterEach(() => rmSync(directory, { recursive: true }));

const open = (log = recorder().log): Promise<SegmentQueue> =>
  SegmentQueue.open({ directory, segmentSize: 128 * 1024 }, { clock, log });
const now = (): number => clock.now().getTime();

async function deliverAll(queue: SegmentQueue): Promise<void> {
  for (const job of await queue.claim(now(), now() + 60_000, 100))
    await queue.settle(job, all(job, delivered()));
}

test('the clock set back between two runs: no id of delivered mail comes again, for the store knows it', async () => {
  let queue = await open();
  const ids: QueueId[] = [];
  for (let n = 0; n < 3; n++) {
    await clock.advance(1000);
    ids.push(await add(queue, ['alice@mail.here']));
    await deliverAll(queue);
  }
  await clock.advance(1000);
  await queue.close();
  clock.set('2020-01-01T00:00:00Z');
  queue = await open();
  const next = await add(queue, ['alice@mail.here']);
  expect(next > (ids.at(-1) ?? '')).toBe(true);
  await queue.close();
});

test.each(['message', 'recipient', 'hop', 'message_base', 'recipient_due'])(
  'the index damaged in %s while nobody looked: made anew from the journal',
  async (name) => {
    let queue = await open();
    const id = await add(queue, ['bob@far.example'], 'Subject: x\r\n\r\nkept\r\n');
    for (const job of await queue.claim(now(), now() + 60_000, 10))
      await queue.settle(job, all(job, deferred(now() + 1000)));
    await queue.close();
    const path = join(directory, 'index.sqlite');
    const db = openSqlite(path, { durability: 'full', readonly: true });
    const root = Number(db.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck().get(name));
    const size = Number(db.pragma('page_size', { simple: true }));
    db.close();
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(size, 0x5a), 0, size, (root - 1) * size);
    closeSync(file);
    const { log, lines } = recorder();
    queue = await open(log);
    expect(lines.some(({ level, message }) => level === 'error' && message.includes('damaged'))).toBe(true);
    expect(await collect(queue.list())).toMatchObject([{ id }]);
    expect(String(await bytes(queue, id))).toContain('kept');
    await clock.advance(1000);
    await deliverAll(queue);
    expect(await queue.get(id)).toBeUndefined();
    await queue.close();
  },
);

test('a big message refused because its record could not be synced: should the record be there after all, so is the body', async () => {
  const files = new FaultyFiles();
  const queue = await SegmentQueue.open(
    { directory, inlineLimit: 10 },
    { clock, log: recorder().log, files },
  );
  await add(queue, ['alice@mail.here'], 'first');
  await deliverAll(queue);
  const draft = queue.draft();
  await draft.write(Buffer.from('Subject: big\r\n\r\nbody\r\n'));
  files.fault = (step, path) =>
    step === 'datasync' && path.includes('.segment')
      ? Object.assign(new Error('EIO'), { code: 'EIO' })
      : undefined;
  await expect(draft.commit(newMessage(['bob@far.example']))).rejects.toThrow();
  const left = mkdtempSync(join(tmpdir(), 'queue-'));
  cpSync(directory, left, { recursive: true });
  files.fault = () => undefined;
  await add(queue, ['carol@far.example'], 'small');
  await queue.close();
  const next = await SegmentQueue.open({ directory: left }, { clock, log: recorder().log });
  expect((await collect(next.list())).map(({ id }) => id)).toContain(draft.id);
  expect(String(await bytes(next, draft.id))).toContain('body');
  await next.close();
  rmSync(left, { recursive: true });
  // Nobody needs it where the process lived on.
  await (await open()).close();
  expect(readdirSync(join(directory, 'spool'))).toEqual([]);
});
