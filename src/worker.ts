import { hostname } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from './lib/clock.ts';
import { threadLogger } from './lib/thread-logger.ts';
import { serveThread } from './lib/thread-pool.ts';
import type { StoreSettings } from './store/options.ts';
import { storeService } from './store/service.ts';
import { CHANGE_EVENT, type ChangeEvent } from './store/thread-store.ts';

/** What every worker thread is started with. */
export interface WorkerSettings {
  readonly dataDir: string;
  readonly store: StoreSettings;
}

/** The composition root of a worker thread: the rooms whose work is heavy, for the accounts that are its own. */
if (!parentPort) throw new Error('worker.ts runs in a worker thread only');
const settings = workerData as WorkerSettings;
let emit: (event: string, value: unknown) => void = () => {};
const store = storeService({
  directory: settings.dataDir,
  settings: settings.store,
  clock: systemClock,
  log: threadLogger((event, value) => emit(event, value)),
  host: hostname(),
  pid: process.pid,
  onChange: (account, change) => emit(CHANGE_EVENT, { account, change } satisfies ChangeEvent),
});
({ emit } = serveThread(parentPort, { store: store.service }, () => store.close()));
