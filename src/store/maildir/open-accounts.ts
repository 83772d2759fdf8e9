import { mkdirSync, readdirSync, renameSync, type watch } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { AccountId } from '../../directory/directory.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../lib/logger.ts';
import { accountDirectory } from '../account-path.ts';
import type { StoreSettings } from '../options.ts';
import { QuotaRules } from '../quota.ts';
import { type MailboxId, StoreError } from '../store.ts';
import { MaildirAccount, type StoredChange } from './account.ts';
import { beginCatchingUp, catchUp } from './background.ts';
import { DIRECTORY_MODE, exists, syncDirectories, syncDirectory } from './disk.ts';
import { isReleased, linkedTree, markReleased, takePlace } from './dovecot/place.ts';
import { type Expired, type ExpireMode, expireMail } from './expire.ts';
import type { Folder } from './folder.ts';
import { FolderWatches } from './folder-watches.ts';
import { isHouseworkDue, keepHouse } from './housekeeping.ts';
import { isDamaged } from './index.ts';
import { Notifier } from './notifier.ts';
import { QuotaWarnings } from './quota-warning.ts';
import { Rosters } from './roster.ts';
import { SearchMemory } from './search-memory.ts';
import { Sharers } from './sharers.ts';
import { carryOut, NotNow, next, nextSynced, others, type Steps, TURN, Unfinished } from './turns.ts';

/**
 * The accounts of one thread: opened at first use, closed when nobody used them for a while, their indexes healed when
 * damaged, their file names brought up to date behind the answers. What takes long in one of them is done a few
 * milliseconds at a time; until it is done nobody gets at this account (`NotNow`), and everybody at the others.
 */

/** Names follow a flag change after this long (ms): several changes share one sync. */
const NAMES_FOLLOW = 100;
/** Messages are indexed this long (ms) after they came; and so long is the pause between two turns while others come. */
const INDEX_FOLLOWS = 250;
/** And are tried again after this long when the disk refused. */
const TRY_AGAIN = 5000;
/** While somebody asks for something, indexing works a few milliseconds in so many. */
const GIVE_WAY = 25;
/** Watches stay for so long (ms) when nobody listens any more. */
const LINGER = 5000;
/** An account that nobody used for so long (ms) is closed; idle sessions still hear of changes. */
const IDLE = 60_000;
/** A folder that nobody tells us about is looked at by commands at most this often (ms). */
const GLANCE = 1000;
/** Accounts open at once in a thread: each holds a database and a handful of descriptors. */
const MAX_OPEN = 300;

export interface OpenAccountsOptions {
  /** The data directory; mail lies in `mail/` below it. */
  readonly directory: string;
  readonly settings: StoreSettings;
  readonly clock: Clock;
  readonly log: Logger;
  /** Stands in file names. */
  readonly host: string;
  readonly pid: number;
  readonly onChange: (account: AccountId, change: StoredChange) => void;
  /** fs.watch, unless a test wants another. */
  readonly watchDirectory?: typeof watch;
  /** After so long (ms) at one account others have their turn; a test may want another time. */
  readonly turn?: number;
}

interface Open {
  readonly account: MaildirAccount;
  lastUsed: number;
  /** Calls that let others in between. */
  busy: number;
  following: boolean;
  indexing: boolean;
  /** Its index was made anew because of what indexing met: a second time would be in vain. */
  mended: boolean;
  warnings?: QuotaWarnings;
  /** Something long is under way, after which others get at the account. Never rejects. */
  gate?: Promise<unknown>;
  /** Its index is not in its place any more. */
  isLost?: true;
  /** Why it could not be opened. */
  failure?: { readonly reason: unknown };
}

/** So often somebody waits for the account to be read from disk; then it is read in one go, whatever else changes. */
const WAITS = 3;

export class OpenAccounts {
  readonly #options: OpenAccountsOptions;
  readonly #turn: number;
  readonly #rules: QuotaRules;
  readonly #notifier: Notifier;
  readonly #open = new Map<AccountId, Open>();
  readonly #watches = new Map<AccountId, FolderWatches>();
  readonly #removing = new Set<Promise<void>>();
  readonly #rosters = new Rosters();
  /** When somebody last asked for something. */
  #usedAt = 0;
  /** What nobody listens to any more, for a short while. */
  readonly #left = new Map<AccountId, Set<MailboxId | null>>();
  readonly #closed = new AbortController();
  #removed = 0;
  /** When deliveries came in last (ms). */
  #intakeAt = 0;
  readonly #memory = new SearchMemory();
  /** So often somebody has asked for something. */
  served = 0;
  /** Who finds what in them. */
  readonly sharers: Sharers;

  constructor(options: OpenAccountsOptions) {
    this.#options = options;
    this.#turn = options.turn ?? TURN;
    this.#rules = new QuotaRules(options.settings);
    this.sharers = new Sharers(options.directory, options.clock, options.log);
    this.#notifier = new Notifier(options.settings.notify, options.log, options.watchDirectory);
    void this.#every(IDLE / 2, () => this.#closeIdle());
    void this.#every(options.settings.pollInterval, () => this.#poll());
    void this.#every(options.settings.pollInterval, () => this.#leaveLostIndexes());
    this.#emptyRemoved();
  }

  /**
   * Runs `work` on the account; when its index turns out damaged, it is rebuilt and `work` runs once more. Throws NotNow
   * when reading from disk takes longer than a turn: `work` has to run again, from its beginning, after that.
   */
  run<T>(id: AccountId, work: (account: MaildirAccount) => T, patience: number = this.#turn): T {
    const open = this.#get(id);
    try {
      return this.#patiently(open, patience, () => work(open.account));
    } catch (error) {
      const damage = open.account.index.damageBehind(error);
      if (damage === undefined) throw error;
      this.heal(id, damage);
      return this.#patiently(open, patience, () => work(open.account));
    } finally {
      this.follow(id);
    }
  }

  /** The same, but waits for what takes long. */
  call<T>(id: AccountId, work: (account: MaildirAccount) => T, waited = 0): T | Promise<T> {
    try {
      return this.run(id, work, waited < WAITS ? this.#turn : Number.POSITIVE_INFINITY);
    } catch (error) {
      if (!(error instanceof NotNow)) throw error;
      return error.ready.then(() => this.call(id, work, waited + 1));
    }
  }

  /** The same; what `work` has committed is on the disk when this resolves, and meanwhile others have had their turn. */
  async durably<T>(id: AccountId, work: (account: MaildirAccount) => T): Promise<T> {
    const { result, durable } = await this.call(id, (account) => {
      const { index } = account;
      return { result: index.withoutWaiting(() => work(account)), durable: index.durable() };
    });
    await durable;
    return result;
  }

  /**
   * Work in steps; when it meets with damage, or what it begins with must wait, it begins anew.
   * @param mode `shared`: others may use the account between two steps; `alone`: they may not.
   */
  inTurns<T>(
    id: AccountId,
    mode: 'shared' | 'alone',
    begin: (account: MaildirAccount) => Steps<T>,
  ): Promise<T> {
    return this.hold(id, async () => {
      for (let waited = 0; ; waited++) {
        let open: Open | undefined;
        try {
          const steps = this.run(id, begin, waited < WAITS ? this.#turn : Number.POSITIVE_INFINITY);
          // `run` has just opened it.
          open = this.#get(id);
          return await this.#inTurns(open, mode, steps);
        } catch (error) {
          if (error instanceof NotNow) await error.ready;
          else if (open === undefined || waited >= WAITS) throw error;
          else if (isDamaged(error)) await this.call(id, () => this.heal(id, error));
          // Its index was lost and it was left in the middle.
          else if (this.#open.get(id) === open) throw error;
        }
      }
    });
  }

  async #inTurns<T>(open: Open, mode: 'shared' | 'alone', steps: Steps<T>): Promise<T> {
    const { account } = open;
    let since = account.now();
    for (let step = steps.next(); ; step = next(steps, step.value)) {
      if (step.done) return step.value;
      if (mode === 'alone' && step.value !== null) return this.#shut(open, steps, step.value);
      if (account.now() - since < this.#turn) continue;
      if (mode === 'alone') return this.#shut(open, steps);
      await this.#others(open);
      since = account.now();
    }
  }

  /** Everybody else has their turn; and the account can be used. */
  async others(id: AccountId): Promise<void> {
    await others();
    const open = this.#open.get(id);
    while (open?.gate !== undefined) await open.gate;
  }

  /** Runs it once nobody has the account for himself. */
  whenFree<T>(id: AccountId, work: () => T): T | Promise<T> {
    const open = this.#open.get(id);
    return open?.gate !== undefined ? open.gate.then(() => this.whenFree(id, work)) : work();
  }

  async #others(open: Open): Promise<void> {
    await others();
    while (open.gate !== undefined) await open.gate;
  }

  /** Nobody else gets at these accounts until `work`, which has them already, is done. */
  shutDuring<T>(ids: Iterable<AccountId>, work: () => Promise<T>): Promise<T> {
    const held = [...ids].flatMap((id) => this.#open.get(id) ?? []);
    for (const open of held) open.busy++;
    const run = async (): Promise<T> => {
      try {
        return await work();
      } finally {
        for (const open of held) {
          open.busy--;
          delete open.gate;
          this.follow(open.account.id);
        }
      }
    };
    const end = run();
    for (const open of held) open.gate = end.catch(() => undefined);
    return end;
  }

  /** What cannot be done at once shuts the account until it is done. */
  #patiently<T>(open: Open, patience: number, work: () => T): T {
    open.account.patience = patience;
    try {
      return work();
    } catch (error) {
      if (!(error instanceof Unfinished)) throw error;
      throw new NotNow(this.#shut(open, this.#healing(open, error.steps)));
    } finally {
      open.account.patience = Number.POSITIVE_INFINITY;
    }
  }

  /** What a damaged index stops is begun again by who waits, with a new one. */
  *#healing(open: Open, steps: Steps<unknown>): Steps<void> {
    try {
      yield* steps;
    } catch (error) {
      const { account } = open;
      const damage = this.#open.get(account.id) === open ? account.index.damageBehind(error) : undefined;
      if (damage === undefined) throw error;
      yield* this.#rebuilding(open, damage);
    }
  }

  /** Nobody gets at the account until `steps` have come to their end. */
  #shut<T>(open: Open, steps: Steps<T>, directories: readonly string[] | null = null): Promise<T> {
    const end = this.#goOn(open, steps, directories);
    open.gate = end.catch(() => undefined);
    return end;
  }

  async #goOn<T>(open: Open, steps: Steps<T>, first: readonly string[] | null): Promise<T> {
    const { account } = open;
    open.busy++;
    try {
      for (let directories = first; ; ) {
        if (directories === null) await others();
        const since = account.now();
        let step = directories === null ? steps.next() : await nextSynced(steps, directories);
        while (!step.done && step.value === null && account.now() - since < this.#turn) step = steps.next();
        if (step.done) return step.value;
        directories = step.value;
      }
    } finally {
      open.busy--;
      delete open.gate;
      this.follow(account.id);
    }
  }

  /** Throws NotNow. */
  get(id: AccountId): MaildirAccount {
    return this.#get(id).account;
  }

  /** Throws NotNow. */
  #get(id: AccountId): Open {
    const known = this.#open.get(id);
    const now = this.#options.clock.now().getTime();
    this.#usedAt = now;
    if (known?.isLost && known.gate === undefined) {
      this.#leave(known);
      return this.#get(id);
    }
    if (known) {
      if (known.gate !== undefined) throw new NotNow(known.gate.then(() => reachable(known)));
      known.lastUsed = now;
      this.served++;
      // Oldest first, for whoever must make room.
      this.#open.delete(id);
      this.#open.set(id, known);
      return known;
    }
    const { clock, log, host, pid, settings, onChange } = this.#options;
    const directory = `${this.#options.directory}/${accountDirectory(id)}`;
    if (isReleased(directory))
      throw new StoreError('busy', 'This mail is with another server until it is adopted again');
    this.#makeRoom();
    const account = new MaildirAccount({
      id,
      directory,
      clock,
      log,
      host,
      pid,
      defaultFolders: settings.defaultFolders,
      rules: this.#rules,
      delivery: settings.delivery,
      rosters: this.#rosters,
      memory: this.#memory,
      sharers: this.sharers,
      onChange: (change) => {
        if (this.#watches.has(id)) onChange(id, change);
      },
    });
    const open = { account, lastUsed: now, busy: 0, following: false, indexing: false, mended: false };
    this.#open.set(id, open);
    this.#patiently(open, this.#turn, () => {
      carryOut(this.#opening(open), () => account.now(), this.#turn);
    });
    return open;
  }

  *#opening(open: Open): Steps<void> {
    const { account } = open;
    try {
      yield* account.opening();
    } catch (error) {
      this.#open.delete(account.id);
      open.failure = { reason: error };
      throw error;
    }
  }

  /** What is due once a day; 'nothing' when it is not, or when there is no mail. */
  async keepHouse(id: AccountId): Promise<'kept' | 'nothing'> {
    const { directory, settings, clock } = this.#options;
    const own = `${directory}/${accountDirectory(id)}`;
    // What another server uses now is not ours to clean.
    if (!exists(`${own}/Maildir`) || isReleased(own)) return 'nothing';
    if (!isHouseworkDue(own, clock.now().getTime())) return 'nothing';
    const wasOpen = this.#open.has(id);
    const discard = (path: string): void => this.discard(path);
    try {
      await this.hold(id, async (account) => {
        const held = this.#open.get(id);
        for (const _ of keepHouse(account, { settings, discard })) {
          if (held) await this.#others(held);
          // Removed, or given up and opened anew: tomorrow is another day.
          if (this.#open.get(id)?.account !== account) return;
        }
      });
    } catch (error) {
      if (!isDamaged(error)) throw error;
      await this.call(id, () => this.heal(id, error));
    }
    // Thousands that nobody uses are not to push out those that somebody does.
    const open = this.#open.get(id);
    if (open && !wasOpen && isAtRest(open) && !this.#watches.has(id)) this.#close(id);
    return 'kept';
  }

  /** Removes, or counts, what has expired; null when there is no mail. */
  async expire(id: AccountId, mode: ExpireMode): Promise<Expired | null> {
    const { directory, settings } = this.#options;
    if (!exists(`${directory}/${accountDirectory(id)}/Maildir`)) return null;
    return this.inTurns(id, 'shared', (account) => {
      account.refreshTree();
      return expireMail(account, settings.expire, mode);
    });
  }

  /** undefined when there are no warnings. */
  warningsOf(account: MaildirAccount): QuotaWarnings | undefined {
    const open = this.#open.get(account.id);
    const { quotaWarnings } = this.#options.settings;
    if (!open || quotaWarnings.length === 0) return undefined;
    open.warnings ??= new QuotaWarnings(account, quotaWarnings);
    return open.warnings;
  }

  /** Makes a damaged index again. When that fails too, the next use begins from the disk. Throws NotNow. */
  heal(id: AccountId, damage: unknown): MaildirAccount {
    const open = this.#get(id);
    const { account } = open;
    const { patience } = account;
    this.#patiently(open, patience, () => {
      carryOut(this.#rebuilding(open, damage), () => account.now(), patience);
    });
    return account;
  }

  *#rebuilding(open: Open, damage: unknown): Steps<void> {
    try {
      yield* open.account.rebuilding(damage);
    } catch (error) {
      if (this.#open.get(open.account.id) === open) this.forget(open.account.id);
      throw error;
    }
  }

  /** Nobody knows how far its last change came: the next use opens it anew and looks at the tree. */
  forget(id: AccountId): void {
    const open = this.#open.get(id);
    if (!open) return;
    this.#open.delete(id);
    try {
      open.account.close('unclean');
    } catch (error) {
      open.account.log.warn({ err: error }, 'mail index not closed');
    }
  }

  /** Keeps it open while `work` lets others in between. */
  async hold<T>(id: AccountId, work: (account: MaildirAccount) => Promise<T>): Promise<T> {
    const open = await this.#awaited(id);
    open.busy++;
    try {
      while (open.gate !== undefined) await open.gate;
      return await work(open.account);
    } finally {
      open.busy--;
      this.follow(id);
    }
  }

  async #awaited(id: AccountId): Promise<Open> {
    for (;;)
      try {
        return this.#get(id);
      } catch (error) {
        if (!(error instanceof NotNow)) throw error;
        await error.ready;
      }
  }

  /** Somebody wants to hear of changes in an account, or besides of other programs' changes in one of its folders. */
  watch(id: AccountId, mailbox: MailboxId | null): void {
    this.#left.get(id)?.delete(mailbox);
    const watches = this.#watches.get(id) ?? this.#watchTree(id);
    if (mailbox === null) return;
    this.run(id, (account) => {
      const folder = account.folders.get(mailbox);
      if (!folder) return;
      const told = watches.tells(mailbox) ? 'told' : 'untold';
      watches.add(account, folder);
      account.refresh(folder, told);
    });
  }

  /**
   * Nobody does any more. Often somebody does again soon, and taking a watch away costs the system 10 ms, in which this
   * thread can do nothing else: it stays for a while.
   */
  unwatch(id: AccountId, mailbox: MailboxId | null): void {
    const left = this.#left.get(id);
    if (left) left.add(mailbox);
    else {
      const fresh = new Set([mailbox]);
      this.#left.set(id, fresh);
      void this.#takeAway(id, fresh);
    }
  }

  async #takeAway(id: AccountId, left: ReadonlySet<MailboxId | null>): Promise<void> {
    try {
      await this.#options.clock.sleep(LINGER, this.#closed.signal);
    } catch {
      return;
    }
    this.#left.delete(id);
    for (const mailbox of left) this.#unwatchNow(id, mailbox);
  }

  #unwatchNow(id: AccountId, mailbox: MailboxId | null): void {
    if (mailbox !== null) {
      this.#watches.get(id)?.drop(mailbox);
      return;
    }
    this.#watches.get(id)?.close();
    this.#watches.delete(id);
  }

  /** Looks for other programs' changes. */
  look(account: MaildirAccount, folder: Folder): void {
    const watches = this.#watches.get(account.id);
    account.refresh(folder, watches?.tells(folder.mailbox) ? 'told' : 'untold');
    watches?.moved(account, folder);
  }

  /** The same in all folders, and for folders. */
  async lookAtAll(id: AccountId): Promise<void> {
    const mailboxes = await this.call(id, (account) => {
      account.refreshTree();
      return [...account.folders.keys()];
    });
    let since = this.#options.clock.now().getTime();
    for (const mailbox of mailboxes) {
      await this.call(id, (account) => {
        const folder = account.folders.get(mailbox);
        if (folder) this.look(account, folder);
      });
      if (this.#options.clock.now().getTime() - since < this.#turn) continue;
      await others();
      since = this.#options.clock.now().getTime();
    }
  }

  /** Where somebody listens and the system tells nothing, each command looks for itself, though not all the time. */
  glance(account: MaildirAccount, mailbox: MailboxId): void {
    const watches = this.#watches.get(account.id);
    if (!watches?.isPolled(mailbox)) return;
    const folder = account.folders.get(mailbox);
    const now = account.now();
    if (!folder || now - folder.glancedAt < GLANCE) return;
    folder.glancedAt = now;
    this.look(account, folder);
  }

  #watchTree(id: AccountId): FolderWatches {
    const { directory, clock } = this.#options;
    const watches = new FolderWatches({
      use: (work) => this.call(id, work),
      maildir: `${directory}/${accountDirectory(id)}/Maildir`,
      clock,
      notifier: this.#notifier,
      look: (mailbox) => void this.#lookAt(id, mailbox),
      lookAtTree: () => void this.#lookAtTree(id),
    });
    this.#watches.set(id, watches);
    return watches;
  }

  /** Lets file names follow, soon. */
  follow(id: AccountId): void {
    const open = this.#open.get(id);
    if (!open) return;
    if (open.account.indexer.hasWork && !open.indexing) void this.#index(open);
    if (!open.account.behind || open.following) return;
    open.following = true;
    void this.#catchUp(open, NAMES_FOLLOW);
  }

  /** Deliveries are coming in: what can wait does. */
  intake(): void {
    this.#intakeAt = this.#options.clock.now().getTime();
  }

  /** Reads messages behind their delivery: at once when all is quiet, a few at a time while others arrive. */
  async #index(open: Open): Promise<void> {
    const { account } = open;
    const { clock } = this.#options;
    open.indexing = true;
    const steps = account.indexer.run();
    try {
      await clock.sleep(INDEX_FOLLOWS, this.#closed.signal);
      while (open.gate !== undefined) await open.gate;
      let since = clock.now().getTime();
      while (this.#open.get(account.id) === open && !steps.next().done) {
        if (clock.now().getTime() - since < this.#turn) continue;
        if (clock.now().getTime() - this.#intakeAt < INDEX_FOLLOWS)
          await clock.sleep(INDEX_FOLLOWS, this.#closed.signal);
        else if (clock.now().getTime() - this.#usedAt < GIVE_WAY)
          await clock.sleep(GIVE_WAY, this.#closed.signal);
        else await others();
        while (open.gate !== undefined) await open.gate;
        since = clock.now().getTime();
      }
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      account.log.error({ err: error }, 'messages cannot be indexed');
      account.indexer.giveUp();
      if (isDamaged(error) && !open.mended && this.#open.get(account.id) === open)
        await this.#mend(open, error);
    } finally {
      steps.return(undefined);
      open.indexing = false;
    }
    // What arrived in the last moment.
    this.follow(account.id);
  }

  async #mend(open: Open, damage: unknown): Promise<void> {
    open.mended = true;
    const { id } = open.account;
    try {
      await this.call(id, () => this.heal(id, damage));
    } catch (error) {
      open.account.log.error({ err: error }, 'mail index cannot be made anew');
    }
  }

  /** Out of sight at once; the bytes go behind. A tree that was adopted where it lies stays there. */
  remove(id: AccountId): void {
    this.#unwatchNow(id, null);
    this.#close(id);
    const directory = `${this.#options.directory}/${accountDirectory(id)}`;
    if (!exists(directory)) return;
    const path = linkedTree(directory);
    if (path !== undefined)
      this.#options.log.warn(
        { account: id, path },
        'the mail of a removed account stays where it was adopted',
      );
    this.#setAside(directory);
    this.sharers.forgetAll(id);
  }

  /** The tree that was staged (dovecot/place.ts) becomes the account's. Throws 'exists' when it has mail already. */
  place(id: AccountId): void {
    const directory = `${this.#options.directory}/${accountDirectory(id)}`;
    if (exists(`${directory}/Maildir`) && !isReleased(directory)) {
      const account = this.get(id);
      account.refreshTree();
      for (const folder of [...account.folders.values()]) account.refresh(folder);
      if (account.usedMessages > 0)
        throw new StoreError('exists', `The account has ${account.usedMessages} messages already`);
    }
    const watched = this.#watches.has(id);
    this.#unwatchNow(id, null);
    this.#close(id);
    takePlace(directory, (path) => this.#setAside(path));
    if (watched) this.watch(id, null);
  }

  /** Somebody else has the tree from now on: nobody can open the account until it is adopted again. */
  handOver(id: AccountId): void {
    markReleased(`${this.#options.directory}/${accountDirectory(id)}`);
    this.#unwatchNow(id, null);
    this.#close(id);
  }

  #setAside(path: string): void {
    const removed = `${this.#options.directory}/mail/.removed`;
    mkdirSync(removed, { recursive: true, mode: DIRECTORY_MODE });
    const target = `${removed}/${this.#options.clock.now().getTime()}-${this.#options.pid}-${this.#removed++}`;
    renameSync(path, target);
    syncDirectory(path.slice(0, path.lastIndexOf('/')));
    this.discard(target);
  }

  /** Removes a directory that nobody can see any more, without keeping anybody waiting. */
  discard(directory: string): void {
    const work = rm(directory, { recursive: true, force: true }).catch((error: unknown) =>
      this.#options.log.warn({ err: error }, 'removed mail is still on the disk'),
    );
    this.#removing.add(work);
    void work.finally(() => this.#removing.delete(work));
  }

  /** All commits are on disk, all names are right. */
  async close(): Promise<void> {
    this.#closed.abort();
    for (const id of [...this.#watches.keys()]) this.#unwatchNow(id, null);
    for (const id of [...this.#open.keys()]) this.#close(id);
    await Promise.all(this.#removing);
  }

  #close(id: AccountId): void {
    const open = this.#open.get(id);
    if (!open) return;
    this.#open.delete(id);
    const { account } = open;
    try {
      while (account.behind) catchUp(account);
      account.settle();
      account.close('clean');
    } catch (error) {
      // The next start finds it unclean and settles it.
      account.log.error({ err: error }, 'mail index not closed cleanly');
      account.close('unclean');
    }
  }

  async #catchUp(open: Open, pause: number): Promise<void> {
    const { account } = open;
    try {
      await this.#options.clock.sleep(pause, this.#closed.signal);
      while (open.gate !== undefined) await open.gate;
      while (account.behind && this.#open.get(account.id) === open) {
        try {
          await this.#catchUpPart(open);
        } catch (error) {
          if (!(error instanceof NotNow)) throw error;
          await error.ready;
        }
        await this.#others(open);
      }
      open.following = false;
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      account.log.error({ err: error }, 'file names do not follow the flags');
      if (isDamaged(error)) await this.#mend(open, error);
      void this.#catchUp(open, TRY_AGAIN);
    }
  }

  async #catchUpPart(open: Open): Promise<void> {
    const { account } = open;
    const renamed = this.#patiently(open, this.#turn, () => beginCatchingUp(account));
    if (!renamed) return;
    await this.shutDuring([account.id], async () => {
      await syncDirectories(renamed.directories);
      if (this.#open.get(account.id) === open) renamed.finish();
    });
    if (this.#open.get(account.id) === open) this.#patiently(open, this.#turn, () => account.settle());
  }

  async #lookAt(id: AccountId, mailbox: MailboxId): Promise<void> {
    try {
      await this.call(id, (account) => {
        const folder = account.folders.get(mailbox);
        if (folder) this.look(account, folder);
      });
    } catch (error) {
      this.#options.log.error({ err: error, account: id }, 'cannot look at a folder');
    }
  }

  async #lookAtTree(id: AccountId): Promise<void> {
    try {
      await this.call(id, (account) => account.refreshTree());
    } catch (error) {
      this.#options.log.error({ err: error, account: id }, 'cannot look at the folders of an account');
    }
  }

  /** What the system did not tell: no inotify here, or its queue ran over. */
  async #poll(): Promise<void> {
    for (const [id, watches] of [...this.#watches]) {
      if (this.#watches.get(id) !== watches) continue;
      watches.poll();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** What is written into a file that was deleted or replaced goes nowhere: the next use makes the index again. */
  #leaveLostIndexes(): void {
    for (const open of this.#open.values()) {
      if (open.isLost || open.account.index.isInPlace()) continue;
      // Under steady load somebody has it for himself most of the time: the next who may use it leaves it.
      open.isLost = true;
      void this.whenFree(open.account.id, () => this.#leave(open));
    }
  }

  /** Who is in the middle of something begins anew (`inTurns`). */
  #leave(open: Open): void {
    const { account } = open;
    if (this.#open.get(account.id) !== open) return;
    account.log.error({}, 'mail index deleted or replaced while in use: it is made again from the Maildir');
    this.#open.delete(account.id);
    try {
      while (account.behind) catchUp(account);
    } catch (error) {
      account.log.error({ err: error }, 'file names do not follow the flags');
    }
    account.index.giveUp();
  }

  #closeIdle(): void {
    const now = this.#options.clock.now().getTime();
    for (const [id, { lastUsed, busy, account, indexing }] of this.#open)
      if (now - lastUsed > IDLE && busy === 0 && !account.behind && !indexing) this.#close(id);
  }

  #makeRoom(): void {
    if (this.#open.size < MAX_OPEN) return;
    for (const [id, { busy }] of this.#open) {
      if (busy > 0) continue;
      this.#close(id);
      if (this.#open.size < MAX_OPEN) return;
    }
  }

  /** What a removal left when the process was stopped in the middle of it. */
  #emptyRemoved(): void {
    const removed = `${this.#options.directory}/mail/.removed`;
    if (!exists(removed)) return;
    for (const name of readdirSync(removed)) this.discard(`${removed}/${name}`);
  }

  async #every(pause: number, work: () => void | Promise<void>): Promise<void> {
    try {
      for (;;) {
        await this.#options.clock.sleep(pause, this.#closed.signal);
        await work();
      }
    } catch (error) {
      if (!this.#closed.signal.aborted) this.#options.log.error({ err: error }, 'store timer failed');
    }
  }
}

/** Throws why it could not be opened. */
function reachable({ failure }: Open): void {
  if (failure) throw failure.reason;
}

function isAtRest({ busy, account }: Open): boolean {
  return busy === 0 && !account.behind;
}
