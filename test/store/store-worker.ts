import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/lib/clock.ts';
import { serveThread } from '../../src/lib/thread-pool.ts';
import { storeService } from '../../src/store/service.ts';
import { CHANGE_EVENT } from '../../src/store/thread-store.ts';
import { silent } from './surroundings.ts';

/** The store in a thread of its own, as `src/worker.ts` sets it up. */
if (!parentPort) throw new Error('runs in a worker thread only');
const { directory, settings } = workerData;
const { service, close } = storeService({
  directory,
  settings,
  clock: systemClock,
  log: silent,
  host: 'mx.example.org',
  pid: process.pid,
  onChange: (account, change) => emit(CHANGE_EVENT, { account, change }),
});
const { emit } = serveThread(parentPort, { store: service }, close);
