import type { AccountId } from '../directory/directory.ts';

/** Limits of a whole account, as SETQUOTA sets them: what is not named is not limited (RFC 9208 4.1.3). */
export interface AccountLimits {
  readonly bytes: number | null;
  readonly messages: number | null;
  readonly mailboxes: number | null;
}

/** The limits of accounts, for those who may change them. */
export interface AccountQuotas {
  /** Whether this account is an admin's (`directory.admins`). */
  mayChange(account: AccountId): boolean;
  /** The account of an address; undefined where there is none. */
  account(address: string): Promise<AccountId | undefined>;
  /** Resolves when it is durable; `declared`: the account is in the configuration file, and nothing was changed. */
  set(account: AccountId, limits: AccountLimits): Promise<'set' | 'declared'>;
}
