import type { AccountId } from '../directory/directory.ts';
import type { Logger } from '../lib/logger.ts';
import type { ThreadPool } from '../lib/thread-pool.ts';
import { CallingStore, type Calls, type QuotaOf } from './calling-store.ts';
import type { StoredChange } from './maildir/account.ts';
import { STORE_KINDS, StoreError } from './store.ts';

/** The event a store service emits in its thread. */
export const CHANGE_EVENT = 'store.change';

export interface ChangeEvent {
  readonly account: AccountId;
  readonly change: StoredChange;
}

/**
 * The mail store in worker threads: each account belongs to one of them (by hash of its id), which runs `storeService`
 * under the name `store`. Closing the pool closes the accounts.
 */
export class ThreadStore extends CallingStore {
  /** @param log for a listener's mistakes, which are nobody else's */
  constructor(pool: ThreadPool, quotaOf: QuotaOf, log: Logger) {
    pool.revive(({ name, message, fields }) => {
      const kind = STORE_KINDS.find((known) => known === fields['kind']);
      return name === 'StoreError' && kind ? new StoreError(kind, message) : undefined;
    });
    super(callsTo(pool), quotaOf, log);
  }
}

function callsTo(pool: ThreadPool): Calls {
  return {
    call: (account, method, argument, transfer) => pool.call(account, `store.${method}`, argument, transfer),
    onChange: (listener) =>
      pool.on<ChangeEvent>(CHANGE_EVENT, ({ account, change }) => listener(account, change)),
    close: () => Promise.resolve(),
  };
}
