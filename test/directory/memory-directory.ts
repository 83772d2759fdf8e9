import { FileDirectory } from '../../src/directory/file-directory.ts';
import { type DirectorySettings, JoinedDirectory } from '../../src/directory/joined-directory.ts';
import type { Declared } from '../../src/directory/options.ts';
import { Passwords } from '../../src/directory/password.ts';
import { SqliteDirectory } from '../../src/directory/sqlite-directory.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { type Address, type Domain, parseAddress, parseDomain } from '../../src/mail/address.ts';

/** A real directory in a database in memory, with passwords that cost little. */
export interface MemoryDirectory {
  readonly directory: JoinedDirectory;
  readonly sqlite: SqliteDirectory;
  readonly file: FileDirectory;
  close(): Promise<void>;
}

export interface Population {
  /** Those of the accounts come by themselves. */
  readonly domains?: readonly string[];
  /** Address to password. */
  readonly accounts?: Readonly<Record<string, string>>;
  /** Address, or `@example.org`, to targets. */
  readonly aliases?: Readonly<Record<string, readonly string[]>>;
  readonly declared?: Partial<Declared>;
  readonly settings?: Partial<DirectorySettings>;
  readonly path?: string;
  /** Where CRAM-MD5's key is; without it none is kept. */
  readonly keyFile?: string;
  readonly clock?: Clock;
  readonly log?: Logger;
}

export const silent: Logger = {
  child: () => silent,
  debug() {},
  info() {},
  warn() {},
  error() {},
};

export const address = (text: string): Address => {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`not an address: ${text}`);
  return parsed;
};

export const domain = (text: string): Domain => {
  const parsed = parseDomain(text);
  if (parsed === undefined) throw new Error(`not a domain: ${text}`);
  return parsed;
};

/** Hashes as fast as argon2 allows. */
export const CHEAP = { memory: 64, passes: 1 } as const;

export async function memoryDirectory(population: Population = {}): Promise<MemoryDirectory> {
  const { accounts = {}, aliases = {}, declared, settings, clock = systemClock, log = silent } = population;
  const passwords = new Passwords(CHEAP);
  const file = new FileDirectory({ domains: [], accounts: [], aliases: [], ...declared });
  const sqlite = new SqliteDirectory({
    path: population.path ?? ':memory:',
    clock,
    passwords,
    declared: file,
    recipientDelimiters: settings?.recipientDelimiters ?? '+',
    sharedSecrets: population.keyFile === undefined ? null : { keyFile: population.keyFile },
  });
  const names = new Set(
    [
      ...(population.domains ?? []),
      ...Object.keys(accounts).map((one) => one.slice(one.lastIndexOf('@') + 1)),
    ].map(domain),
  );
  for (const name of names) if (!file.isLocal(name)) await sqlite.addDomain(name);
  for (const [text, password] of Object.entries(accounts))
    await sqlite.addAccount({ address: address(text), password: { is: 'password', password } });
  for (const [text, targets] of Object.entries(aliases)) {
    const name = text.startsWith('@')
      ? ({ is: 'catch-all', domain: domain(text.slice(1)) } as const)
      : ({ is: 'address', address: address(text) } as const);
    await sqlite.addAlias(name, targets.map(address));
  }
  const directory = new JoinedDirectory({
    sources: [sqlite, file],
    passwords,
    clock,
    log,
    scramSecret: sqlite.scramSecret,
    settings: { recipientDelimiters: '+', postmaster: undefined, defaultDomain: undefined, ...settings },
  });
  return {
    directory,
    sqlite,
    file,
    async close() {
      await directory.close();
      await passwords.close();
      sqlite.close();
    },
  };
}
