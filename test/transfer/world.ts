import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accountDirectory } from '../../src/store/account-path.ts';
import type { Limits } from '../../src/store/quota.ts';
import type { MailStore } from '../../src/store/store.ts';
import { localAccount, type TransferAccount } from '../../src/transfer/account.ts';
import { type ImportWishes, importMail, type Summary } from '../../src/transfer/importer.ts';
import { Ledger } from '../../src/transfer/ledger.ts';
import type { Progress } from '../../src/transfer/progress.ts';
import type { Source } from '../../src/transfer/source.ts';
import { Spool } from '../../src/transfer/spool.ts';
import { alice, all, bytesOf, maildirStore, temporaryDirectory } from '../store/surroundings.ts';

/** A store of its own, and imports into it. */
export interface TransferWorld {
  readonly dir: string;
  readonly store: MailStore;
  readonly account: TransferAccount;
  import(source: Source, wishes?: Partial<ImportWishes>, how?: How): Promise<Summary>;
  /** Messages of a mailbox, in its order. */
  mail(path: string): Promise<readonly Kept[]>;
  close(): Promise<void>;
}

interface How {
  readonly again?: 'again' | 'continue';
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

export interface Kept {
  readonly text: string;
  readonly flags: readonly string[];
  readonly date: number;
}

export async function transferWorld(quota: Limits | null = null): Promise<TransferWorld> {
  const { path: dir, remove } = temporaryDirectory();
  const store = maildirStore(dir, undefined, quota);
  const account = await localAccount(store, alice);
  const directory = join(dir, accountDirectory(alice), 'import');
  return {
    dir,
    store,
    account,
    async import(source, wishes = {}, how = {}) {
      mkdirSync(directory, { recursive: true });
      const ledger = Ledger.open(directory);
      const spool = new Spool(directory);
      try {
        return await importMail(
          source,
          { into: null, uses: 'map', overQuota: 'stop', mode: 'import', syncFlags: 'no', ...wishes },
          {
            account,
            ledger: ledger.source(source.kind, source.name, how.again ?? 'continue'),
            spool,
            signal: how.signal ?? new AbortController().signal,
            onProgress: how.onProgress ?? (() => {}),
          },
        );
      } finally {
        spool.close();
        ledger.close();
        await source.close();
      }
    },
    mail: (path) => mailOf(store, path),
    async close() {
      await store.close();
      remove();
    },
  };
}

export async function mailOf(store: MailStore, path: string): Promise<readonly Kept[]> {
  const account = await store.account(alice);
  const mailbox = await account.mailbox(path);
  if (!mailbox) throw new Error(`no mailbox ${path}`);
  const messages = await all(account.messages(mailbox.id, [{ first: 1, last: '*' }]));
  return Promise.all(
    messages.map(async ({ uid, flags, internalDate }) => ({
      text: (await bytesOf(await account.raw(mailbox.id, uid))).toString('latin1'),
      flags: [...flags].sort(),
      date: internalDate,
    })),
  );
}
