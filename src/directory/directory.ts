import type { Address, Domain } from '../mail/address.ts';

/** The account's canonical address as text, e.g. `alice@example.org`: stable, readable, names its Maildir. */
export type AccountId = string & { readonly __brand: 'AccountId' };

export interface Account {
  readonly id: AccountId;
  readonly address: Address;
  /** Bytes; null is what `store.quota` says, 0 no limit. */
  readonly quotaBytes: number | null;
  /** How many messages, likewise. */
  readonly quotaMessages: number | null;
  /** How many mailboxes, likewise. */
  readonly quotaMailboxes: number | null;
  readonly enabled: boolean;
  readonly source: 'sqlite' | 'file';
}

/** Where mail for one address goes, aliases followed to their end. */
export type Route =
  | { readonly to: 'deliver'; readonly destinations: readonly Destination[] }
  /** Our domain, nobody there: 550 5.1.1. */
  | { readonly to: 'unknown' }
  /** Our domain, account switched off: 550 5.2.1. */
  | { readonly to: 'disabled' }
  /** Aliases lead in a circle or too deep: 554 5.4.6. */
  | { readonly to: 'loop' }
  /** Not our domain: relay, if allowed. */
  | { readonly to: 'elsewhere' };

export type Destination =
  | {
      readonly is: 'account';
      readonly account: AccountId;
      /** The sub-address after the delimiter (RFC 5233), as received. */
      readonly detail?: string;
    }
  | { readonly is: 'remote'; readonly address: Address };

/** Who exists here: domains, accounts, aliases. Read on every RCPT and every login. */
export interface Directory {
  isLocal(domain: Domain): Promise<boolean>;
  route(address: Address): Promise<Route>;
  /** The route of `<postmaster>` without a domain (RFC 5321 4.1.1.3). */
  postmaster(): Promise<Route>;
  account(id: AccountId): Promise<Account | undefined>;
  /**
   * Resolves to the account when the password is right and the account is enabled. Costs the same time whether the
   * account exists or not. `login` may lack its domain (`auth.defaultDomain`).
   */
  verifyPassword(login: string, password: string): Promise<Account | undefined>;
  /** The enabled account of a login name that something else than a password has proven: a token, a certificate. */
  loginAccount(login: string): Promise<Account | undefined>;
  /** For an unknown login: plausible made-up credentials, always the same for one name, so that nothing leaks. */
  scramCredentials(login: string): Promise<ScramCredentials>;
  /** The same for SCRAM-SHA-1, from the password itself where it is kept: `undefined` account for all others. */
  scramSha1Credentials(login: string): Promise<ScramCredentials>;
  /** The secret that CRAM-MD5 and APOP need; undefined where none is kept. */
  sharedSecret(login: string): Promise<{ readonly account: Account; readonly secret: string } | undefined>;
  /** Whether the account's own address, one of its sub-addresses, or an address given to it through an alias. */
  maySendAs(account: AccountId, from: Address): Promise<boolean>;
}

export interface ScramCredentials {
  /** undefined when there is no such enabled account: the exchange must then fail at its end. */
  readonly account: Account | undefined;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}
