import { hostname } from 'node:os';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { Scripts } from './delivery/sieve/scripts.ts';
import { sieveService } from './delivery/sieve/service.ts';
import { systemClock } from './lib/clock.ts';
import { threadLogger } from './lib/thread-logger.ts';
import { serveThread } from './lib/thread-pool.ts';
import type { SieveSettings } from './sieve/options.ts';
import { CallingStore } from './store/calling-store.ts';
import { SqliteKeyValue } from './store/key-value.ts';
import { directCalls } from './store/maildir-store.ts';
import type { StoreSettings } from './store/options.ts';
import { storeService } from './store/service.ts';
import { CHANGE_EVENT, type ChangeEvent } from './store/thread-store.ts';

/** What every worker thread is started with. */
export interface WorkerSettings {
  readonly dataDir: string;
  readonly store: StoreSettings;
  readonly sieve: SieveSettings;
  readonly hostname: string;
  readonly delimiters: string;
}

/** The composition root of a worker thread: the rooms whose work is heavy, for the accounts that are its own. */
if (!parentPort) throw new Error('worker.ts runs in a worker thread only');
const settings = workerData as WorkerSettings;
let emit: (event: string, value: unknown) => void = () => {};
const log = threadLogger((event, value) => emit(event, value));
const store = storeService({
  directory: settings.dataDir,
  settings: settings.store,
  clock: systemClock,
  log,
  host: hostname(),
  pid: process.pid,
  onChange: (account, change) => emit(CHANGE_EVENT, { account, change } satisfies ChangeEvent),
});
const memory = new SqliteKeyValue(join(settings.dataDir, 'state.sqlite'), systemClock, log);
const mail = new CallingStore(directCalls(store.service), async () => null, log);
const sieve = sieveService({
  hostname: settings.hostname,
  delimiters: settings.delimiters,
  settings: settings.sieve,
  scripts: new Scripts(settings.dataDir, settings.sieve),
  memory,
  clock: systemClock,
  log,
  account: (id) => mail.account(id),
});
({ emit } = serveThread(parentPort, { store: store.service, sieve }, async () => {
  memory.close();
  await store.close();
}));
