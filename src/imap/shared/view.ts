import type { AccountId } from '../../directory/directory.ts';
import type { RawMessage } from '../../mail/raw-message.ts';
import type { FieldSelection } from '../../message/field-selector.ts';
import type { SortKey } from '../../message/sort.ts';
import type { Part } from '../../message/structure.ts';
import type { ThreadAlgorithm } from '../../message/threads.ts';
import { type Acl, type AclChange, ALL_RIGHTS, type Rights } from '../../store/acl.ts';
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
import type { SharedAccounts } from './accounts.ts';
import { copyBetween, type Target } from './copy-between.ts';
import { noPermission, noSuchMailbox } from './guard.ts';
import { GuardedAccount } from './guarded-account.ts';
import { isNamespace, OTHER_USERS, PUBLIC, prefixOf } from './names.ts';

/**
 * All mail that a user can get at, as if it were one account: their own, what other users share with them below
 * `Other Users/<address>/`, and what everybody shares below `Public/`. A mailbox's id says whose it is; each account
 * says what may be done (guarded-account.ts). Other accounts are opened when one of their names is used, or listed.
 * A user's own mailbox stays theirs, whatever its name.
 */

/** Accounts that LIST goes through. By name the others are there too. */
const MAX_SHARERS = 500;

type AppendOptions = { readonly flags: readonly Flag[]; readonly internalDate: number };

/** An account of somebody else. */
interface Place {
  readonly prefix: string;
  readonly store: GuardedAccount;
}

/** A mailbox by the path that it has in its account. */
interface Located {
  readonly place: Place;
  readonly path: string;
}

interface Watcher {
  readonly listener: (change: Change) => void;
  readonly stops: (() => void)[];
}

export class UserView implements AccountStore {
  readonly account: AccountId;
  readonly #accounts: SharedAccounts;
  /** Guarded where the owner's own lists say what the owner may do. */
  #own: AccountStore | GuardedAccount;
  readonly #places = new Map<AccountId, Promise<Place>>();
  readonly #opened: Place[] = [];
  /** Mailboxes of others that were seen so far. */
  readonly #homes = new Map<MailboxId, Place>();
  readonly #watchers = new Set<Watcher>();
  readonly #leave: () => void;
  #closed = false;

  private constructor(own: AccountStore, accounts: SharedAccounts) {
    this.account = own.account;
    this.#own = own;
    this.#accounts = accounts;
    this.#leave = accounts.joinOwner(own.account, () => this.lookAtOwn());
  }

  /** Both questions are on their way at once: one after the other they would make each login slower. */
  static async of(
    opening: Promise<AccountStore>,
    account: AccountId,
    accounts: SharedAccounts,
  ): Promise<UserView> {
    const naming = accounts.isOwnerNamed(account);
    // It may fail before anybody waits for it.
    naming.catch(() => undefined);
    const view = new UserView(await opening, accounts);
    try {
      if (await naming) await view.lookAtOwn();
    } catch (error) {
      view.close();
      throw error;
    }
    return view;
  }

  /** Lets go of all accounts. */
  close(): void {
    this.#closed = true;
    this.#leave();
    for (const watcher of this.#watchers) for (const stop of watcher.stops) stop();
    this.#watchers.clear();
    for (const { store } of this.#opened) store.close();
    if (this.#own instanceof GuardedAccount) this.#own.close();
  }

  /** Of other users', and of everybody's mailboxes: as far as there can be any. */
  get namespaces(): { readonly others: string; readonly shared: string | null } {
    const hasPublic = this.#accounts.hasPublic && !this.#accounts.isPublic(this.account);
    return { others: OTHER_USERS, shared: hasPublic ? PUBLIC : null };
  }

  isOwn(id: MailboxId): boolean {
    return !this.#homes.has(id);
  }

  /** Whose it is. */
  ownerOf(id: MailboxId): AccountId {
    return this.#homes.get(id)?.store.account ?? this.account;
  }

  /** What this user may do with a mailbox. Throws 'not-found'. */
  async rights(id: MailboxId): Promise<Rights> {
    const store = this.#at(id);
    return store instanceof GuardedAccount ? store.rights(id) : ALL_RIGHTS;
  }

  /** None where there is nothing to have any on. */
  async rightsIfAny(id: MailboxId): Promise<Rights> {
    const store = this.#at(id);
    return store instanceof GuardedAccount ? store.rightsIfAny(id) : ALL_RIGHTS;
  }

  /** The same when a list has just changed; undefined when there is no such mailbox any more. */
  async rightsNow(id: MailboxId): Promise<Rights | undefined> {
    if (this.isOwn(id)) await this.lookAtOwn();
    try {
      return await this.rights(id);
    } catch (error) {
      if (error instanceof StoreError && error.kind === 'not-found') return undefined;
      throw error;
    }
  }

  /** The owner may have said what the owner may do; from then on it is minded (RFC 4314 2). */
  async lookAtOwn(): Promise<void> {
    if (this.#own instanceof GuardedAccount || !(await this.#accounts.isOwnerNamed(this.account))) return;
    const lent = await this.#accounts.borrow(this.account);
    if (this.#closed || this.#own instanceof GuardedAccount) lent.giveBack();
    else this.#own = new GuardedAccount(lent, this.account, this.#accounts.spool);
  }

  /** @param reach says of a prefix whether names below it are wanted; of all when nothing is said */
  async mailboxes(reach: (prefix: string) => boolean = () => true): Promise<readonly Mailbox[]> {
    const own = await this.#own.mailboxes();
    const { others, shared } = this.namespaces;
    if (!reach(others) && !(shared !== null && reach(shared))) return own;
    const [sharers] = await Promise.all([this.#accounts.sharersWith(this.account), this.lookAtOwn()]);
    const wanted = sharers.filter((account) => reach(this.#prefix(account))).slice(0, MAX_SHARERS);
    if (wanted.length === 0) return own;
    const [subscriptions, ...shares] = await Promise.all([
      this.#own.subscriptions(),
      ...wanted.map((account) => this.#mailboxesOf(account)),
    ]);
    const taken = new Set(own.map(({ path }) => path));
    const subscribed = new Set(subscriptions);
    const visible = shares
      .flat()
      .filter(({ path }) => !taken.has(path))
      .map((mailbox) => ({ ...mailbox, subscribed: subscribed.has(mailbox.path) }));
    return [...own, ...visible];
  }

  async mailbox(path: string, state: 'now' | 'known' = 'now'): Promise<Mailbox | undefined> {
    const own = await this.#own.mailbox(path, state);
    if (own?.selectable || !this.#mayBeShared(path)) return own;
    const found = await this.#locate(path);
    const mailbox = await found?.place.store.mailbox(found.path, state);
    if (!found || !mailbox) return own;
    const subscribed = (await this.#own.subscriptions()).includes(path);
    return { ...this.#named(mailbox, found.place), subscribed };
  }

  async create(path: string, specialUse?: SpecialUse): Promise<Mailbox> {
    if (!this.#isShared(path)) return this.#own.create(path, specialUse);
    const found = await this.#locate(path);
    if (!found) throw noPermission();
    return this.#named(await found.place.store.create(found.path, specialUse), found.place);
  }

  async rename(id: MailboxId, path: string): Promise<void> {
    const place = this.#homes.get(id);
    if (!place) {
      if (this.#isShared(path)) throw notAcross();
      return this.#own.rename(id, path);
    }
    if (!path.startsWith(place.prefix)) throw notAcross();
    return place.store.rename(id, path.slice(place.prefix.length));
  }

  delete(id: MailboxId): Promise<void> {
    return this.#at(id).delete(id);
  }

  subscribe(path: string, subscribed: 'yes' | 'no'): Promise<void> {
    return this.#own.subscribe(path, subscribed);
  }

  subscriptions(): Promise<readonly string[]> {
    return this.#own.subscriptions();
  }

  annotations(id: MailboxId): Promise<Annotations> {
    return this.#at(id).annotations(id);
  }

  annotate(id: MailboxId, change: AnnotationChange): Promise<void> {
    return this.#at(id).annotate(id, change);
  }

  append(id: MailboxId, raw: RawMessage, options: AppendOptions): Promise<Message> {
    return this.#at(id).append(id, raw, options);
  }

  async appendTo(path: string, raw: RawMessage, options: AppendOptions): Promise<Appended> {
    if (!this.#mayBeShared(path)) return this.#own.appendTo(path, raw, options);
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
    const to = this.#at(id);
    const from = replaces && this.#at(replaces.mailbox);
    if (!replaces || !from || from === to) return to.appendAll(id, messages, replaces);
    // Two accounts know nothing of each other: first the new message, so that none is lost in between.
    await mayTakeAway(from, replaces.mailbox);
    if (!(await from.uids(replaces.mailbox)).includes(replaces.uid))
      throw new StoreError('expunged', 'The message is gone');
    const stored = await to.appendAll(id, messages);
    await from.expunge(replaces.mailbox, [replaces.uid]);
    return stored;
  }

  uids(id: MailboxId): Promise<Uint32Array> {
    return this.#at(id).uids(id);
  }

  async open(
    path: string,
    recent: 'claim' | 'look',
    listener: (change: Change) => void,
  ): Promise<Opened | undefined> {
    const own = await this.#own.open(path, recent, listener);
    if (own?.mailbox.selectable || !this.#mayBeShared(path)) return own;
    const found = await this.#locate(path);
    if (!found) return own;
    const { place } = found;
    const told = (change: Change): void => listener(renamed(change, place.prefix));
    const opened = await place.store.open(found.path, recent, told);
    if (!opened) return own;
    own?.close();
    return { ...opened, mailbox: this.#named(opened.mailbox, place) };
  }

  columns(id: MailboxId): Promise<Columns> {
    return this.#at(id).columns(id);
  }

  messages(id: MailboxId, ranges: readonly UidRange[], since?: ModSeq): AsyncIterable<readonly Message[]> {
    return this.#at(id).messages(id, ranges, since);
  }

  summaries(
    id: MailboxId,
    uids: readonly Uid[],
    parts?: readonly SummaryPart[],
  ): AsyncIterable<readonly Summary[]> {
    return this.#at(id).summaries(id, uids, parts);
  }

  headers(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncIterable<readonly { readonly uid: Uid; readonly header: Uint8Array }[]> {
    return this.#at(id).headers(id, uids);
  }

  headerFields(
    id: MailboxId,
    uids: readonly Uid[],
    selection: FieldSelection,
  ): AsyncIterable<readonly { readonly uid: Uid; readonly fields: string }[]> {
    return this.#at(id).headerFields(id, uids, selection);
  }

  contents(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncIterable<readonly { readonly uid: Uid; readonly bytes: Uint8Array }[]> {
    return this.#at(id).contents(id, uids);
  }

  structure(id: MailboxId, uid: Uid): Promise<Part> {
    return this.#at(id).structure(id, uid);
  }

  raw(id: MailboxId, uid: Uid): Promise<RawMessage> {
    return this.#at(id).raw(id, uid);
  }

  setFlags(id: MailboxId, uids: readonly Uid[], change: FlagChange): Promise<FlagResult> {
    return this.#at(id).setFlags(id, uids, change);
  }

  copy(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    const from = this.#at(id);
    if (from === this.#at(to)) return from.copy(id, uids, to);
    return copyBetween({ store: from, id }, uids, this.#target(to), this.#accounts.spool);
  }

  /** Between accounts it is COPY, then EXPUNGE: in between a message is in both, never in none. */
  async move(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    const from = this.#at(id);
    if (from === this.#at(to)) return from.move(id, uids, to);
    await mayTakeAway(from, id);
    const pairs = await copyBetween({ store: from, id }, uids, this.#target(to), this.#accounts.spool);
    await from.expunge(
      id,
      pairs.map((pair) => pair.from),
    );
    return pairs;
  }

  expunge(id: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]> {
    return this.#at(id).expunge(id, uids);
  }

  vanished(id: MailboxId, since: ModSeq): Promise<readonly Uid[]> {
    return this.#at(id).vanished(id, since);
  }

  search(id: MailboxId, criteria: SearchCriteria): Promise<readonly Uid[]> {
    return this.#at(id).search(id, criteria);
  }

  sort(id: MailboxId, criteria: SearchCriteria, keys: readonly SortKey[]): Promise<readonly Uid[]> {
    return this.#at(id).sort(id, criteria, keys);
  }

  thread(id: MailboxId, criteria: SearchCriteria, algorithm: ThreadAlgorithm): Promise<UidThreads> {
    return this.#at(id).thread(id, criteria, algorithm);
  }

  threadIds(id: MailboxId, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, ThreadId>> {
    return this.#at(id).threadIds(id, uids);
  }

  claimRecent(id: MailboxId): Promise<Uid> {
    return this.#at(id).claimRecent(id);
  }

  admit(
    id: MailboxId,
    bytes: number,
    also?: { readonly messages?: number; readonly replaces?: Replaced },
  ): Promise<void> {
    const replaces = also?.replaces;
    // What is replaced in another account makes no room in this one.
    if (!replaces || this.#at(replaces.mailbox) === this.#at(id)) return this.#at(id).admit(id, bytes, also);
    const { messages = 1 } = also;
    return this.#at(id).admit(id, bytes, { messages });
  }

  quota(mailbox?: MailboxId): Promise<Quota> {
    return mailbox === undefined ? this.#own.quota() : this.#at(mailbox).quota(mailbox);
  }

  /** The quota root of the account that a mailbox is in (RFC 9208 3.2); the user's own is "". */
  async quotaRootOf(id: MailboxId): Promise<{ readonly root: string; readonly quota: Quota }> {
    const place = this.#homes.get(id);
    if (!place) return { root: '', quota: await this.#own.quota() };
    return { root: place.prefix.slice(0, -1), quota: await place.store.quotaAround(id) };
  }

  /** undefined when there is no such root, or nothing in it that the user may look into. */
  async quotaOfRoot(root: string): Promise<Quota | undefined> {
    const found = await this.#locate(`${root}/INBOX`);
    if (found?.path !== 'INBOX') return undefined;
    const { store } = found.place;
    for (const { id } of await store.mailboxes())
      if ((await store.rights(id)).has('r')) return store.quotaAround(id);
    return undefined;
  }

  keptUidls(id: MailboxId): AsyncIterable<KeptUidls> {
    return this.#at(id).keptUidls(id);
  }

  refresh(id: MailboxId): Promise<void> {
    return this.#at(id).refresh(id);
  }

  /** Without `id`: of the user's own account, and of those that are open, or will be. */
  watch(listener: (change: Change) => void, id?: MailboxId): () => void {
    if (id !== undefined) {
      const place = this.#homes.get(id);
      if (!place) return this.#own.watch(listener, id);
      return place.store.watch((change) => listener(renamed(change, place.prefix)), id);
    }
    const watcher: Watcher = { listener, stops: [this.#own.watch(listener)] };
    this.#watchers.add(watcher);
    for (const place of this.#opened) watchPlace(watcher, place);
    return () => {
      this.#watchers.delete(watcher);
      for (const stop of watcher.stops.splice(0)) stop();
    };
  }

  acl(id: MailboxId): Promise<Acl> {
    return this.#at(id).acl(id);
  }

  acls(): Promise<ReadonlyMap<MailboxId, Acl>> {
    return this.#own.acls();
  }

  async setAcl(id: MailboxId, identifier: string, change: AclChange): Promise<void> {
    await this.#at(id).setAcl(id, identifier, change);
    await this.#accounts.changed(this.ownerOf(id), id);
  }

  seenBy(id: MailboxId, reader: AccountId): Promise<Uint32Array> {
    return this.#at(id).seenBy(id, reader);
  }

  setSeenBy(...args: Parameters<AccountStore['setSeenBy']>): Promise<FlagResult> {
    return this.#at(args[0]).setSeenBy(...args);
  }

  #at(id: MailboxId): AccountStore | GuardedAccount {
    return this.#homes.get(id)?.store ?? this.#own;
  }

  #target(id: MailboxId): Target {
    const store = this.#at(id);
    const takeBack = store instanceof GuardedAccount ? store.takeBack : store.expunge.bind(store);
    return { store, id, takeBack };
  }

  /** Whether it is worth to look among what others share. */
  #mayBeShared(path: string): boolean {
    const { others, shared } = this.namespaces;
    return path.startsWith(others) || (shared !== null && path.startsWith(shared));
  }

  /** Whether a new mailbox of that name would be somebody else's, or seem so. */
  #isShared(path: string): boolean {
    const { others, shared } = this.namespaces;
    return isNamespace(path, shared === null ? [others] : [others, shared]);
  }

  #prefix(account: AccountId): string {
    return this.#accounts.isPublic(account) ? PUBLIC : prefixOf(account);
  }

  /** undefined when the account is not there, or has nothing for this user: which of both is not told (RFC 4314 6). */
  async #locate(path: string): Promise<Located | undefined> {
    if (!this.#mayBeShared(path)) return undefined;
    const sharers = await this.#accounts.sharersWith(this.account);
    const account = sharers.find((each) => path.startsWith(this.#prefix(each)));
    if (account === undefined) return undefined;
    const place = await this.#place(account);
    return { place, path: path.slice(place.prefix.length) };
  }

  #place(account: AccountId): Promise<Place> {
    let place = this.#places.get(account);
    if (!place) {
      const opening = this.#open(account);
      place = opening;
      this.#places.set(account, opening);
      opening.catch(() => this.#places.delete(account));
    }
    return place;
  }

  async #open(account: AccountId): Promise<Place> {
    const { spool } = this.#accounts;
    const store = new GuardedAccount(await this.#accounts.borrow(account), this.account, spool);
    if (this.#closed) {
      store.close();
      throw noSuchMailbox();
    }
    const place = { prefix: this.#prefix(account), store };
    this.#opened.push(place);
    for (const watcher of this.#watchers) watchPlace(watcher, place);
    return place;
  }

  async #mailboxesOf(account: AccountId): Promise<readonly Mailbox[]> {
    const place = await this.#place(account);
    return (await place.store.mailboxes()).map((mailbox) => this.#named(mailbox, place));
  }

  #named(mailbox: Mailbox, place: Place): Mailbox {
    this.#homes.set(mailbox.id, place);
    return { ...mailbox, path: place.prefix + mailbox.path };
  }
}

function watchPlace(watcher: Watcher, { store, prefix }: Place): void {
  watcher.stops.push(store.watch((change) => watcher.listener(renamed(change, prefix))));
}

function renamed(change: Change, prefix: string): Change {
  return 'path' in change ? { ...change, path: prefix + change.path } : change;
}

/** What an owner may always do. */
async function mayTakeAway(store: AccountStore | GuardedAccount, id: MailboxId): Promise<void> {
  if (store instanceof GuardedAccount) await store.mayTakeAway(id);
}

function notAcross(): StoreError {
  return new StoreError('invalid-name', 'A mailbox cannot move to another account');
}
