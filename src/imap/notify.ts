import { type Change, type Mailbox, type MailboxId, StoreError, type Uid } from '../store/store.ts';
import type { ImapSession, News } from './command.ts';
import type { FetchWish } from './commands/fetch.ts';
import { changedLine } from './commands/list.ts';
import { ImapNo } from './errors.ts';
import { type EventName, type EventsByPath, eventsByPath, type Groups, NO_GROUPS } from './notify-groups.ts';
import { NotifyNames } from './notify-names.ts';
import { mailboxName } from './response.ts';
import type { Wanted } from './selected.ts';

/**
 * What a client that has used NOTIFY is told (RFC 5465): here of other mailboxes, by STATUS and LIST; what it wants of the
 * selected one, the session asks for. A change costs a look at what is known of its mailbox, and what is told is asked of
 * the store when it is told: however slowly a client reads, there is one entry a mailbox.
 */

/** Mailboxes of an account that asks for this; beyond, NOTIFY is refused or ends (RFC 5465 3.1, 5.8). */
const MAX_MAILBOXES = 20_000;
/** Names that wait to be told. */
const MAX_NAMES = 1000;
/** Mailboxes in which changes by other programs are looked for: that costs two watches of the system each. */
const MAX_ON_DISK = 100;
/** Own messages in other mailboxes, of which the echo has not come yet. */
const MAX_OWN = 10_000;
/** New messages in one mailbox, and in all, that are told apart from own ones. */
const MAX_ADDED = 1000;
const MAX_APART = 10_000;
/** Mailboxes that are looked at in one go: some milliseconds. */
const LEARNED = 500;
/** Questions to the store that are on their way at a time. */
const IN_ADVANCE = 32;

const OVERFLOW = 'NOTIFICATIONOVERFLOW';

interface Known {
  path: string;
  /** Whether messages, and whether flags as well, are to be told of. */
  of: Wanted;
  /** As the client was told last. */
  unseen: number;
  /** Ends looking at the disk. */
  stop: (() => void) | null;
  /** Listed, but not to be looked into (RFC 5465 3.1). */
  access: 'read' | 'none';
}

/** What has happened to a mailbox since the client was told. */
interface Pending {
  /** New messages; `many` when they are too many to be told apart. */
  added: Set<Uid> | 'many';
  expunged: boolean;
  flags: boolean;
}

export class Notify implements News {
  onPending: (() => void) | null = null;
  readonly #session: ImapSession;
  #groups: Groups;
  #unwatch: () => void = () => {};
  readonly #subscribed: Set<string> = new Set();
  #events: EventsByPath = () => new Set();
  readonly #known = new Map<MailboxId, Known>();
  #onDisk = 0;
  #pending = new Map<MailboxId, Pending>();
  /** Of mailboxes that have another name by now, which has not been heard yet. */
  readonly #putOff = new Map<MailboxId, Pending>();
  #apart = 0;
  /** Mailboxes whose access control lists have changed. */
  readonly #rights = new Map<MailboxId, string>();
  readonly #names = new NotifyNames(MAX_NAMES);
  readonly #own = new Map<MailboxId, Set<Uid>>();
  #owned = 0;
  #overflow: 'none' | 'to be told' = 'none';

  /** NOTIFY NONE. */
  constructor(session: ImapSession) {
    this.#session = session;
    this.#groups = NO_GROUPS;
  }

  /** NOTIFY SET. Throws NO [NOTIFICATIONOVERFLOW] where that is too much. */
  static async begin(session: ImapSession, groups: Groups): Promise<Notify> {
    const notify = new Notify(session);
    await notify.#begin(groups);
    return notify;
  }

  /** What is told of the selected mailbox (RFC 5465 6.1): nothing, where it is not mentioned. */
  get ofSelected(): Wanted {
    return wantedOf(this.#groups.selected?.events ?? new Set());
  }

  /** Whether messages may leave the view between commands. */
  get expunges(): 'now' | 'delayed' {
    return this.#groups.selected?.expunges ?? 'delayed';
  }

  /** What is told of a message that is new in the selected mailbox. */
  get fetch(): FetchWish | null {
    return this.#groups.selected?.fetch ?? null;
  }

  /** Whether the client wants to hear that annotations changed; of the account's: no path. */
  wantsMetadata(mailbox: MailboxId, path: string): boolean {
    if (path !== '') return this.#wants(mailbox, path).has('MailboxMetadataChange');
    return this.#groups.others.some(({ events }) => events.has('ServerMetadataChange'));
  }

  get hasPending(): boolean {
    const hasNames = this.#names.hasPending || this.#rights.size > 0;
    return this.#overflow !== 'none' || hasNames || this.#pending.size > 0;
  }

  /** This session is about to do this to a mailbox, and needs not be told (RFC 5465 5). */
  expect(what: 'created' | 'renamed' | 'deleted' | 'subscribed' | 'unsubscribed', path: string): void {
    this.#names.expect(what, path);
  }

  /** It came to nothing. */
  expectNothing(): void {
    this.#names.expectNothing();
  }

  /** This session has put these messages into a mailbox itself. */
  addedHere(mailbox: MailboxId, uids: readonly Uid[]): void {
    if (!this.#isWatched(mailbox)) return;
    const pending = this.#pending.get(mailbox);
    for (const uid of uids) {
      if (pending && pending.added !== 'many' && pending.added.delete(uid)) continue;
      if (++this.#owned > MAX_OWN) this.#forgetOwn();
      const own = this.#own.get(mailbox) ?? new Set();
      this.#own.set(mailbox, own.add(uid));
    }
    if (pending && isNothing(pending)) this.#pending.delete(mailbox);
  }

  /** The mailbox is left with changes that the client has not been told of. */
  leftBehind(mailbox: MailboxId): void {
    if (this.#isWatched(mailbox)) this.#touch(mailbox, { added: 'many', expunged: true, flags: true });
  }

  async tell(): Promise<void> {
    const { out, log } = this.#session;
    if (this.#overflow === 'to be told') {
      this.#overflow = 'none';
      out.untagged(`OK [${OVERFLOW}] Too much happens, nothing is told any more`);
      return;
    }
    try {
      for (const [id, path] of this.#rights) {
        this.#rights.delete(id);
        await this.#lookAtRights(id, path);
      }
      for (const told of this.#names.take()) {
        const { path, was } = told;
        if (was === null && (await this.#isAboutToGo(path))) {
          this.#names.putOff(told);
          continue;
        }
        out.untagged(await changedLine(this.#session, path, this.#subscribed.has(path), was));
        if (out.full) await out.flush();
      }
      const pending = this.#pending;
      this.#pending = new Map();
      this.#apart = 0;
      for (const [id, what] of pending) {
        await this.#tellStatus(id, what);
        if (out.full) await out.flush();
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      log.warn({ err: error }, 'imap notifications cannot be made');
      this.overflow();
      await this.tell();
    }
  }

  /** Gone already, under a name that we still know: how it went is told when we hear of it. */
  async #isAboutToGo(path: string): Promise<boolean> {
    if (await this.#session.store.mailbox(path, 'known')) return false;
    for (const known of this.#known.values()) if (known.path === path) return true;
    return false;
  }

  /** STATUS of all mailboxes whose messages are told of, but the selected one (RFC 5465 3.1). */
  async tellAll(): Promise<void> {
    const { store, out } = this.#session;
    const all = [...this.#known].filter(([id]) => this.#isWatched(id) && !this.#isSelected(id));
    const answers: Promise<Mailbox | undefined>[] = [];
    for (const [at, [id, known]] of all.entries()) {
      for (const [, { path }] of all.slice(answers.length, at + IN_ADVANCE)) {
        const answer = store.mailbox(path);
        // It may fail before anybody waits for it.
        answer.catch(() => undefined);
        answers.push(answer);
      }
      const mailbox = await answers[at];
      if (mailbox?.id !== id || !mailbox.selectable || !(await this.#mayLook(id))) continue;
      const items = [`UIDVALIDITY ${mailbox.uidValidity}`, `UIDNEXT ${mailbox.uidNext}`];
      items.push(`MESSAGES ${mailbox.total}`);
      if (known.of === 'everything')
        items.push(`UNSEEN ${mailbox.unseen}`, `HIGHESTMODSEQ ${mailbox.highestModSeq}`);
      known.unseen = mailbox.unseen;
      this.#say(mailbox, items);
      if (out.full) await out.flush();
    }
  }

  /** As if NOTIFY NONE had come (RFC 5465 5.8). */
  overflow(): void {
    this.stop();
    this.#overflow = 'to be told';
    this.#session.notifyChanged();
    this.onPending?.();
  }

  stop(): void {
    this.#unwatch();
    this.#unwatch = () => {};
    for (const { stop } of this.#known.values()) stop?.();
    this.#known.clear();
    this.#pending.clear();
    this.#putOff.clear();
    this.#rights.clear();
    this.#names.clear();
    this.#forgetOwn();
    this.#groups = NO_GROUPS;
    this.#events = () => new Set();
  }

  async #begin(groups: Groups): Promise<void> {
    const { store } = this.#session;
    this.#groups = groups;
    if (groups.others.length === 0) return;
    // What happens while we ask must not be missed.
    let early: Change[] | null = [];
    this.#unwatch = store.watch((change) => {
      if (early) early.push(change);
      else this.#hear(change);
    });
    try {
      for (const path of await store.subscriptions()) this.#subscribed.add(path);
      this.#events = eventsByPath(groups, this.#subscribed);
      const mailboxes = await store.mailboxes();
      if (mailboxes.length > MAX_MAILBOXES) throw new ImapNo('These are too many mailboxes', OVERFLOW);
      for (const [at, { id, path, unseen }] of mailboxes.entries()) {
        this.#learn(id, path, unseen);
        await this.#checkAccess(id, path);
        // All of them may take a tenth of a second.
        if (at % LEARNED === LEARNED - 1) await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      this.stop();
      throw error;
    }
    const heard = early;
    early = null;
    for (const change of heard) this.#hear(change);
  }

  #hear(change: Change): void {
    switch (change.type) {
      case 'added':
        if (this.#isWatched(change.mailbox)) this.#hearAdded(change.mailbox, change.messages);
        break;
      case 'expunged':
        if (this.#isWatched(change.mailbox))
          this.#touch(change.mailbox, { added: new Set(), expunged: true, flags: false });
        break;
      case 'flags':
        if (this.#isWatched(change.mailbox) && this.#known.get(change.mailbox)?.of === 'everything')
          this.#touch(change.mailbox, { added: new Set(), expunged: false, flags: true });
        break;
      case 'mailbox':
        this.#hearName(change);
        break;
      case 'acl':
        this.#rights.set(change.mailbox, change.path);
        break;
    }
    if (this.#names.isTooMuch || this.#known.size > MAX_MAILBOXES) this.overflow();
    else if (this.hasPending) this.onPending?.();
  }

  #hearAdded(mailbox: MailboxId, messages: readonly { readonly uid: Uid }[]): void {
    const own = this.#own.get(mailbox);
    const uids = new Set<Uid>();
    for (const { uid } of messages) {
      if (!own?.delete(uid)) uids.add(uid);
      else this.#owned--;
    }
    if (own?.size === 0) this.#own.delete(mailbox);
    if (uids.size > 0) this.#touch(mailbox, { added: uids, expunged: false, flags: false });
  }

  #touch(mailbox: MailboxId, what: Pending): void {
    const pending = this.#pending.get(mailbox) ?? { added: new Set(), expunged: false, flags: false };
    pending.expunged ||= what.expunged;
    pending.flags ||= what.flags;
    if (what.added === 'many') pending.added = 'many';
    else if (pending.added !== 'many') {
      for (const uid of what.added) pending.added.add(uid);
      this.#apart += what.added.size;
      if (pending.added.size > MAX_ADDED || this.#apart > MAX_APART) pending.added = 'many';
    }
    this.#pending.set(mailbox, pending);
  }

  #hearName({ what, mailbox, path }: Extract<Change, { readonly type: 'mailbox' }>): void {
    const isSubscription = what === 'subscribed' || what === 'unsubscribed';
    // What others subscribe to is their business.
    if (isSubscription && !this.#session.store.isOwn(mailbox)) return;
    const was = this.#known.get(mailbox)?.path ?? null;
    const wantedBefore = this.#wants(mailbox, was ?? path);
    if (what === 'subscribed') this.#subscribed.add(path);
    if (what === 'unsubscribed') this.#subscribed.delete(path);
    if (what === 'deleted') this.#forget(mailbox);
    else if (isSubscription) this.#learnAgain(path);
    else this.#learn(mailbox, path, 0);
    const late = this.#putOff.get(mailbox);
    this.#putOff.delete(mailbox);
    if (late && this.#isWatched(mailbox)) this.#touch(mailbox, late);
    const wantedNow = this.#wants(mailbox, path);
    const wants = (event: EventName): boolean => wantedBefore.has(event) || wantedNow.has(event);
    const isOwn = this.#names.isExpected(what, path);
    switch (what) {
      case 'subscribed':
      case 'unsubscribed':
        if (!isOwn && wants('SubscriptionChange')) this.#names.changed(path);
        break;
      case 'renamed':
        if (was !== null) this.#names.renamed(was, path, !isOwn && wants('MailboxName') ? 'tell' : 'known');
        break;
      case 'created':
      case 'deleted': {
        this.#names.endRename();
        if (isOwn) break;
        if (wants('MailboxName')) this.#names.changed(path, what === 'created' ? 'new' : 'changed');
        // Its direct parent has, or has no longer, a child (RFC 5465 5.4).
        const parent = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
        if (parent !== '' && this.#wants(mailbox, parent).has('MailboxName')) this.#names.changed(parent);
        // Another UIDVALIDITY than the mailbox that had this name before (RFC 5465 5.1).
        if (what === 'created' && this.#isWatched(mailbox) && wantedNow.has('FlagChange'))
          this.#touch(mailbox, { added: 'many', expunged: true, flags: true });
        break;
      }
    }
  }

  /** Its filter may mean it now, or no longer. */
  #learnAgain(path: string): void {
    for (const [id, known] of this.#known) if (known.path === path) this.#learn(id, path, known.unseen);
  }

  /** Whose list says that the client may look in is told of; of the others it hears that they are there (RFC 5465 3.1). */
  async #checkAccess(id: MailboxId, path: string): Promise<void> {
    const known = this.#known.get(id);
    if (!known || this.#wants(id, path).size === 0) return;
    const rights = await this.#session.store.rightsIfAny(id);
    const access = rights.has('r') ? 'read' : 'none';
    if (access !== known.access) this.#names.changed(path);
    known.access = access;
  }

  /** To be listed or not is to be or not to be (RFC 5465 5.4); what is not to be read is told of no further (5.9). */
  async #lookAtRights(id: MailboxId, path: string): Promise<void> {
    const rights = await this.#session.store.rightsNow(id);
    const isListed = rights?.has('l') === true;
    const wasListed = this.#known.has(id);
    if (isListed && !wasListed) this.#learn(id, path, 0);
    if (!isListed) this.#forget(id);
    if (isListed !== wasListed && this.#wants(id, path).has('MailboxName')) this.#names.changed(path);
    if (isListed) await this.#checkAccess(id, path);
  }

  #wants(id: MailboxId, path: string): ReadonlySet<EventName> {
    return this.#events(path, this.#session.store.isOwn(id) ? 'own' : 'shared');
  }

  #learn(id: MailboxId, path: string, unseen: number): void {
    const known = this.#known.get(id);
    const of = wantedOf(this.#wants(id, path));
    const entry = known ?? { path, of, unseen, stop: null, access: 'read' };
    entry.path = path;
    entry.of = of;
    this.#known.set(id, entry);
    if (of === 'nothing') {
      this.#pending.delete(id);
      this.#lookAway(entry);
    } else if (!entry.stop && this.#onDisk < MAX_ON_DISK) {
      this.#onDisk++;
      entry.stop = this.#session.store.watch(() => {}, id);
    }
  }

  #forget(id: MailboxId): void {
    const known = this.#known.get(id);
    if (known) this.#lookAway(known);
    this.#known.delete(id);
    this.#pending.delete(id);
    this.#putOff.delete(id);
    this.#own.delete(id);
  }

  #lookAway(known: Known): void {
    if (!known.stop) return;
    known.stop();
    known.stop = null;
    this.#onDisk--;
  }

  async #tellStatus(id: MailboxId, { added, expunged, flags }: Pending): Promise<void> {
    const { store, enabled } = this.#session;
    const known = this.#known.get(id);
    // What happens in the selected mailbox is told as SELECTED has it, and no other way (RFC 5465 3.1).
    if (!known || !this.#isWatched(id) || this.#isSelected(id)) return;
    const mailbox = await store.mailbox(known.path, 'known');
    if (mailbox?.id !== id) {
      // Renamed, and we have not heard of it yet: told under its new name, then.
      this.#putOff.set(id, { added, expunged, flags });
      return;
    }
    if (!mailbox.selectable || !(await this.#mayLook(id))) return;
    const items = [`UIDVALIDITY ${mailbox.uidValidity}`];
    const isOfMessages = expunged || added === 'many' || added.size > 0;
    if (isOfMessages) items.push(`UIDNEXT ${mailbox.uidNext}`, `MESSAGES ${mailbox.total}`);
    const isSeenChanged = known.of === 'everything' && mailbox.unseen !== known.unseen;
    if (isSeenChanged) items.push(`UNSEEN ${mailbox.unseen}`);
    // Which flags there are now, STATUS cannot say: who has no use for MODSEQ hears of \Seen alone (RFC 5465 5.1).
    const hasModSeq = enabled.has('CONDSTORE') && (isOfMessages || flags);
    if (hasModSeq) items.push(`HIGHESTMODSEQ ${mailbox.highestModSeq}`);
    known.unseen = mailbox.unseen;
    if (isOfMessages || isSeenChanged || hasModSeq) this.#say(mailbox, items);
  }

  /** Now: that the right has been withdrawn may be about to be heard. */
  async #mayLook(id: MailboxId): Promise<boolean> {
    return (await this.#session.store.rightsIfAny(id)).has('r');
  }

  #say({ path }: Mailbox, items: readonly string[]): void {
    const { out, names } = this.#session;
    out.untagged(`STATUS ${mailboxName(path, names)} (${items.join(' ')})`);
  }

  #isWatched(id: MailboxId): boolean {
    const known = this.#known.get(id);
    return known?.access === 'read' && known.of !== 'nothing';
  }

  #isSelected(id: MailboxId): boolean {
    return this.#session.hasSelected && this.#session.selected.id === id;
  }

  #forgetOwn(): void {
    this.#own.clear();
    this.#owned = 0;
  }
}

function wantedOf(events: ReadonlySet<EventName>): Wanted {
  if (!events.has('MessageNew')) return 'nothing';
  return events.has('FlagChange') ? 'everything' : 'messages';
}

function isNothing({ added, expunged, flags }: Pending): boolean {
  return added !== 'many' && added.size === 0 && !expunged && !flags;
}
