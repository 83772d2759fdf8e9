import { systemClock } from '../../src/lib/clock.ts';
import { ThreadPool } from '../../src/lib/thread-pool.ts';
import { MaildirStore } from '../../src/store/maildir-store.ts';
import { storeOptions } from '../../src/store/options.ts';
import type { Limits } from '../../src/store/quota.ts';
import { ThreadStore } from '../../src/store/thread-store.ts';
import { appendAllContract } from './append-all.contract.ts';
import { BOXES, type Implementation, mailStoreContract } from './mail-store.contract.ts';
import { MemoryStore } from './memory-store.ts';
import { silent, temporaryDirectory } from './surroundings.ts';

const smallQuota = 2000;
const fewMessages = 3;
const quota = async (id: string): Promise<Limits | null> => {
  if (id.startsWith('small')) return { storage: smallQuota, messages: null };
  if (id.startsWith('boxes')) return { storage: null, messages: null, mailboxes: BOXES };
  return id.startsWith('few') ? { storage: null, messages: fewMessages } : null;
};
const settings = storeOptions.parse({
  // They would be messages too.
  quotaWarnings: [],
  mailboxSizeLimit: [
    { folder: 'Limited/%', storage: '1000B' },
    { use: 'junk', messages: 2 },
  ],
});

function contracts(name: string, make: () => Promise<Implementation>): void {
  mailStoreContract(name, make);
  appendAllContract(name, make);
}

contracts('in memory', async () => {
  const store = new MemoryStore(quota, settings);
  return { store, smallQuota, fewMessages, close: () => store.close() };
});

/** 0: whatever could take long is done in steps, and others have their turn between any two of them. */
for (const turn of [5, 0])
  contracts(`Maildir, in this thread, others have their turn after ${turn} ms`, async () => {
    const { path, remove } = temporaryDirectory();
    const store = new MaildirStore(
      { directory: path, settings, clock: systemClock, log: silent, host: 'mx.example.org', pid: 1, turn },
      quota,
    );
    return {
      store,
      smallQuota,
      fewMessages,
      async close() {
        await store.close();
        remove();
      },
    };
  });

contracts('Maildir, in worker threads', async () => {
  const { path, remove } = temporaryDirectory();
  const fail = (error: Error): void => {
    throw error;
  };
  const entry = new URL('./store-worker.ts', import.meta.url);
  const pool = new ThreadPool(entry, 2, { directory: path, settings }, fail);
  const store = new ThreadStore(pool, quota, silent);
  return {
    store,
    smallQuota,
    fewMessages,
    async close() {
      await store.close();
      await pool.close();
      remove();
    },
  };
});
