import type { AccountId } from '../../directory/directory.ts';
import type { RawMessage } from '../../mail/raw-message.ts';
import type { FieldSelection } from '../../message/field-selector.ts';
import type { SortKey } from '../../message/sort.ts';
import type { Part } from '../../message/structure.ts';
import type { ThreadAlgorithm } from '../../message/threads.ts';
import { type Acl, type AclChange, type Rights, rightsOf } from '../../store/acl.ts';
import type { AnnotationChange, Annotations } from '../../store/annotations.ts';
import {
  type AccountStore,
  type Appended,
  type Change,
  type Columns,
  type Flag,
  type FlagChange,
  type FlagResult,
  type KeptUidls,
  type Mailbox,
  type MailboxId,
  type Message,
  type ModSeq,
  type NewMessage,
  type Opened,
  type Quota,
  type Replaced,
  type SearchCriteria,
  type SpecialUse,
  StoreError,
  type Summary,
  type SummaryPart,
  type ThreadId,
  type Uid,
  type UidPair,
  type UidRange,
  type UidThreads,
} from '../../store/store.ts';
import { ImapNo } from '../errors.ts';
import type { Spool } from '../spool.ts';
import type { Lent } from './accounts.ts';
import { copyBetween } from './copy-between.ts';
import { allowedFlags, isPartlyAllowed, rightFor } from './flag-rights.ts';
import { Guard, isPrivate, noPermission, noSuchMailbox } from './guard.ts';
import { askedOf, asksForSeen, isSeen, splitSeen } from './seen.ts';

/**
 * An account as somebody may use it whom its access control lists speak of: each method asks for the rights that
 * RFC 4314 4 says and does no more than they allow. Who is not the owner has \Seen flags of their own. Paths and ids are
 * the account's.
 */

/** Nothing is \Recent to visitors: that belongs to the owner's sessions (RFC 3501 2.3.2). */
const NEVER_RECENT = (2 ** 32) as Uid;

type AppendOptions = { readonly flags: readonly Flag[]; readonly internalDate: number };

export class GuardedAccount implements AccountStore {
  readonly account: AccountId;
  readonly #reader: AccountId;
  readonly #lent: Lent;
  readonly #store: AccountStore;
  readonly #guard: Guard;
  readonly #spool: Spool;

  constructor(lent: Lent, reader: AccountId, spool: Spool) {
    this.account = lent.store.account;
    this.#reader = reader;
    this.#lent = lent;
    this.#store = lent.store;
    this.#guard = new Guard(lent, reader);
    this.#spool = spool;
  }

  /** Lets go of the account. */
  close(): void {
    this.#guard.stop();
    this.#lent.giveBack();
  }

  /** Throws 'not-found'. */
  rights(id: MailboxId): Promise<Rights> {
    return this.#guard.rights(id);
  }

  rightsIfAny(id: MailboxId): Promise<Rights> {
    return this.#guard.rightsIfAny(id);
  }

  async mailboxes(): Promise<readonly Mailbox[]> {
    const all = await this.#store.mailboxes();
    if (this.#guard.isOwner) return all;
    const listed = await this.#guard.listed(all);
    const parents = new Set(listed.flatMap(({ path }) => [...namesAbove(path)]));
    return listed.map((mailbox) => this.#described(mailbox, parents.has(mailbox.path), mailbox.total));
  }

  async mailbox(path: string, state: 'now' | 'known' = 'now'): Promise<Mailbox | undefined> {
    const mailbox = await this.#store.mailbox(path, state);
    if (!mailbox || this.#guard.isOwner) return mailbox;
    if (!(await this.#guard.isThere(mailbox))) return undefined;
    const hasChildren = mailbox.hasChildren && (await this.#hasListedBelow(mailbox.path));
    return this.#described(mailbox, hasChildren, await this.#unseen(mailbox));
  }

  /** The right is asked of the nearest mailbox above, which passes its list on (RFC 4314 4). */
  async create(path: string, specialUse?: SpecialUse): Promise<Mailbox> {
    await this.#requireRoom(path);
    // Uses are the owner's (RFC 6154 2).
    if (specialUse !== undefined && !this.#guard.isOwner) throw noPermission();
    const mailbox = await this.#store.create(path, specialUse);
    this.#lent.forget(mailbox.id);
    return this.#guard.isOwner ? mailbox : this.#described(mailbox, false, mailbox.total);
  }

  async rename(id: MailboxId, path: string): Promise<void> {
    await this.#guard.require(id, 'x');
    const all = await this.#store.mailboxes();
    const from = all.find((mailbox) => mailbox.id === id)?.path;
    if (from === undefined) throw noSuchMailbox();
    if (!this.#guard.isOwner) {
      // That would move all of its mail.
      if (from === 'INBOX') throw noPermission();
      // They move along, also those that are not listed.
      for (const below of all.filter((mailbox) => mailbox.selectable && mailbox.path.startsWith(`${from}/`)))
        if (!(await this.#guard.rights(below.id)).has('x')) throw noPermission();
    }
    await this.#requireRoom(path);
    await this.#store.rename(id, path);
  }

  async delete(id: MailboxId): Promise<void> {
    await this.#guard.require(id, 'x');
    const inbox = await this.#store.mailbox('INBOX', 'known');
    if (inbox?.id === id) throw noPermission();
    await this.#store.delete(id);
  }

  subscribe(path: string, subscribed: 'yes' | 'no'): Promise<void> {
    if (!this.#guard.isOwner) throw noPermission();
    return this.#store.subscribe(path, subscribed);
  }

  async subscriptions(): Promise<readonly string[]> {
    return this.#guard.isOwner ? this.#store.subscriptions() : [];
  }

  /** RFC 5464 3.3: "l", and one of these. */
  async annotations(id: MailboxId): Promise<Annotations> {
    if (this.#guard.isOwner) return this.#store.annotations(id);
    const rights = await this.#guard.require(id, 'l');
    if (!['r', 's', 'w', 'i', 'p'].some((right) => rights.has(right))) throw noPermission();
    const all = await this.#store.annotations(id);
    return new Map([...all].filter(([name]) => !isPrivate(name)));
  }

  async annotate(id: MailboxId, change: AnnotationChange): Promise<void> {
    if (!this.#guard.isOwner) {
      await this.#guard.require(id, 'l', 'w');
      if (change.specialUse !== undefined || [...change.entries.keys()].some(isPrivate))
        throw new ImapNo('Only the owner has private annotations here', 'METADATA NOPRIVATE');
    }
    await this.#store.annotate(id, change);
  }

  async append(id: MailboxId, raw: RawMessage, options: AppendOptions): Promise<Message> {
    const [message] = await this.appendAll(id, [{ raw, ...options }]);
    if (!message) throw noSuchMailbox();
    return message;
  }

  async appendTo(path: string, raw: RawMessage, options: AppendOptions): Promise<Appended> {
    const mailbox = await this.mailbox(path, 'known');
    if (!mailbox?.selectable) throw noSuchMailbox();
    const { uid } = await this.append(mailbox.id, raw, options);
    return { mailbox: mailbox.id, uidValidity: mailbox.uidValidity, uid };
  }

  async appendAll(
    id: MailboxId,
    messages: readonly NewMessage[],
    replaces?: Replaced,
  ): Promise<readonly Message[]> {
    const rights = await this.#guard.require(id, 'i');
    // RFC 8508 4.1: STORE of \Deleted and EXPUNGE there.
    if (replaces) await this.#guard.require(replaces.mailbox, 't', 'e');
    const kept = messages.map((message): NewMessage => {
      const flags = allowedFlags(message.flags, rights);
      return { ...message, flags: this.#guard.isOwner ? flags : flags.filter((flag) => !isSeen(flag)) };
    });
    const stored = await this.#store.appendAll(id, kept, replaces);
    if (this.#guard.isOwner) return stored;
    const seen = stored.filter((_, at) => rights.has('s') && messages[at]?.flags.some(isSeen));
    if (seen.length === 0) return this.#guard.shown(id, stored);
    const now = new Map<Uid, Message>();
    try {
      const uids = seen.map(({ uid }) => uid);
      const result = await this.#store.setSeenBy(id, this.#reader, uids, 'yes');
      for (const message of result.messages) now.set(message.uid, message);
    } catch (error) {
      // The messages are there: a refusal would have them sent once more. They only look unread.
      if (!(error instanceof StoreError)) throw error;
    }
    this.#guard.forgetSeen(id);
    return this.#guard.shown(
      id,
      stored.map((message) => now.get(message.uid) ?? message),
    );
  }

  async uids(id: MailboxId): Promise<Uint32Array> {
    await this.#guard.require(id, 'r');
    return this.#store.uids(id);
  }

  async open(
    path: string,
    recent: 'claim' | 'look',
    listener: (change: Change) => void,
  ): Promise<Opened | undefined> {
    const mailbox = await this.mailbox(path, 'known');
    if (!mailbox) return undefined;
    if (mailbox.selectable) await this.#guard.require(mailbox.id, 'r');
    const isOwner = this.#guard.isOwner;
    const told = this.#guard.told(listener, mailbox.id);
    const opened = await this.#store.open(path, isOwner ? recent : 'look', told);
    if (!opened || isOwner) return opened;
    if (opened.mailbox.id !== mailbox.id) {
      opened.close();
      return undefined;
    }
    try {
      const seen = await this.#guard.seen(mailbox.id);
      const unseen = Math.max(opened.uids.length - seen.size, 0);
      return {
        ...opened,
        mailbox: this.#described(opened.mailbox, mailbox.hasChildren, unseen),
        firstUnseen: seen.firstUnseenIn(opened.uids),
        firstRecent: NEVER_RECENT,
      };
    } catch (error) {
      opened.close();
      throw error;
    }
  }

  async columns(id: MailboxId): Promise<Columns> {
    await this.#guard.require(id, 'r');
    const columns = await this.#store.columns(id);
    if (this.#guard.isOwner) return columns;
    const seen = await this.#guard.seen(id);
    return { ...columns, seen: Uint8Array.from(columns.uids, (uid) => (seen.has(uid) ? 1 : 0)) };
  }

  async *messages(
    id: MailboxId,
    ranges: readonly UidRange[],
    since?: ModSeq,
  ): AsyncGenerator<readonly Message[]> {
    await this.#guard.require(id, 'r');
    for await (const batch of this.#store.messages(id, ranges, since)) yield this.#guard.shown(id, batch);
  }

  async *summaries(
    id: MailboxId,
    uids: readonly Uid[],
    parts?: readonly SummaryPart[],
  ): AsyncGenerator<readonly Summary[]> {
    await this.#guard.require(id, 'r');
    yield* this.#store.summaries(id, uids, parts);
  }

  async *headers(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncGenerator<readonly { readonly uid: Uid; readonly header: Uint8Array }[]> {
    await this.#guard.require(id, 'r');
    yield* this.#store.headers(id, uids);
  }

  async *headerFields(
    id: MailboxId,
    uids: readonly Uid[],
    selection: FieldSelection,
  ): AsyncGenerator<readonly { readonly uid: Uid; readonly fields: string }[]> {
    await this.#guard.require(id, 'r');
    yield* this.#store.headerFields(id, uids, selection);
  }

  async *contents(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncGenerator<readonly { readonly uid: Uid; readonly bytes: Uint8Array }[]> {
    await this.#guard.require(id, 'r');
    yield* this.#store.contents(id, uids);
  }

  async structure(id: MailboxId, uid: Uid): Promise<Part> {
    await this.#guard.require(id, 'r');
    return this.#store.structure(id, uid);
  }

  async raw(id: MailboxId, uid: Uid): Promise<RawMessage> {
    await this.#guard.require(id, 'r');
    return this.#store.raw(id, uid);
  }

  /** Does what the rights allow, and fails when that is nothing (RFC 4314 4). */
  async setFlags(id: MailboxId, uids: readonly Uid[], change: FlagChange): Promise<FlagResult> {
    const rights = await this.#guard.require(id, 'r');
    if (!isPartlyAllowed(change, rights)) throw noPermission();
    const { isOwner } = this.#guard;
    const controls = (flag: Flag): boolean => rights.has(rightFor(flag)) && (isOwner || !isSeen(flag));
    const flags = change.flags.filter(controls);
    const limit = change.unchangedSince === undefined ? {} : { unchangedSince: change.unchangedSince };
    const isOfSeen = !isOwner && rights.has('s') && (change.mode === 'set' || change.flags.some(isSeen));
    const seen = isOfSeen ? (change.mode !== 'remove' && change.flags.some(isSeen) ? 'yes' : 'no') : null;
    const isOfOthers = change.mode === 'set' ? rights.has('w') || rights.has('t') : flags.length > 0;

    let result: FlagResult | null = null;
    if (isOfOthers || seen === null)
      result =
        change.mode === 'set'
          ? await this.#setAmong(id, uids, flags, controls, limit)
          : await this.#store.setFlags(id, uids, { mode: change.mode, flags, ...limit });
    if (isOwner) return result ?? { messages: [], conflicts: [] };
    if (seen === null) return this.#shownResult(id, result ?? { messages: [], conflicts: [] });
    const left = result ? result.messages.map(({ uid }) => uid) : uids;
    const last = await this.#store.setSeenBy(
      id,
      this.#reader,
      left,
      seen,
      result ? undefined : change.unchangedSince,
    );
    return this.#shownResult(id, result ? inSteps(result, last) : last);
  }

  /** COPY takes the flags along that the user sees, and may set there. */
  async copy(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    await this.#guard.require(id, 'r');
    const rights = await this.#guard.require(to, 'i');
    if (this.#guard.isOwner && ['s', 't', 'w'].every((right) => rights.has(right)))
      return this.#store.copy(id, uids, to);
    const target = { store: this, id: to, takeBack: this.takeBack };
    return copyBetween({ store: this, id }, uids, target, this.#spool);
  }

  /** RFC 6851 4.2: what STORE of \Deleted, COPY and EXPUNGE take. */
  async move(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    await this.mayTakeAway(id);
    const rights = await this.#guard.require(to, 'i');
    if (this.#guard.isOwner && ['s', 't', 'w'].every((right) => rights.has(right)))
      return this.#store.move(id, uids, to);
    const pairs = await this.copy(id, uids, to);
    await this.#store.expunge(
      id,
      pairs.map(({ from }) => from),
    );
    return pairs;
  }

  /** Whether messages may be moved away from there. */
  async mayTakeAway(id: MailboxId): Promise<void> {
    await this.#guard.require(id, 'r', 't', 'e');
  }

  /** Removes what could not be copied as a whole. */
  readonly takeBack = (id: MailboxId, uids: readonly Uid[]): Promise<unknown> =>
    this.#store.expunge(id, uids);

  async expunge(id: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]> {
    await this.#guard.require(id, 'e');
    return this.#store.expunge(id, uids);
  }

  async vanished(id: MailboxId, since: ModSeq): Promise<readonly Uid[]> {
    await this.#guard.require(id, 'r');
    return this.#store.vanished(id, since);
  }

  async search(id: MailboxId, criteria: SearchCriteria): Promise<readonly Uid[]> {
    return this.#found(id, criteria, (asked) => this.#store.search(id, asked));
  }

  async sort(id: MailboxId, criteria: SearchCriteria, keys: readonly SortKey[]): Promise<readonly Uid[]> {
    return this.#found(id, criteria, (asked) => this.#store.sort(id, asked, keys));
  }

  async thread(id: MailboxId, criteria: SearchCriteria, algorithm: ThreadAlgorithm): Promise<UidThreads> {
    return this.#store.thread(id, await this.#asked(id, criteria), algorithm);
  }

  async threadIds(id: MailboxId, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, ThreadId>> {
    await this.#guard.require(id, 'r');
    return this.#store.threadIds(id, uids);
  }

  async claimRecent(id: MailboxId): Promise<Uid> {
    await this.#guard.require(id, 'r');
    return this.#guard.isOwner ? this.#store.claimRecent(id) : NEVER_RECENT;
  }

  async admit(
    id: MailboxId,
    bytes: number,
    also?: { readonly messages?: number; readonly replaces?: Replaced },
  ): Promise<void> {
    await this.#guard.require(id, 'i');
    await this.#store.admit(id, bytes, also);
  }

  /** What a mailbox holds is told to who may look into it (RFC 9208 6); of the account, to its owner. */
  async quota(mailbox?: MailboxId): Promise<Quota> {
    if (mailbox !== undefined) await this.#guard.require(mailbox, 'r');
    else if (!this.#guard.isOwner) throw noPermission();
    return this.#store.quota(mailbox);
  }

  /** The owner's, which what is put into that mailbox counts for. */
  async quotaAround(mailbox: MailboxId): Promise<Quota> {
    await this.#guard.require(mailbox, 'r');
    return this.#store.quota();
  }

  async *keptUidls(id: MailboxId): AsyncGenerator<KeptUidls> {
    await this.#guard.require(id, 'r');
    yield* this.#store.keptUidls(id);
  }

  async refresh(id: MailboxId): Promise<void> {
    await this.#guard.require(id, 'r');
    await this.#store.refresh(id);
  }

  watch(listener: (change: Change) => void, id?: MailboxId): () => void {
    let isStopped = false;
    const told = this.#guard.told((change) => {
      if (!isStopped) listener(change);
    }, id);
    const stop = this.#store.watch(told, id);
    return () => {
      isStopped = true;
      stop();
    };
  }

  async acls(): Promise<ReadonlyMap<MailboxId, Acl>> {
    const all = await this.#lent.acls();
    return new Map([...all].filter(([, acl]) => rightsOf(acl, this.#guard.visitor).has('a')));
  }

  async acl(id: MailboxId): Promise<Acl> {
    await this.#guard.require(id, 'a');
    return this.#lent.acl(id);
  }

  async setAcl(id: MailboxId, identifier: string, change: AclChange): Promise<void> {
    await this.#guard.require(id, 'a');
    await this.#store.setAcl(id, identifier, change);
    this.#lent.forget(id);
  }

  async seenBy(id: MailboxId, reader: AccountId): Promise<Uint32Array> {
    await this.#guard.require(id, 'r');
    return this.#store.seenBy(id, reader);
  }

  async setSeenBy(...args: Parameters<AccountStore['setSeenBy']>): Promise<FlagResult> {
    await this.#guard.require(args[0], 'r', 's');
    return this.#store.setSeenBy(...args);
  }

  /** FLAGS (…) where not all of them are the user's to say: those that are and are not named go, the others stay. */
  async #setAmong(
    id: MailboxId,
    uids: readonly Uid[],
    flags: readonly Flag[],
    controls: (flag: Flag) => boolean,
    limit: Pick<FlagChange, 'unchangedSince'>,
  ): Promise<FlagResult> {
    const named = new Set(flags.map((flag) => flag.toLowerCase()));
    const others = new Set<Flag>();
    const ranges = uids.map((uid) => ({ first: uid, last: uid }));
    for await (const batch of this.#store.messages(id, ranges))
      for (const message of batch)
        for (const flag of message.flags)
          if (controls(flag) && !named.has(flag.toLowerCase())) others.add(flag);
    const first = await this.#store.setFlags(id, uids, { mode: 'remove', flags: [...others], ...limit });
    if (flags.length === 0) return first;
    const left = first.messages.map(({ uid }) => uid);
    return inSteps(first, await this.#store.setFlags(id, left, { mode: 'add', flags }));
  }

  /** What they have seen is asked for anew: what another session has changed before may not be announced yet. */
  async #shownResult(id: MailboxId, result: FlagResult): Promise<FlagResult> {
    this.#guard.forgetSeen(id);
    return { ...result, messages: await this.#guard.shown(id, result.messages) };
  }

  async #found(
    id: MailboxId,
    criteria: SearchCriteria,
    find: (asked: SearchCriteria) => Promise<readonly Uid[]>,
  ): Promise<readonly Uid[]> {
    const { rest, wanted } = this.#guard.isOwner ? { rest: criteria, wanted: null } : splitSeen(criteria);
    const found = await find(await this.#asked(id, rest));
    if (wanted === null) return found;
    const seen = await this.#guard.seen(id);
    return found.filter((uid) => seen.has(uid) === (wanted === 'seen'));
  }

  async #asked(id: MailboxId, criteria: SearchCriteria): Promise<SearchCriteria> {
    await this.#guard.require(id, 'r');
    if (this.#guard.isOwner || !asksForSeen(criteria)) return criteria;
    return askedOf(criteria, (await this.#guard.seen(id)).ranges());
  }

  /** Whether there may be a new mailbox of that name. */
  async #requireRoom(path: string): Promise<void> {
    for (const parent of namesAbove(path)) {
      const mailbox = await this.#store.mailbox(parent, 'known');
      if (!mailbox?.selectable) continue;
      if (!(await this.#guard.rights(mailbox.id)).has('k')) throw noPermission();
      return;
    }
    if (!this.#guard.isOwner) throw noPermission();
  }

  async #unseen({ id, total }: Mailbox): Promise<number> {
    if (!(await this.#guard.rightsIfAny(id)).has('r')) return 0;
    return Math.max(total - (await this.#guard.seen(id)).size, 0);
  }

  async #hasListedBelow(path: string): Promise<boolean> {
    const below = (await this.#store.mailboxes()).filter((mailbox) => mailbox.path.startsWith(`${path}/`));
    return (await this.#guard.listed(below)).length > 0;
  }

  #described(mailbox: Mailbox, hasChildren: boolean, unseen: number): Mailbox {
    // What the owner uses it for, and has subscribed to, is not what the visitor does.
    return {
      ...mailbox,
      hasChildren,
      unseen,
      specialUse: null,
      subscribed: false,
      firstRecent: NEVER_RECENT,
    };
  }
}

/** One change made by two, the second of what the first left. */
function inSteps(first: FlagResult, second: FlagResult): FlagResult {
  const same = new Set(first.unchanged);
  return {
    messages: second.messages,
    unchanged: second.unchanged?.filter((uid) => same.has(uid)) ?? [],
    conflicts: [...first.conflicts, ...second.conflicts],
  };
}

/** The nearest first. */
function* namesAbove(path: string): Generator<string> {
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) yield path.slice(0, at);
}
