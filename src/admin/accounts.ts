import type { Account } from '../directory/directory.ts';
import { generatePassword } from '../directory/password.ts';
import type { NewPassword, QuotaChange, Removal, SqliteDirectory } from '../directory/sqlite-directory.ts';
import type { Address } from '../mail/address.ts';
import { addressFrom, domainFrom } from './names.ts';

/** An account as an admin sees it. */
export interface AccountFacts {
  readonly address: string;
  readonly enabled: boolean;
  /** Bytes; null is what `store.quota` says, 0 no limit. */
  readonly quota: number | null;
  /** How many messages, likewise. */
  readonly quotaMessages: number | null;
  /** How many mailboxes, likewise. */
  readonly quotaMailboxes: number | null;
  /** Ways to log in besides sending the password. */
  readonly mechanisms: readonly ('SCRAM-SHA-256' | 'CRAM-MD5')[];
  /** `file`: declared in the configuration file, to be changed there. */
  readonly source: 'sqlite' | 'file';
}

/** A password from somewhere, or one to be made up and shown once. */
export type PasswordChoice = NewPassword | { readonly is: 'generate' };

export interface AccountWish {
  readonly address: string;
  readonly password: PasswordChoice;
  readonly quotaBytes?: number | null;
  readonly quotaMessages?: number | null;
  readonly quotaMailboxes?: number | null;
  readonly enabled?: boolean;
}

/** What was made, with the password where nobody knows it yet. */
export interface PasswordSet {
  readonly account: string;
  readonly generated: string | undefined;
}

/** How many accounts are read at a time. */
const PAGE = 1000;

/** Every account, in the order of domain and address: those of the database, then those of the file. */
export async function* listAccounts(
  directory: SqliteDirectory,
  filter: { readonly domain?: string } = {},
): AsyncGenerator<AccountFacts> {
  const domain = filter.domain === undefined ? undefined : domainFrom(filter.domain);
  const scope = domain === undefined ? {} : { domain };
  let after: Address | undefined;
  while (true) {
    const page = await directory.listAccounts({ ...scope, ...(after && { after }), limit: PAGE });
    for (const { account, scram, sharedSecret } of page.accounts)
      yield facts(account, [
        ...(scram ? (['SCRAM-SHA-256'] as const) : []),
        ...(sharedSecret ? (['CRAM-MD5'] as const) : []),
      ]);
    after = page.accounts.at(-1)?.account.address;
    if (page.accounts.length < PAGE || !after) break;
  }
  for (const account of directory.declared.accounts())
    if (domain === undefined || account.address.domain === domain) yield facts(account, []);
}

/** Makes an account. */
export async function addAccount(directory: SqliteDirectory, wish: AccountWish): Promise<PasswordSet> {
  const { password, generated } = choose(wish.password);
  const { quotaBytes = null, quotaMessages = null, quotaMailboxes = null, enabled = true } = wish;
  const address = addressFrom(wish.address);
  const limits = { quotaBytes, quotaMessages, quotaMailboxes };
  const account = await directory.addAccount({ address, password, ...limits, enabled });
  return { account: account.id, generated };
}

/** Sets the password; sessions that are logged in stay so. */
export async function setPassword(
  directory: SqliteDirectory,
  address: string,
  choice: PasswordChoice,
): Promise<PasswordSet> {
  const { password, generated } = choose(choice);
  await directory.setPassword(addressFrom(address), password);
  return { account: address, generated };
}

/** A disabled account cannot log in, its sessions end within seconds, and mail to it is refused; what it has stays. */
export async function setAccountState(
  directory: SqliteDirectory,
  address: string,
  state: 'enabled' | 'disabled',
): Promise<void> {
  await directory.setState(addressFrom(address), state);
}

/** What is not named stays; null is what `store.quota` says, 0 no limit. */
export async function setQuota(
  directory: SqliteDirectory,
  address: string,
  quota: QuotaChange,
): Promise<void> {
  await directory.setQuota(addressFrom(address), quota);
}

/** Removes the account; its mail stays on the disk. */
export async function removeAccount(
  directory: SqliteDirectory,
  address: string,
  removal: Removal,
): Promise<void> {
  await directory.removeAccount(addressFrom(address), removal);
}

function choose(choice: PasswordChoice): { password: NewPassword; generated: string | undefined } {
  if (choice.is !== 'generate') return { password: choice, generated: undefined };
  const generated = generatePassword();
  return { password: { is: 'password', password: generated }, generated };
}

function facts(account: Account, mechanisms: AccountFacts['mechanisms']): AccountFacts {
  return {
    address: account.id,
    enabled: account.enabled,
    quota: account.quotaBytes,
    quotaMessages: account.quotaMessages,
    quotaMailboxes: account.quotaMailboxes,
    mechanisms,
    source: account.source,
  };
}
