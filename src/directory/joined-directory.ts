import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { type Address, type Domain, parseAddress } from '../mail/address.ts';
import { addressKey } from './address-key.ts';
import type { Account, AccountId, Directory, Route, ScramCredentials } from './directory.ts';
import { Logins } from './logins.ts';
import type { Passwords } from './password.ts';
import { belongsTo, postmasterRoute, type RoutingOptions, route } from './routing.ts';
import { joinSources, type Source } from './source.ts';

export interface JoinedDirectoryOptions {
  /** Asked in this order; the first that knows a name decides. */
  readonly sources: readonly Source[];
  readonly passwords: Passwords;
  readonly clock: Clock;
  readonly log: Logger;
  /** Kept over restarts, so that made-up SCRAM keys stay the same: `scramSecret` of the SqliteDirectory. */
  readonly scramSecret: Uint8Array;
  readonly settings: DirectorySettings;
}

/** What a reload of the configuration may change. */
export interface DirectorySettings {
  readonly recipientDelimiters: string;
  readonly postmaster: Address | undefined;
  /** `auth.defaultDomain`. */
  readonly defaultDomain: Domain | undefined;
}

/** The directory that the rest of the house knows: all sources as one, with routing and logins. */
export class JoinedDirectory implements Directory {
  readonly #source: Source;
  readonly #logins: Logins;
  #routing: RoutingOptions;
  #fresh = false;

  constructor(options: JoinedDirectoryOptions) {
    this.#source = joinSources(options.sources);
    this.#logins = new Logins({ ...options, source: this.#source });
    this.#routing = routingOf(options.settings);
    this.#logins.defaultDomain = options.settings.defaultDomain;
  }

  /** The configuration was read again. */
  configure(settings: DirectorySettings): void {
    this.#routing = routingOf(settings);
    this.#logins.defaultDomain = settings.defaultDomain;
  }

  async isLocal(domain: Domain): Promise<boolean> {
    this.#refresh();
    return this.#source.isLocal(domain);
  }

  async route(address: Address): Promise<Route> {
    this.#refresh();
    return route(this.#source, address, this.#routing);
  }

  async postmaster(): Promise<Route> {
    this.#refresh();
    return postmasterRoute(this.#source, this.#routing);
  }

  async account(id: AccountId): Promise<Account | undefined> {
    this.#refresh();
    const address = parseAddress(id);
    return address && this.#source.account(addressKey(address));
  }

  async maySendAs(account: AccountId, from: Address): Promise<boolean> {
    // Also in a session that began before the account was disabled.
    if (!(await this.account(account))?.enabled) return false;
    return belongsTo(this.#source, account, from, this.#routing);
  }

  verifyPassword(login: string, password: string): Promise<Account | undefined> {
    return this.#logins.verifyPassword(login, password);
  }

  async loginAccount(login: string): Promise<Account | undefined> {
    return this.#logins.loginAccount(login);
  }

  scramCredentials(login: string): Promise<ScramCredentials> {
    return this.#logins.scramCredentials(login);
  }

  scramSha1Credentials(login: string): Promise<ScramCredentials> {
    return this.#logins.scramSha1Credentials(login);
  }

  sharedSecret(login: string): Promise<{ readonly account: Account; readonly secret: string } | undefined> {
    return this.#logins.sharedSecret(login);
  }

  /** Whether every enabled account has SCRAM keys: an imported hash gives them only at the first login. */
  allHaveScram(): boolean {
    this.#refresh();
    return this.#source.allHaveScram();
  }

  /** Questions of one turn of the event loop get answers of one state: asking SQLite costs more than they do. */
  #refresh(): void {
    if (this.#fresh) return;
    this.#fresh = true;
    setImmediate(() => {
      this.#fresh = false;
    });
    this.#source.refresh();
  }

  /** Waits for what logins have still to write. The sources stay open. */
  close(): Promise<void> {
    return this.#logins.close();
  }
}

function routingOf({ recipientDelimiters, postmaster }: DirectorySettings): RoutingOptions {
  return { delimiters: recipientDelimiters, postmaster };
}
