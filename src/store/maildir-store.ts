import { type Service, Transferring } from '../lib/thread-pool.ts';
import { CallingStore, type Calls, type QuotaOf } from './calling-store.ts';
import type { OpenAccountsOptions } from './maildir/open-accounts.ts';
import { storeService } from './service.ts';

/** The mail store in the thread that made it: for tests, and for tools that run without the daemon. */
export class MaildirStore extends CallingStore {
  constructor(options: Omit<OpenAccountsOptions, 'onChange'>, quota: QuotaOf) {
    super(direct(options), quota, options.log);
  }
}

function direct(options: Omit<OpenAccountsOptions, 'onChange'>): Calls {
  const listeners: Parameters<Calls['onChange']>[0][] = [];
  const { service, close } = storeService({
    ...options,
    onChange: (account, change) => {
      for (const listener of listeners) listener(account, change);
    },
  });
  return {
    ...directCalls(service),
    onChange: (listener) => {
      listeners.push(listener);
    },
    close,
  };
}

/** To a service in the thread that calls; who uses them is told of no change. */
export function directCalls(service: Service): Calls {
  return {
    async call<T>(_account: unknown, method: string, argument: object): Promise<T> {
      const run = service[method];
      if (!run) throw new Error(`no such call: ${method}`);
      const result = await run(argument as never);
      return (result instanceof Transferring ? result.value : result) as T;
    },
    onChange: () => {},
    close: () => Promise.resolve(),
  };
}
