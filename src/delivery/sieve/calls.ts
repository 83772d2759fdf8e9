import type { AccountId } from '../../directory/directory.ts';
import type { ThreadPool } from '../../lib/thread-pool.ts';
import type { Complaint } from '../../sieve/errors.ts';
import { SieveError } from '../../sieve/errors.ts';
import type { Decision, Question } from './decision.ts';
import type { Checked } from './service.ts';

/** Scripts, as the rest of the house sees them: each call goes to the thread that has the account. */
export interface SieveCalls {
  /** Never rejects for what a script does. */
  decide(question: Question): Promise<Decision>;
  /** Whether a script that runs for this account's mail could refuse a message. */
  mayRefuse(account: AccountId): Promise<boolean>;
  /** Resolves to warnings. Throws SieveError. */
  check(account: AccountId, source: string): Promise<readonly Complaint[]>;
  recall(account: AccountId, space: string, key: string): Promise<string | undefined>;
  /** Resolves when it is durable. */
  remember(account: AccountId, space: string, key: string, value: string, expires: number): Promise<void>;
}

/**
 * Of workers that run `sieveService` under the name `sieve`.
 * @param mayHaveScripts whether any could run for an account's mail; where none can, which is most often, nobody is asked
 */
export function threadSieve(pool: ThreadPool, mayHaveScripts: (account: AccountId) => boolean): SieveCalls {
  const call = <T>(account: AccountId, method: string, argument: object): Promise<T> =>
    pool.call(account, `sieve.${method}`, argument);
  return {
    decide: async (question) =>
      question.script === undefined && !mayHaveScripts(question.account)
        ? NO_SCRIPT
        : call(question.account, 'decide', question),
    mayRefuse: async (account) => mayHaveScripts(account) && call(account, 'mayRefuse', { account }),
    async check(account, source) {
      const checked = await call<Checked>(account, 'check', { source });
      if (checked.is === 'bad') throw new SieveError(checked.complaints);
      return checked.warnings;
    },
    recall: (account, space, key) => call(account, 'recall', { account, space, key }),
    remember: (account, space, key, value, expires) =>
      call(account, 'remember', { account, space, key, value, expires }),
  };
}

const NO_SCRIPT: Decision = { actions: null, problem: null, seen: [], notes: [] };
