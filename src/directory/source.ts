import type { Address, Domain } from '../mail/address.ts';
import type { AddressKey } from './address-key.ts';
import type { Account } from './directory.ts';
import type { ScramKeys } from './scram-keys.ts';

/** What the source keeps so that an account can log in. */
export interface Credentials {
  /** As parseStoredHash() reads it. */
  readonly hash: string;
  readonly scram: ScramKeys | undefined;
}

/**
 * A place where domains, accounts and aliases are written down: the database, the configuration file. Lookups are
 * synchronous and cost microseconds: they happen on every RCPT and every login.
 */
export interface Source {
  /** Takes notice of what other processes wrote. Called once before the lookups of one question. */
  refresh(): void;
  isLocal(domain: Domain): boolean;
  account(key: AddressKey): Account | undefined;
  /** The targets of an alias, in their order. */
  alias(key: AddressKey): readonly Address[] | undefined;
  /** The targets for addresses of `domain` that nobody has. */
  catchAll(domain: Domain): readonly Address[] | undefined;
  /** The domains, oldest first. */
  domains(): readonly Domain[];
  /** The oldest account of `domain` that is enabled. */
  firstAccount(domain: Domain): Account | undefined;

  credentials(key: AddressKey): Credentials | undefined;
  /** The password itself, where it is kept for CRAM-MD5 and APOP. */
  sharedSecret(key: AddressKey): string | undefined;
  /** Replaces weak credentials, unless somebody changed them meanwhile. A source that cannot write does nothing. */
  upgrade(key: AddressKey, from: Credentials, to: Credentials): void;
  /** Whether every enabled account can log in with SCRAM. */
  allHaveScram(): boolean;
}

/** Several sources as one: the first that knows an address decides. */
export function joinSources(sources: readonly Source[]): Source {
  const first = <T>(ask: (source: Source) => T | undefined): T | undefined => {
    for (const source of sources) {
      const answer = ask(source);
      if (answer !== undefined) return answer;
    }
    return undefined;
  };
  const owner = (key: AddressKey): Source | undefined => sources.find((source) => source.account(key));
  return {
    refresh() {
      for (const source of sources) source.refresh();
    },
    isLocal: (domain) => sources.some((source) => source.isLocal(domain)),
    account: (key) => first((source) => source.account(key)),
    alias: (key) => first((source) => source.alias(key)),
    catchAll: (domain) => first((source) => source.catchAll(domain)),
    domains: () => [...new Set(sources.flatMap((source) => source.domains()))],
    firstAccount: (domain) => first((source) => source.firstAccount(domain)),
    credentials: (key) => owner(key)?.credentials(key),
    sharedSecret: (key) => owner(key)?.sharedSecret(key),
    upgrade: (key, from, to) => owner(key)?.upgrade(key, from, to),
    allHaveScram: () => sources.every((source) => source.allHaveScram()),
  };
}
