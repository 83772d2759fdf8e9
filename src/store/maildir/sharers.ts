import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import type { AccountId } from '../../directory/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { accountDirectory, accountOf, pathComponent } from '../account-path.ts';
import { readAcl } from './acl-file.ts';
import {
  codeOf,
  DIRECTORY_MODE,
  exists,
  isMissing,
  syncDirectory,
  toStoreError,
  unlinkIfThere,
  writeDurably,
} from './disk.ts';
import { isReleased } from './dovecot/place.ts';
import { others } from './turns.ts';

/**
 * Whose mailboxes an identifier may find: for each that stands in some access control list, a directory with a file for
 * each account that has such a list, `mail/.shared/<identifier>/<account>`. Each file is written by the thread that owns
 * the account, and nobody waits for anybody. It is there, durably, before the list is; one too many does no harm. The
 * lists are the truth: without the register (`complete` is written last) it is made from them.
 */
const REGISTER = 'mail/.shared';
const COMPLETE = '.complete';
/** After so long (ms) what failed is tried again. */
const TRY_AGAIN = 60_000;
/** Entries looked at, or folders whose lists are read, between two turns of others. */
const STEP = 50;

export class Sharers {
  readonly #directory: string;
  readonly #root: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  #made: Promise<void> | undefined;
  #nextTry = 0;

  /** @param directory the data directory */
  constructor(directory: string, clock: Clock, log: Logger) {
    this.#directory = directory;
    this.#root = `${directory}/${REGISTER}`;
    this.#clock = clock;
    this.#log = log;
  }

  /** Durable when it returns. Throws 'disk-full'. */
  note(account: AccountId, identifiers: Iterable<string>): void {
    try {
      const name = pathComponent(account);
      let count = 0;
      for (const identifier of identifiers) {
        const directory = `${this.#root}/${pathComponent(identifier)}`;
        mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
        if (!exists(`${directory}/${name}`)) writeDurably(directory, name, `${account}\n`);
        // Who wrote it may have been stopped before it was durable.
        else syncDirectory(directory);
        count++;
      }
      if (count === 0) return;
      syncDirectory(this.#root);
      syncDirectory(`${this.#root}/..`);
    } catch (error) {
      throw toStoreError(error);
    }
  }

  /** No list of the account names them any more. What a crash leaves of it is one too many. */
  forget(account: AccountId, identifiers: Iterable<string>): void {
    for (const identifier of identifiers)
      unlinkIfThere(`${this.#root}/${pathComponent(identifier)}/${pathComponent(account)}`);
  }

  /** The account is gone. */
  forgetAll(account: AccountId): void {
    if (!exists(this.#root)) return;
    for (const name of readdirSync(this.#root))
      if (!name.startsWith('.')) unlinkIfThere(`${this.#root}/${name}/${pathComponent(account)}`);
  }

  /**
   * Accounts, in the order of their names, that have mail here and may have a list that names one of these. A register
   * that cannot be read keeps nobody from their own mail: it tells less, and the log why.
   */
  async of(identifiers: readonly string[]): Promise<AccountId[]> {
    const found = new Set<AccountId>();
    try {
      await this.#whole();
      await this.#look(identifiers, found);
    } catch (error) {
      this.#log.error({ err: error }, 'not all of what is shared can be found');
    }
    return [...found].sort();
  }

  async #look(identifiers: readonly string[], found: Set<AccountId>): Promise<void> {
    for (const identifier of new Set(identifiers)) {
      const directory = `${this.#root}/${pathComponent(identifier)}`;
      for (const [at, name] of namesIn(directory).entries()) {
        if (at > 0 && at % STEP === 0) await others();
        const account = accountIn(directory, name);
        if (account !== undefined && this.#hasMail(account)) found.add(account);
      }
    }
  }

  /** Of a removed account an entry may have stayed; and what another server has is not for us to show. */
  #hasMail(account: AccountId): boolean {
    const own = `${this.#directory}/${accountDirectory(account)}`;
    return exists(`${own}/Maildir`) && !isReleased(own);
  }

  async #whole(): Promise<void> {
    if (exists(`${this.#root}/${COMPLETE}`)) return;
    // To go through all accounts takes a while: not at each login when it is in vain.
    if (this.#clock.now().getTime() < this.#nextTry) return;
    this.#made ??= this.#make();
    try {
      await this.#made;
    } catch (error) {
      this.#nextTry = this.#clock.now().getTime() + TRY_AGAIN;
      throw error;
    } finally {
      this.#made = undefined;
    }
  }

  async #make(): Promise<void> {
    let lists = 0;
    const mail = `${this.#directory}/mail`;
    for (const domain of namesIn(mail))
      for (const local of namesIn(`${mail}/${domain}`)) {
        const account = accountOf(domain, local);
        if (account === undefined) continue;
        const maildir = `${mail}/${domain}/${local}/Maildir`;
        const named = new Set<string>();
        const dirs = ['', ...namesIn(maildir, 'folders')];
        for (const [at, dir] of dirs.entries()) {
          if (at % STEP === 0) await others();
          const read = readAcl(`${maildir}/${dir}`);
          if (read.is === 'list') for (const identifier of read.acl.keys()) named.add(identifier);
        }
        if (named.size > 0) this.note(account, named);
        lists += named.size;
      }
    mkdirSync(this.#root, { recursive: true, mode: DIRECTORY_MODE });
    writeDurably(this.#root, COMPLETE, '');
    syncDirectory(`${this.#root}/..`);
    if (lists > 0) this.#log.info({ entries: lists }, 'register of shared mailboxes made from their lists');
  }
}

/** Names that start with a dot are ours; in a Maildir they are folders. None where there is no directory. */
function namesIn(directory: string, which: 'others' | 'folders' = 'others'): string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries
      .filter((entry) => entry.name.startsWith('.') === (which === 'folders'))
      .filter((entry) => which === 'others' || entry.isDirectory())
      .map(({ name }) => name);
  } catch (error) {
    if (isMissing(error) || codeOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

/** Most names say it themselves. */
function accountIn(directory: string, name: string): AccountId | undefined {
  try {
    if (!name.includes('%~')) return decodeURIComponent(name) as AccountId;
    const account = readFileSync(`${directory}/${name}`, 'utf8').trimEnd();
    return pathComponent(account) === name ? (account as AccountId) : undefined;
  } catch (error) {
    // Gone again; or no file of ours.
    if (isMissing(error) || error instanceof URIError) return undefined;
    throw error;
  }
}
