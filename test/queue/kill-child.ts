import { writeSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock.ts';
import { SegmentQueue } from '../../src/queue/segment-queue.ts';
import { add, all, delivered, silent } from './fixtures.ts';

/** Adds and delivers until it is killed, and says on its standard output what it was promised. */
const [directory = ''] = process.argv.slice(2);
const queue = await SegmentQueue.open(
  { directory, segmentSize: 256 * 1024 },
  { clock: systemClock, log: silent },
);
const say = (line: string): void => void writeSync(1, `${line}\n`);
say('ready');

async function sender(number: number): Promise<void> {
  for (let n = 0; ; n++) {
    const size = n % 40 === 39 ? 300_000 : 200 + ((n * 977 + number * 131) % 4000);
    const local = n % 3 === 0;
    const id = await add(
      queue,
      [local ? 'a@mail.here' : 'a@far.example'],
      `${number} ${n} `.padEnd(size, '.'),
    );
    say(`accepted ${id} ${number} ${n} ${size}`);
  }
}

async function courier(): Promise<void> {
  for (;;) {
    const now = Date.now();
    for (const job of await queue.claim(now, now + 60_000, 5)) {
      // Every second one stays, so that there is something to find.
      if (job.message.id.charCodeAt(13) % 2 === 0) continue;
      say(`tried ${job.message.id}`);
      await queue.settle(job, all(job, delivered(now)));
      if (job.agent === 'remote') say(`done ${job.message.id}`);
    }
    await systemClock.sleep(2);
  }
}

await Promise.all([...Array.from({ length: 8 }, (_, number) => sender(number)), courier()]);
