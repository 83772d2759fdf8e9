import type { AccountId } from '../directory/directory.ts';
import type { Piece } from '../lib/pieces.ts';
import { type Service, transferring } from '../lib/thread-pool.ts';
import { type FieldSelection, FieldSelector } from '../message/field-selector.ts';
import type { SortKey } from '../message/sort.ts';
import type { Part } from '../message/structure.ts';
import type { ThreadAlgorithm } from '../message/threads.ts';
import { adoptionCalls } from './adoption-calls.ts';
import type { AnnotationChange, Annotations } from './annotations.ts';
import { checkCalls } from './check-calls.ts';
import type { MaildirAccount } from './maildir/account.ts';
import { annotate, annotationsOf } from './maildir/annotate.ts';
import { type Appending, appendingAll, leavingFrom } from './maildir/append-all.ts';
import { searchAll, sort, thread, threadIds } from './maildir/arrange.ts';
import { copying, moving } from './maildir/copy.ts';
import { type Arrival, type Arrived, deliverAll, delivering, syncTogether } from './maildir/deliver.ts';
import type { Expired, ExpireMode } from './maildir/expire.ts';
import { expunge, vanished } from './maildir/expunge.ts';
import type { Folder } from './maildir/folder.ts';
import { isDamaged } from './maildir/index.ts';
import {
  createMailbox,
  deleteMailbox,
  findMailbox,
  listMailboxes,
  renamingMailbox,
  subscribe,
} from './maildir/mailboxes.ts';
import { normaliseRanges } from './maildir/message-row.ts';
import { OpenAccounts, type OpenAccountsOptions } from './maildir/open-accounts.ts';
import { knownSummaries, readHeaders, readMessage, readStructure, readSummaries } from './maildir/read.ts';
import { readContents, select, selectKnown } from './maildir/read-many.ts';
import { claimRecent, setFlags } from './maildir/set-flags.ts';
import { NotNow, type Steps } from './maildir/turns.ts';
import { BytesPacker, buffersOf } from './packed-bytes.ts';
import { packHeaders } from './packed-headers.ts';
import { type PackedMessages, pack } from './packed-messages.ts';
import { packSummaries, type SummaryRow } from './packed-summaries.ts';
import type { Limits, Usage } from './quota.ts';
import { sharingCalls } from './sharing-calls.ts';
import type {
  Flag,
  FlagChange,
  Mailbox,
  MailboxId,
  Replaced,
  SearchCriteria,
  SpecialUse,
  SummaryPart,
  Uid,
  UidRange,
} from './store.ts';

/**
 * The store's side of the calls in thread-store.ts: runs in a worker thread, or in the main thread for tests and tools.
 * Deliveries and APPENDs that arrive together are done together; what takes long lets others in between.
 */

/** Messages written in one go: more would keep the first of them waiting. */
const MAX_BATCH = 256;
const MAX_BATCH_BYTES = 32 * 1024 * 1024;
/**
 * The first delivery after a pause is taken in at once; those that follow it closely wait this long (ms) for company,
 * because a batch shares its directory syncs and its transaction: a third less work for a single busy sender.
 */
const PAUSE = 20;
/** Batches that wait for the disk at the same time: meanwhile the thread works on another one. */
const MAX_UNDER_WAY = 2;
/** No more calls than this between two messages come from who brings them; of more the others wait for no disk. */
const QUIET = 8;
/** Messages read between two looks at the clock. */
const STEP = 10;
/** Headers looked at in one go. */
const HEADERS = 100;
/** LIST looks for other programs' changes at most this often (ms). */
const LIST_PAUSE = 1000;

interface To {
  readonly account: AccountId;
}
interface In extends To {
  readonly mailbox: MailboxId;
}
type Uids = In & { readonly uids: readonly Uid[] };
type ToMailbox = Uids & { readonly to: MailboxId; readonly quota: Limits | null };

export interface Incoming extends To {
  readonly into: Arrival['into'];
  readonly key?: string;
  readonly flags: readonly Flag[];
  readonly internalDate: number;
  readonly content: readonly Piece[];
  readonly quota: Limits | null;
  readonly limits?: 'ignored';
}

/** What `usage` tells, of the account or of one mailbox; `limits` only of a mailbox. */
export interface Used {
  readonly used: Usage;
  readonly limits: Limits | null;
  /** How many the account has. */
  readonly mailboxes: number | null;
}

interface Waiting {
  readonly incoming: Incoming;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export function storeService(options: OpenAccountsOptions): {
  readonly service: Service;
  close(): Promise<void>;
} {
  const accounts = new OpenAccounts(options);
  const { clock } = options;
  let waiting: Waiting[] = [];
  let due: 'no' | 'soon' | 'now' = 'no';
  let timer: NodeJS.Timeout | undefined;
  /** When the last batch was taken in (ms). */
  let flushed = 0;
  /** How much others had asked for by then. */
  let served = 0;
  /** Batches that wait for the disk. */
  const underWay = new Set<Promise<void>>();
  /** What arrives for an account that is shut. */
  const heldBack = new Map<AccountId, Waiting[]>();

  const on = <T>(
    to: To & { readonly mailbox?: MailboxId | null },
    work: (account: MaildirAccount) => T,
  ): T | Promise<T> =>
    accounts.call(to.account, (account) => {
      if (to.mailbox) accounts.glance(account, to.mailbox);
      return work(account);
    });

  /** Work that lets others in between. */
  const inTurns = <T>(
    { account: id, mailbox }: In,
    work: (account: MaildirAccount, folder: Folder) => Steps<T>,
    mode: 'shared' | 'alone' = 'shared',
  ): Promise<T> =>
    accounts.inTurns(id, mode, (account) => {
      accounts.glance(account, mailbox);
      return work(account, account.folder(mailbox));
    });

  /** Reading messages for the first time takes a while each. */
  const inSteps = <T>(
    to: Uids,
    read: (account: MaildirAccount, folder: Folder, uids: readonly Uid[]) => T[],
    step = STEP,
  ): Promise<T[]> =>
    inTurns(to, function* (account) {
      const found: T[] = [];
      for (let at = 0; at < to.uids.length; at += step) {
        found.push(...read(account, account.folder(to.mailbox), to.uids.slice(at, at + step)));
        yield null;
      }
      return found;
    });

  const arrive = (incoming: Incoming): Promise<unknown> =>
    new Promise((resolve, reject) => {
      waiting.push({ incoming, resolve, reject });
      // Somebody waits for the answer to APPEND; the queue does not wait for a delivery to send the next one.
      if (incoming.key === undefined) flushNow();
      else flushSoon();
    });

  const flushNow = (): void => {
    if (due === 'now') return;
    clearTimeout(timer);
    due = 'now';
    // All calls of this turn are here before it runs.
    setImmediate(flush);
  };

  const flushSoon = (): void => {
    if (due !== 'no') return;
    const pause = Math.min(flushed + PAUSE - clock.now().getTime(), PAUSE);
    if (pause <= 0) {
      flushNow();
      return;
    }
    due = 'soon';
    timer = setTimeout(flush, pause);
  };

  const flush = (): void => {
    due = 'no';
    // Those that are under way come back here.
    if (underWay.size >= MAX_UNDER_WAY) return;
    flushed = clock.now().getTime();
    let bytes = 0;
    let count = 0;
    for (const { incoming } of waiting) {
      for (const piece of incoming.content)
        bytes += piece instanceof Uint8Array ? piece.length : piece.end - piece.start;
      if (count > 0 && (count >= MAX_BATCH || bytes > MAX_BATCH_BYTES)) break;
      count++;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    if (waiting.length > 0) flushNow();
    takeIn(batch);
  };

  const takeIn = (batch: readonly Waiting[]): void => {
    accounts.intake();
    const arrivals: Arrival[] = [];
    const waiters: Waiting[] = [];
    for (const waiter of batch) {
      const { account: id, ...rest } = waiter.incoming;
      const before = heldBack.get(id);
      if (before) {
        before.push(waiter);
        continue;
      }
      try {
        arrivals.push({ ...rest, account: accounts.run(id, (open) => ready(open, rest)) });
        waiters.push(waiter);
      } catch (error) {
        if (error instanceof NotNow) holdBack(waiter, error.ready);
        else waiter.reject(error);
      }
    }
    const limited = new Map(arrivals.map(({ account, quota }) => [account, quota]));
    for (const [account, quota] of limited) accounts.warningsOf(account)?.before(quota);
    const finish = (outcomes: readonly Arrived[]): void => {
      const answers = healing(arrivals, outcomes);
      for (const [account, quota] of limited) accounts.warningsOf(account)?.after(quota);
      waiters.forEach((waiter, at) => {
        answer(waiter, answers[at]);
        accounts.follow(waiter.incoming.account);
      });
    };
    const isQuiet = accounts.served - served <= QUIET;
    served = accounts.served;
    // Alone it is faster without other threads.
    if (arrivals.length <= 1 && underWay.size === 0 && isQuiet) {
      finish(deliver(arrivals));
      return;
    }
    const ids = new Set(arrivals.map(({ account }) => account.id));
    const work = accounts
      .shutDuring(ids, () => delivered(arrivals))
      .then(finish)
      .finally(() => {
        underWay.delete(work);
        if (waiting.length > 0) flushNow();
      });
    underWay.add(work);
  };

  /** With those that come after it for the same account, so that they keep their order. */
  const holdBack = (first: Waiting, ready: Promise<unknown>): void => {
    const { account } = first.incoming;
    const waiters = [first];
    heldBack.set(account, waiters);
    ready.then(
      () => {
        heldBack.delete(account);
        waiting = [...waiters, ...waiting];
        flushNow();
      },
      (error: unknown) => {
        heldBack.delete(account);
        for (const { reject } of waiters) reject(error);
      },
    );
  };

  /** What has to be read from disk before something can arrive; then that takes no time. */
  const ready = (account: MaildirAccount, { into, key }: Omit<Incoming, 'account'>): MaildirAccount => {
    if (key !== undefined && account.suspect) account.settle();
    // A client that names a mailbox may mean one that another program has just made.
    if (key === undefined && 'path' in into) account.refreshTree();
    const folder = 'path' in into ? account.byPath.get(into.path) : account.folders.get(into.mailbox);
    if (folder?.dirty) account.scan(folder);
    return account;
  };

  /** While the disk syncs, the other accounts have their turn. */
  const delivered = async (arrivals: readonly Arrival[]): Promise<Arrived[]> => {
    try {
      const steps = delivering(arrivals);
      for (let step = steps.next(); ; ) {
        if (step.done) return step.value;
        step = steps.next(await syncTogether(step.value));
      }
    } catch (error) {
      return failed(arrivals, error);
    }
  };

  /** Whatever happens in one account, all of the batch get an answer. */
  const deliver = (arrivals: readonly Arrival[]): Arrived[] => {
    try {
      return deliverAll(arrivals);
    } catch (error) {
      return failed(arrivals, error);
    }
  };

  const failed = (arrivals: readonly Arrival[], error: unknown): Arrived[] => {
    for (const { account } of arrivals) accounts.forget(account.id);
    return arrivals.map(() => ({ error }));
  };

  /** What a damaged index refused is tried once more with a new one. */
  const healing = (arrivals: readonly Arrival[], outcomes: readonly Arrived[]): Arrived[] => {
    const answers = [...outcomes];
    const again: number[] = [];
    const healed = new Map<AccountId, unknown>();
    answers.forEach((outcome, at) => {
      const id = arrivals[at]?.account.id;
      if (id === undefined || !('error' in outcome) || !isDamaged(outcome.error)) return;
      if (!healed.has(id))
        healed.set(
          id,
          failureOf(() => accounts.heal(id, outcome.error)),
        );
      const failure = healed.get(id);
      if (failure === undefined) again.push(at);
      else answers[at] = { error: failure };
    });
    if (again.length === 0) return answers;
    const second = deliver(again.flatMap((at) => arrivals[at] ?? []));
    again.forEach((at, index) => {
      answers[at] = second[index] ?? { error: new Error('a delivery without an outcome') };
    });
    return answers;
  };

  /** The account's owner is warned when it fills up. */
  function* limited<T>(account: MaildirAccount, quota: Limits | null, steps: Steps<T>): Steps<T> {
    const warnings = accounts.warningsOf(account);
    warnings?.before(quota);
    const done = yield* steps;
    warnings?.after(quota);
    return done;
  }

  function* appending(
    account: MaildirAccount,
    folder: Folder,
    messages: readonly Appending[],
    replaces: Replaced | null,
    quota: Limits | null,
  ): Steps<PackedMessages> {
    const old = replaces && { folder: account.folder(replaces.mailbox), uid: replaces.uid };
    return pack(folder, yield* appendingAll(account, folder, messages, old, quota));
  }

  const service = {
    open: (to: To): void | Promise<void> => on(to, () => undefined),

    mailboxes: async (to: To): Promise<Mailbox[]> => {
      const isDue = await on(to, (account) => {
        const due = account.now() - account.listedAt >= LIST_PAUSE;
        if (due) account.listedAt = account.now();
        return due;
      });
      if (isDue) await accounts.lookAtAll(to.account);
      return on(to, listMailboxes);
    },

    mailbox: (
      to: To & { readonly path: string; readonly state: 'now' | 'known' },
    ): Mailbox | undefined | Promise<Mailbox | undefined> =>
      on(to, (account) => {
        account.refreshTree();
        const found = findMailbox(account, to.path);
        const folder = found && account.folders.get(found.id);
        if (!folder || to.state === 'known') return found;
        accounts.look(account, folder);
        return findMailbox(account, to.path);
      }),

    create: (
      to: To & {
        readonly path: string;
        readonly specialUse: SpecialUse | null;
        readonly quota: Limits | null;
      },
    ): Mailbox | Promise<Mailbox> =>
      on(to, (account) => {
        account.refreshTree();
        return createMailbox(account, to.path, to.specialUse, to.quota);
      }),

    rename: (to: In & { readonly path: string; readonly quota: Limits | null }): Promise<void> =>
      accounts.inTurns(to.account, 'alone', (account) => {
        account.refreshTree();
        return renamingMailbox(account, to.mailbox, to.path, to.quota);
      }),

    delete: (to: In): void | Promise<void> =>
      on(to, (account) => accounts.discard(deleteMailbox(account, to.mailbox))),

    subscribe: (
      to: To & { readonly path: string; readonly subscribed: 'yes' | 'no' },
    ): void | Promise<void> => on(to, (account) => subscribe(account, to.path, to.subscribed)),

    subscriptions: (to: To): string[] | Promise<string[]> =>
      on(to, (account) => [...account.subscriptions.paths].sort()),

    annotations: (to: In): Annotations | Promise<Annotations> =>
      on(to, (account) => annotationsOf(account, to.mailbox)),

    annotate: (to: In & { readonly change: AnnotationChange }): void | Promise<void> =>
      on(to, (account) => annotate(account, to.mailbox, to.change)),

    ...sharingCalls(accounts),

    arrive,

    appendAll: (
      to: In & {
        readonly messages: readonly Appending[];
        readonly replaces: Replaced | null;
        readonly quota: Limits | null;
      },
    ): Promise<PackedMessages> =>
      inTurns(
        to,
        (account, folder) =>
          limited(account, to.quota, appending(account, folder, to.messages, to.replaces, to.quota)),
        'alone',
      ),

    uids: (to: In): unknown =>
      on(to, (account) => {
        const uids = account.roster(account.folder(to.mailbox)).uids();
        return transferring(uids, [uids.buffer]);
      }),

    openMailbox: (to: To & { readonly path: string; readonly recent: 'claim' | 'look' }): unknown =>
      on(to, (account) => {
        account.refreshTree();
        const id = findMailbox(account, to.path)?.id;
        const folder = id && account.folders.get(id);
        if (folder) accounts.look(account, folder);
        const mailbox = findMailbox(account, to.path);
        if (!folder || !mailbox)
          return mailbox && { mailbox, uids: new Uint32Array(0), firstUnseen: 0, firstRecent: 0 };
        const roster = account.roster(folder);
        const uids = roster.uids();
        const firstUnseen = roster.firstUnseen();
        const firstRecent = to.recent === 'claim' ? claimRecent(account, folder) : folder.firstRecent;
        return transferring({ mailbox, uids, firstUnseen, firstRecent }, [uids.buffer]);
      }),

    columns: (to: In): unknown =>
      on(to, (account) => {
        const columns = account.roster(account.folder(to.mailbox)).columns();
        return transferring(columns, [columns.uids.buffer, columns.sizes.buffer, columns.seen.buffer]);
      }),

    /** A batch of at most `limit`, and where to go on. */
    messages: (
      to: In & {
        readonly ranges: readonly UidRange[];
        readonly since: number;
        readonly after: number;
        readonly limit: number;
      },
    ): unknown =>
      on(to, (account) => {
        const roster = account.roster(account.folder(to.mailbox));
        const batch = roster.read(normaliseRanges(to.ranges, roster.highestUid), to);
        return transferring(batch, [batch.messages.rows.buffer]);
      }),

    summaries: async (to: Uids & { readonly parts: readonly SummaryPart[] }): Promise<unknown> => {
      const known = await on(to, (account) =>
        knownSummaries(account, account.folder(to.mailbox), to.uids, to.parts),
      );
      let rows = known;
      if (known.length < to.uids.length) {
        const there = new Set(known.map(([uid]) => uid));
        const uids = to.uids.filter((uid) => !there.has(uid));
        const made = await inSteps({ ...to, uids }, readSummaries);
        const others = made.map(
          (summary): SummaryRow => [summary.uid, ...to.parts.map((part) => summary[part])],
        );
        rows = [...known, ...others].sort((a, b) => a[0] - b[0]);
      }
      const packed = packSummaries(to.parts, rows);
      return transferring(packed, [packed.uids.buffer, packed.lengths.buffer, packed.text.buffer]);
    },

    headers: async (to: Uids): Promise<unknown> => {
      const packed = packHeaders(await inSteps(to, readHeaders));
      return transferring(packed, [packed.uids.buffer, packed.lengths.buffer, packed.bytes.buffer]);
    },

    /** Those that are in the index come first: ascending they are only when all are. */
    headerFields: async (to: Uids & { readonly selection: FieldSelection }): Promise<unknown> => {
      const selector = new FieldSelector(to.selection);
      const packer = new BytesPacker();
      const missing = await inSteps(
        to,
        (account, folder, uids) => selectKnown(account, folder, uids, selector, packer) as Uid[],
        HEADERS,
      );
      for (const { uid, header } of missing.length > 0
        ? await inSteps({ ...to, uids: missing }, readHeaders)
        : [])
        select(packer, selector, uid, header);
      const packed = packer.packed();
      return transferring(packed, buffersOf(packed));
    },

    /** As many as belong in one answer, and how many those are. */
    contents: async (to: Uids): Promise<unknown> => {
      const contents = await inTurns(to, (account, folder) => readContents(account, folder, to.uids));
      return transferring(contents, buffersOf(contents.packed));
    },

    structure: (to: In & { readonly uid: Uid }): Part | Promise<Part> =>
      on(to, (account) => readStructure(account, account.folder(to.mailbox), to.uid)),

    raw: (to: In & { readonly uid: Uid }): unknown =>
      on(to, (account) => {
        const stored = readMessage(account, account.folder(to.mailbox), to.uid);
        return transferring(stored, stored.bytes ? [stored.bytes.buffer] : []);
      }),

    setFlags: (to: Uids & { readonly change: FlagChange }): unknown =>
      accounts.durably(to.account, (account) => {
        accounts.glance(account, to.mailbox);
        const result = setFlags(account, account.folder(to.mailbox), to.uids, to.change);
        return transferring(result, [result.messages.rows.buffer]);
      }),

    copy: (to: ToMailbox): Promise<unknown> =>
      inTurns(
        to,
        (account, from) =>
          limited(account, to.quota, copying(account, from, to.uids, account.folder(to.to), to.quota)),
        'alone',
      ),

    move: (to: Omit<ToMailbox, 'quota'>): Promise<unknown> =>
      inTurns(to, (account, from) => moving(account, from, to.uids, account.folder(to.to)), 'alone'),

    expunge: (to: Uids): number[] | Promise<number[]> =>
      on(to, (account) => expunge(account, account.folder(to.mailbox), to.uids)),

    vanished: (to: In & { readonly since: number }): number[] | Promise<number[]> =>
      on(to, (account) => vanished(account, account.folder(to.mailbox), to.since)),

    search: async (to: In & { readonly criteria: SearchCriteria }): Promise<unknown> => {
      const found = await inTurns(to, (account, folder) => searchAll(account, folder, to.criteria));
      const uids = found.slice();
      return transferring(uids, [uids.buffer]);
    },

    sort: async (
      to: In & { readonly criteria: SearchCriteria; readonly keys: readonly SortKey[] },
    ): Promise<unknown> => {
      const uids = await inTurns(to, (account, folder) => sort(account, folder, to.criteria, to.keys));
      return transferring(uids, [uids.buffer]);
    },

    thread: async (
      to: In & { readonly criteria: SearchCriteria; readonly algorithm: ThreadAlgorithm },
    ): Promise<unknown> => {
      const found = await inTurns(to, (account, folder) =>
        thread(account, folder, to.criteria, to.algorithm),
      );
      return transferring(found, [found.uids.buffer, found.levels.buffer]);
    },

    threadIds: (to: Uids): Promise<[uid: number, threadId: string][]> =>
      inTurns(to, (account, folder) => threadIds(account, folder, to.uids)),

    claimRecent: (to: In): number | Promise<number> =>
      on(to, (account) => claimRecent(account, account.folder(to.mailbox))),

    usage: (to: To & { readonly mailbox: MailboxId | null }): Used | Promise<Used> =>
      on(to, (account) => {
        if (to.mailbox === null)
          return { used: account.usage, limits: null, mailboxes: account.folders.size };
        const folder = account.folder(to.mailbox);
        return { used: folder.held, limits: account.rules.limitsOf(folder), mailboxes: null };
      }),

    /** Throws what APPEND of this size would be refused with; without a mailbox, a delivery to INBOX. */
    admit: (
      to: To & {
        readonly mailbox: MailboxId | null;
        readonly bytes: number;
        readonly messages: number;
        readonly replaces: Replaced | null;
        readonly quota: Limits | null;
      },
    ): void | Promise<void> =>
      on(to, (account) => {
        const more = { bytes: to.bytes, messages: to.messages };
        if (to.mailbox === null)
          account.rules.admit('delivery', more, account.usage, to.quota, account.inbox);
        else {
          const folder = account.folder(to.mailbox);
          const old = to.replaces && { folder: account.folder(to.replaces.mailbox), uid: to.replaces.uid };
          const leaving = old ? leavingFrom(account, old, folder) : undefined;
          account.rules.admit('append', more, account.usage, to.quota, folder, leaving);
        }
      }),

    refresh: (to: In): void | Promise<void> =>
      on(to, (account) => accounts.look(account, account.folder(to.mailbox))),

    expire: (to: To & { readonly mode: ExpireMode }): Promise<Expired | null> =>
      accounts.expire(to.account, to.mode),

    keepHouse: (to: To): Promise<'kept' | 'nothing'> => accounts.keepHouse(to.account),

    /** Without a mailbox: the account as a whole, before any of its mailboxes. */
    watch: (to: To & { readonly mailbox: MailboxId | null }): void | Promise<void> =>
      accounts.whenFree(to.account, () => accounts.watch(to.account, to.mailbox)),

    unwatch: (to: To & { readonly mailbox: MailboxId | null }): void | Promise<void> =>
      accounts.whenFree(to.account, () => accounts.unwatch(to.account, to.mailbox)),

    remove: (to: To): void | Promise<void> =>
      accounts.whenFree(to.account, () => accounts.remove(to.account)),

    ...adoptionCalls(accounts),
    ...checkCalls(accounts, options.directory),
  };

  return {
    service,
    async close() {
      if (waiting.length > 0) flushNow();
      while (waiting.length + underWay.size + heldBack.size > 0)
        await (underWay.size > 0 ? Promise.race(underWay) : new Promise((resolve) => setImmediate(resolve)));
      await accounts.close();
    },
  };
}

function failureOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

function answer(waiter: Waiting, outcome: Arrived | undefined): void {
  if (!outcome) waiter.reject(new Error('a delivery without an outcome'));
  else if ('error' in outcome) waiter.reject(outcome.error);
  else if ('row' in outcome) {
    const { folder, row } = outcome;
    waiter.resolve({ messages: pack(folder, [row]), uidValidity: folder.uidValidity });
  } else waiter.resolve(outcome);
}
