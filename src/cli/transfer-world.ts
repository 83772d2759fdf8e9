import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ControlClient, controlPath } from '../admin/control.ts';
import { addressFrom } from '../admin/names.ts';
import { RemoteTransfer } from '../admin/transfer.ts';
import type { Config } from '../config/schema.ts';
import { addressKey } from '../directory/address-key.ts';
import type { Account } from '../directory/directory.ts';
import { DirectoryError } from '../directory/errors.ts';
import { Passwords } from '../directory/password.ts';
import { systemClock } from '../lib/clock.ts';
import { asDataDirError, claimDataDir, prepareDataDir } from '../lib/data-dir.ts';
import { createLogger } from '../lib/logger.ts';
import { openDirectory } from '../open/directory.ts';
import { accountDirectory } from '../store/account-path.ts';
import { accountLimits } from '../store/quota.ts';
import { type FilingAccount, localAccount, type TransferAccount } from '../transfer/account.ts';
import { TransferError } from '../transfer/errors.ts';
import { Ledger } from '../transfer/ledger.ts';
import { Spool } from '../transfer/spool.ts';

/** An account's mail for import and export: the running daemon's, or, while none runs, opened here. */

export interface ImportGround {
  readonly account: TransferAccount;
  readonly ledger: Ledger;
  readonly spool: Spool;
}

/** Runs `work` on the account; all is closed when it has ended, however. */
export async function withImport<T>(
  config: Config,
  address: string,
  work: (ground: ImportGround) => Promise<T>,
): Promise<T> {
  return withAccount(config, address, async (id, connect) => {
    // The account's tree is made by the store.
    await (await connect(null)).mailboxes();
    const directory = join(config.dataDir, accountDirectory(id), 'import');
    const ledger = Ledger.open(directory);
    try {
      const spool = new Spool(directory);
      try {
        return await work({ account: await connect(spool), ledger, spool });
      } finally {
        spool.close();
      }
    } finally {
      ledger.close();
    }
  });
}

export async function withExport<T>(
  config: Config,
  address: string,
  work: (account: TransferAccount) => Promise<T>,
): Promise<T> {
  return withAccount(config, address, async (_, connect) => work(await connect(null)));
}

/** @param work also gets the directory of what was filed */
export async function withFiling<T>(
  config: Config,
  address: string,
  work: (account: FilingAccount, id: Account['id'], directory: string) => Promise<T>,
): Promise<T> {
  return withAccount(config, address, async (id, connect) =>
    work(await connect(null), id, join(config.dataDir, accountDirectory(id), 'filing')),
  );
}

type Connect = (spool: Spool | null) => Promise<FilingAccount>;

async function withAccount<T>(
  config: Config,
  address: string,
  work: (id: Account['id'], connect: Connect) => Promise<T>,
): Promise<T> {
  const { dataDir } = config;
  try {
    prepareDataDir(dataDir);
    const found = await findAccount(config, address);
    const client = await ControlClient.connect(controlPath(dataDir));
    if (client) {
      try {
        return await work(found.id, async (spool) => new RemoteTransfer(client, found.id, spool));
      } finally {
        client.close();
      }
    }
    return await withOwnStore(config, found, work);
  } catch (error) {
    throw asDataDirError(dataDir, error) ?? error;
  }
}

async function withOwnStore<T>(
  config: Config,
  found: Account,
  work: (id: Account['id'], connect: Connect) => Promise<T>,
): Promise<T> {
  const { openStore } = await import('../open/store.ts');
  const release = claimDataDir(config.dataDir);
  try {
    const log = createLogger({ level: 'error', format: config.log.format }, process.stderr);
    const limits = accountLimits(found, config.store.quota);
    const store = openStore(config, { clock: systemClock, log }, async () => limits);
    try {
      return await work(found.id, () => localAccount(store, found.id));
    } finally {
      await store.close();
      log.flush();
    }
  } finally {
    release();
  }
}

async function findAccount(config: Config, address: string): Promise<Account> {
  const key = addressKey(addressFrom(address));
  const passwords = new Passwords();
  try {
    const directory = openDirectory(config, systemClock, passwords);
    try {
      const account = directory.account(key) ?? directory.declared.account(key);
      if (account) return account;
    } finally {
      directory.close();
    }
  } finally {
    await passwords.close();
  }
  throw new DirectoryError(
    'not-found',
    `there is no account ${address}; "facteur account add ${address}" makes it`,
  );
}

/** What the file system refuses, in words for people. */
export function asTransferError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('path' in error)) return error;
  const { code, path } = error;
  if (code === 'ENOENT') return new TransferError(`there is no ${String(path)}`, { cause: error });
  if (code === 'EACCES' || code === 'EPERM')
    return new TransferError(`not allowed to use ${String(path)}`, { cause: error });
  if (code === 'ENOTDIR' || code === 'EISDIR' || code === 'EEXIST')
    return new TransferError(`${String(path)}: ${error.message}`, { cause: error });
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new TransferError(`the disk is full: ${String(path)}. Make room and run the same command again`, {
      cause: error,
    });
  return error;
}

/** Throws ENOENT in words. */
export function checkThere(path: string): void {
  if (!statSync(path, { throwIfNoEntry: false })) throw new TransferError(`there is no ${path}`);
}

/** A file with one line in it. */
export function firstLine(path: string): string {
  try {
    const line = readFileSync(path, 'utf8').split('\n', 1)[0]?.replace(/\r$/, '') ?? '';
    if (line === '') throw new TransferError(`${path} has nothing in its first line`);
    return line;
  } catch (error) {
    throw asTransferError(error);
  }
}
