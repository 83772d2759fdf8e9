import { parentPort, threadId, workerData } from 'node:worker_threads';
import { serveThread, transferring } from '../../src/lib/thread-pool.ts';

/** What test/lib/thread-pool.test.ts runs in its threads. */
if (!parentPort) throw new Error('runs in a worker thread only');
const { emit } = serveThread(
  parentPort,
  {
    sum: {
      double: (n: number) => n * 2,
      greeting: () => workerData.greeting as string,
      thread: () => threadId,
      fail: (kind: string) => {
        throw Object.assign(new Error('no'), { name: 'Odd', kind });
      },
      emit: (value: unknown) => emit('tick', value),
      bytes: (size: number) => {
        const bytes = Uint8Array.from({ length: size }, (_, i) => i);
        return transferring(bytes, [bytes.buffer]);
      },
      slow: async (ms: number) => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        return 'done';
      },
      die: () => process.exit(3),
    },
  },
  () => {},
);
