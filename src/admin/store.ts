import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { AccountId } from '../directory/directory.ts';
import { accountDirectory, accountOf } from '../store/account-path.ts';
import type { CheckReport, Finding } from '../store/check-calls.ts';
import { damageOf } from '../store/maildir/damage.ts';
import type { Expired, ExpireMode } from '../store/maildir/expire.ts';
import type { ControlClient, ControlHandler } from './control.ts';

/** What an admin may do with the mail store; the same words whether the daemon runs or not. */
export interface StoreAdmin {
  /** null when the account has no mail. `damage`: what `damageOf` found. */
  check(account: AccountId, mode: 'look' | 'repair', damage: readonly string[]): Promise<CheckReport | null>;
  /** Makes the index again; each mailbox as it has been read. */
  reindex(account: AccountId): AsyncIterable<Reindexed>;
  /** What `store.expire` has removed now, or would, by path of the mailbox; null when the account has no mail. */
  expire(account: AccountId, mode: ExpireMode): Promise<Expired | null>;
}

export interface Reindexed {
  readonly mailbox: string;
  readonly messages: number;
  /** Mailboxes still to be read. */
  readonly left: number;
}

export interface AccountReport extends CheckReport {
  readonly account: AccountId;
}

/** Straight on the store: in the daemon, and on the command line while no daemon runs. */
export function storeAdmin(store: StoreAdmin): StoreAdmin {
  return {
    check: (account, mode, damage) => store.check(account, mode, damage),
    reindex: (account) => store.reindex(account),
    expire: (account, mode) => store.expire(account, mode),
  };
}

/** The daemon's answers to remoteStoreAdmin. */
export function storeHandlers(store: StoreAdmin): Readonly<Record<string, ControlHandler>> {
  return {
    'store.check': (argument) => {
      const { account, mode, damage } = argument as Check;
      return store.check(account, mode, damage);
    },
    'store.reindex': (argument) => store.reindex(argument as AccountId),
    'store.expire': (argument) => {
      const { account, mode } = argument as Expire;
      return store.expire(account, mode);
    },
  };
}

interface Check {
  readonly account: AccountId;
  readonly mode: 'look' | 'repair';
  readonly damage: readonly string[];
}

interface Expire {
  readonly account: AccountId;
  readonly mode: ExpireMode;
}

/** The same over the daemon's control socket. */
export function remoteStoreAdmin(client: ControlClient): StoreAdmin {
  return {
    check: (account, mode, damage) =>
      client.call('store.check', { account, mode, damage } satisfies Check) as Promise<CheckReport | null>,
    reindex: (account) => client.stream('store.reindex', account) as AsyncIterable<Reindexed>,
    expire: (account, mode) =>
      client.call('store.expire', { account, mode } satisfies Expire) as Promise<Expired | null>,
  };
}

/**
 * One account, whatever is wrong with it; null when it has no mail. SQLite reads the whole index here, in the process
 * of the command line, so that the daemon's threads go on delivering.
 */
export async function checkAccount(
  admin: StoreAdmin,
  dataDir: string,
  account: AccountId,
  mode: 'look' | 'repair',
): Promise<AccountReport | null> {
  try {
    const damage = damageOf(join(dataDir, accountDirectory(account), 'index.sqlite'));
    const report = await admin.check(account, mode, damage);
    return report && { account, ...report };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const finding: Finding = {
      mailbox: '',
      problem: `the account cannot be opened: ${reason}`,
      state: mode === 'look' ? 'found' : 'stays',
    };
    return { account, mailboxes: 0, messages: 0, findings: [finding], more: 0 };
  }
}

/** All accounts that have mail, in the order of their names. */
export function accountsWithMail(dataDir: string): AccountId[] {
  const mail = join(dataDir, 'mail');
  const found = directoriesIn(mail).flatMap((domain) =>
    directoriesIn(join(mail, domain))
      .filter((local) => statSync(join(mail, domain, local, 'Maildir'), { throwIfNoEntry: false }))
      .flatMap((local) => accountOf(domain, local) ?? []),
  );
  return found.sort();
}

/** Of what is no directory, nothing. */
function directoriesIn(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name);
}
