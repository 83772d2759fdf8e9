import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { QueueFull, type QueueId } from '../../src/queue/queue.ts';
import { SegmentQueue } from '../../src/queue/segment-queue.ts';
import { add, all, bytes, collect, deferred, delivered, silent } from './fixtures.ts';

const COMMANDS = { mount: 'mount', unmount: 'umount' };
const mounted = mount();

function mount(): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'full-'));
  try {
    execFileSync(COMMANDS.mount, ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', directory], { stdio: 'pipe' });
    return directory;
  } catch (error) {
    console.log(
      `skipped: no small file system to fill (${error instanceof Error ? error.message.trim() : ''})`,
    );
    rmSync(directory, { recursive: true });
    return undefined;
  }
}

test.skipIf(mounted === undefined)(
  'a file system filled to the brim: new mail is refused, nothing is lost, and delivering makes room',
  async () => {
    const directory = mounted ?? '';
    try {
      let queue = await SegmentQueue.open(
        { directory: join(directory, 'queue') },
        { clock: systemClock, log: silent },
      );
      const accepted = new Map<QueueId, number>();
      const fill = async (size: number): Promise<void> => {
        for (let n = 0; n < 3000; n++)
          accepted.set(await add(queue, ['a@mail.here'], Buffer.alloc(size, 'x')), size);
      };
      // Big ones into the spool, then small ones into the journal, until there is no room for either.
      await expect(fill(400_000)).rejects.toThrow(QueueFull);
      const spooled = accepted.size;
      expect(spooled).toBeGreaterThan(2);
      const { bavail, bsize } = statfsSync(directory);
      writeFileSync(join(directory, 'other'), Buffer.alloc(Math.max(0, bavail * bsize)));
      await expect(fill(100_000)).rejects.toThrow(QueueFull);

      // State of what we have can still be written, and bounces still go in.
      const now = Date.now();
      const [first, second] = await queue.claim(now, now + 60_000, 2);
      if (first) await queue.settle(first, all(first, deferred(now + 1_000_000)));
      if (second)
        await queue.settle(second, all(second, { is: 'failed', at: now, reply: { code: 550, text: 'no' } }));
      const bounce = await add(queue, ['sender@far.example'], 'Subject: bounce\r\n\r\n', {
        from: null,
        source: 'dsn',
      });
      accepted.set(bounce, 19);
      accepted.delete(second?.message.id ?? bounce);
      await queue.close();

      queue = await SegmentQueue.open(
        { directory: join(directory, 'queue') },
        { clock: systemClock, log: silent },
      );
      const ids = (await collect(queue.list())).map(({ id }) => id);
      expect(ids.sort()).toEqual([...accepted.keys()].sort());
      for (const [id, size] of accepted) expect((await bytes(queue, id)).length).toBe(size);
      for (const job of await queue.claim(now, now + 60_000, 10_000))
        await queue.settle(job, all(job, delivered(now)));
      rmSync(join(directory, 'other'));
      await queue.close();
      queue = await SegmentQueue.open(
        { directory: join(directory, 'queue') },
        { clock: systemClock, log: silent },
      );
      await add(queue, ['a@mail.here'], Buffer.alloc(400_000));
      await add(queue, ['a@mail.here'], 'small');
      await queue.close();
    } finally {
      execFileSync(COMMANDS.unmount, ['-l', directory]);
      rmSync(directory, { recursive: true });
    }
  },
);
