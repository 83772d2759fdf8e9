import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/schema.ts';
import type { RehearsalWorld } from '../delivery/sieve/rehearsal.ts';
import { type NamedScript, Scripts } from '../delivery/sieve/scripts.ts';
import type { AccountId } from '../directory/directory.ts';
import { Passwords } from '../directory/password.ts';
import { belongsTo } from '../directory/routing.ts';
import { joinSources } from '../directory/source.ts';
import { systemClock } from '../lib/clock.ts';
import { createLogger } from '../lib/logger.ts';
import { type Address, parseAddress } from '../mail/address.ts';
import { openDirectory } from '../open/directory.ts';
import { SieveError } from '../sieve/errors.ts';
import { accountDirectory } from '../store/account-path.ts';
import { activeScriptFile } from '../store/script-store.ts';
import { type CliIo, EXIT } from './io.ts';
import { asTransferError } from './transfer-world.ts';

/** What the verbs of `facteur sieve` have in common. */
export interface SieveWorld {
  readonly io: CliIo;
  readonly config: Config;
  readonly form: 'json' | 'text';
}

/** Scripts as the server compiles them, with what its configuration allows. */
export function scriptsOf({ dataDir, sieve }: Config): Scripts {
  return new Scripts(dataDir, sieve);
}

/** Of a file; `-` is standard input. Throws TransferError in words. */
export function readInput(path: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path);
  } catch (error) {
    throw asTransferError(error);
  }
}

/** Of a script's mistakes: one a line, as compilers tell them. */
export function tellMistakes({ io, form }: SieveWorld, name: string, error: SieveError): void {
  if (form === 'json') {
    io.out(`${JSON.stringify({ type: 'errors', script: name, errors: error.complaints })}\n`);
    return;
  }
  for (const { line, column, message } of error.complaints) io.err(`${name}:${line}:${column}: ${message}\n`);
}

/** Runs `work`; of a script with mistakes it tells them. */
export async function orMistakes(
  world: SieveWorld,
  name: string,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SieveError)) throw error;
    tellMistakes(world, name, error);
    return EXIT.failed;
  }
}

/** A file, or one of the account's scripts. Throws SieveError, TransferError. */
export function scriptFrom(scripts: Scripts, account: AccountId | null, given: string): NamedScript {
  const stored = account !== null && given !== '-' ? scripts.personal(account, given) : undefined;
  return { name: given, script: stored ?? scripts.compile(readInput(given).toString('utf8')) };
}

export function activeScript(dataDir: string, account: AccountId): string | null {
  return activeScriptFile(join(dataDir, accountDirectory(account)))?.name ?? null;
}

/** Runs `work` with all of an account's rehearsal but the mail; what was opened is closed when it has ended. */
export async function withRehearsal<T>(
  config: Config,
  account: AccountId,
  work: (ground: Ground) => Promise<T>,
): Promise<T> {
  const passwords = new Passwords();
  const directory = openDirectory(config, systemClock, passwords);
  const source = joinSources([directory, directory.declared]);
  const routing = { delimiters: config.directory.recipientDelimiters, postmaster: undefined };
  try {
    return await work(groundOf(config, account, (address) => belongsTo(source, account, address, routing)));
  } finally {
    directory.close();
    await passwords.close();
  }
}

/** Of an account that need not exist. */
export function groundOf(config: Config, account: AccountId, isOwn: (address: Address) => boolean): Ground {
  return {
    account,
    hostname: config.hostname ?? 'localhost',
    delimiters: config.directory.recipientDelimiters,
    settings: config.sieve,
    scripts: scriptsOf(config),
    log: createLogger({ level: 'error', format: config.log.format }, process.stderr),
    async isOwn(text) {
      const address = parseAddress(text);
      return address !== undefined && isOwn(address);
    },
  };
}

type Ground = Omit<RehearsalWorld, 'mail'>;
