import { ALL_RIGHTS, type Rights } from '../store/acl.ts';
import type { Change, Flag, Mailbox, MailboxId, Message, ModSeq, Uid, UidRange } from '../store/store.ts';
import { ImapBad } from './errors.ts';
import { type NumberRange, normalise, type SequenceSet } from './sequence-set.ts';
import type { UpdateContexts } from './update-contexts.ts';

/**
 * One session's view of its mailbox: which UID each sequence number means. It changes only when the client is told, in
 * the same step (RFC 9051 7.4.1, 7.5.1); what the store announces in between waits here. UIDs of one view are ascending.
 */

/** More flag changes than this between two commands are looked up again instead of kept. */
const MAX_PENDING_FLAGS = 4096;

/** What `SEARCH` found and saved may be no more than the view itself (RFC 5182). */
const NONE: Uint32Array = new Uint32Array(0);

interface PendingFlags {
  readonly message: Message;
  /** Another change was waiting already when this one came. */
  readonly replaces: boolean;
}

export interface SelectedOptions {
  readonly mailbox: Mailbox;
  readonly uids: Uint32Array;
  readonly access: 'read-write' | 'read-only';
  /** The first UID that is \Recent here. */
  readonly recentFrom: Uid;
  /** All of them when nothing is said. */
  readonly rights?: Rights;
}

/**
 * What of the changes that others make the client wants to hear of here: with NOTIFY it may be less than all
 * (RFC 5465 3.1). What it does itself it is always told.
 */
export type Wanted = 'everything' | 'messages' | 'nothing';

export class Selected {
  wanted: Wanted = 'everything';
  /** Whether somebody will take what is fresh (NOTIFY with items to fetch). */
  keepsFresh = false;
  #fresh: Uid[] = [];
  readonly mailbox: Mailbox;
  readonly access: 'read-write' | 'read-only';
  /** What the user may do here. */
  rights: Rights;
  /** It may be something else by now. */
  rightsChanged = false;
  /** What SEARCH RETURN (SAVE) left: `$`. */
  saved: Uint32Array = NONE;
  /** Searches whose results the client wants kept up to date (RFC 5267). */
  contexts: UpdateContexts | null = null;
  /** Called when something is pending: wakes IDLE. */
  onPending: (() => void) | null = null;

  #uids: Uint32Array;
  #count: number;
  readonly #recent: NumberRange[] = [];
  /** Lower case to as first written. */
  readonly #keywords: Map<string, Flag>;
  readonly #keywordsChecked = new WeakSet<readonly Flag[]>();

  #added: Uid[] = [];
  readonly #expunged = new Set<Uid>();
  /** Those that this session has removed itself. */
  readonly #expungedHere = new Set<Uid>();
  /** MODSEQ of the first expunge that the client does not know of. */
  #expungedAt: ModSeq | null = null;
  /** MODSEQ of the first message that the client does not know of. */
  #addedAt: ModSeq | null = null;
  /** Messages that this session has added itself, until the client is told. */
  readonly #addedHere = new Set<Uid>();
  readonly #flags = new Map<Uid, PendingFlags>();
  #flagsSince: ModSeq | null = null;
  #deleted = false;
  /** Our own changes, whose echo has not come yet. */
  readonly #own = new Map<Uid, { readonly message: Message; readonly told: boolean }>();
  #heard: ModSeq;
  /** What was announced while we change flags ourselves: as long as the store takes for that. */
  #echoes: Change[] | null = null;

  constructor(options: SelectedOptions) {
    this.mailbox = options.mailbox;
    this.access = options.access;
    this.rights = options.rights ?? ALL_RIGHTS;
    this.#uids = options.uids;
    this.#count = options.uids.length;
    this.#heard = options.mailbox.highestModSeq;
    this.#keywords = new Map(options.mailbox.keywords.map((keyword) => [keyword.toLowerCase(), keyword]));
    this.markRecent(options.recentFrom);
  }

  get id(): MailboxId {
    return this.mailbox.id;
  }

  get exists(): number {
    return this.#count;
  }

  get lastUid(): Uid {
    return (this.#count === 0 ? 0 : this.#uids[this.#count - 1]) as Uid;
  }

  /** Keywords the client has been told of, or is about to be. */
  get keywords(): Iterable<Flag> {
    return this.#keywords.values();
  }

  /** The UID of sequence number `n`, 1 to `exists`. */
  uidAt(n: number): Uid {
    return this.#uids[n - 1] as Uid;
  }

  /**
   * The sequence number of a UID; 0 when it is not in the view.
   * @param guess looked at first: whoever goes through the view knows what comes next
   */
  sequenceOf(uid: number, guess = 0): number {
    if (guess > 0 && guess <= this.#count && this.#uids[guess - 1] === uid) return guess;
    const index = this.#lowerBound(uid);
    return index < this.#count && this.#uids[index] === uid ? index + 1 : 0;
  }

  /** All UIDs of the view from `range`. */
  *uidsIn(ranges: readonly UidRange[]): Generator<Uid> {
    for (const range of ranges) {
      const last = range.last === '*' ? this.lastUid : range.last;
      for (let i = this.#lowerBound(range.first); i < this.#count; i++) {
        const uid = this.#uids[i] as Uid;
        if (uid > last) break;
        yield uid;
      }
    }
  }

  /**
   * What a set of the client means, as ascending ranges of UIDs within the view.
   * Throws ImapBad for a sequence number beyond the last one (RFC 9051 9, seq-number).
   */
  resolve(set: SequenceSet, by: 'uid' | 'sequence'): UidRange[] {
    if (set.ranges === '$') return this.#savedRanges();
    if (by === 'uid') return this.#count === 0 ? [] : this.#clip(normalise(set.ranges, this.lastUid));
    if (set.ranges.length === 0) return [];
    const ranges = normalise(set.ranges, this.#count);
    const [first] = ranges;
    const last = ranges.at(-1);
    if (!first || !last || first.first < 1 || last.last > this.#count)
      throw new ImapBad(`There are only ${this.#count} messages`, set.at);
    return ranges.map((range) => ({ first: this.uidAt(range.first), last: this.uidAt(range.last) }));
  }

  isRecent(uid: number): boolean {
    if (this.#recent.length === 0) return false;
    return this.#recent.some((range) => uid >= range.first && uid <= range.last);
  }

  get recentCount(): number {
    let count = 0;
    for (const range of this.#recent)
      count += this.#lowerBound(range.last + 1) - this.#lowerBound(range.first);
    return count;
  }

  /** The ranges of UIDs that are \Recent in this session. */
  get recent(): readonly NumberRange[] {
    return this.#recent;
  }

  /** All messages of the view from `uid` on are \Recent here. */
  markRecent(uid: number): void {
    const last = this.lastUid;
    const previous = this.#recent.at(-1);
    const first = Math.max(uid, (previous?.last ?? 0) + 1);
    if (first > last) return;
    if (previous && previous.last + 1 === first) this.#recent.pop();
    this.#recent.push({
      first: previous && previous.last + 1 === first ? previous.first : first,
      last,
    });
  }

  /** Whether there are keywords among `flags` that FLAGS has not named yet; from now on it has. */
  hasNewKeywords(flags: readonly Flag[]): boolean {
    if (this.#keywordsChecked.has(flags)) return false;
    this.#keywordsChecked.add(flags);
    const before = this.#keywords.size;
    for (const flag of flags) {
      const key = flag.toLowerCase();
      if (!flag.startsWith('\\') && !this.#keywords.has(key)) this.#keywords.set(key, flag);
    }
    return this.#keywords.size > before;
  }

  /**
   * We are about to change flags: the echo waits until `changedHere` says what is ours, or it would be kept, and told,
   * as news. Ends with `changedHere`, or `changesNothing` when nothing came of it.
   */
  changing(): void {
    this.#echoes ??= [];
  }

  changesNothing(): void {
    const echoes = this.#echoes ?? [];
    this.#echoes = null;
    for (const change of echoes) this.hear(change);
  }

  /** The store announces; the client hears of it later. */
  hear(change: Change): void {
    if (change.mailbox !== this.id) return;
    if (this.#echoes) {
      this.#echoes.push(change);
      return;
    }
    switch (change.type) {
      case 'added':
        for (const message of change.messages) this.#hearAdded(message);
        break;
      case 'flags':
        for (const message of change.messages) this.#hearFlags(message);
        break;
      case 'expunged':
        for (const uid of change.uids) this.#hearExpunged(uid, change.modSeq);
        this.#hearModSeq(change.modSeq);
        break;
      case 'mailbox':
        if (change.what === 'deleted') this.#deleted = true;
        break;
      case 'acl':
        this.rightsChanged = true;
        break;
    }
    if (this.hasPending) this.onPending?.();
  }

  /** Messages that may have come without us having heard: those we added ourselves. */
  catchUp(messages: readonly Message[]): void {
    for (const message of messages) if (!this.#added.includes(message.uid)) this.#hearAdded(message);
    this.#added.sort((a, b) => a - b);
  }

  /** We added these ourselves, and the client is told whatever it wants to hear of others. */
  addedHere(uids: readonly Uid[]): void {
    for (const uid of uids) if (uid > this.lastUid) this.#addedHere.add(uid);
  }

  /** We removed these ourselves; the client is told like of any other. */
  expungedHere(uids: readonly Uid[]): void {
    for (const uid of uids)
      if (this.sequenceOf(uid) > 0) {
        this.#expunged.add(uid);
        this.#expungedHere.add(uid);
      }
  }

  /**
   * We changed flags ourselves. `told`: the client gets the result in this command; else (.SILENT) it knows it.
   * @param unchanged what was so already
   */
  changedHere(messages: readonly Message[], knows: 'told' | 'silent', unchanged: readonly Uid[] = []): void {
    const same = new Set(unchanged);
    for (const message of messages) {
      const { uid, modSeq } = message;
      // Its MODSEQ is somebody else's, of whose change .SILENT says nothing.
      if (same.has(uid)) {
        if (knows === 'told') this.toldFlags(message);
        continue;
      }
      this.contexts?.touch(uid);
      const waiting = this.#flags.get(uid);
      if (waiting && waiting.message.modSeq <= modSeq) {
        // Somebody else's change, or what the echo, if it came first, has replaced: .SILENT must not hide it.
        const foreign = this.#echoes !== null || waiting.replaces || waiting.message.modSeq < modSeq;
        if (knows === 'told' || !foreign) this.#flags.delete(uid);
        else this.#flags.set(uid, { message, replaces: true });
      }
      if (modSeq > this.#heard) this.#own.set(uid, { message, told: knows === 'told' });
    }
    this.changesNothing();
  }

  /** The client has just been given these flags by FETCH. */
  toldFlags(message: Message): void {
    if (this.#flags.size === 0) return;
    const waiting = this.#flags.get(message.uid);
    if (waiting && waiting.message.modSeq <= message.modSeq) this.#flags.delete(message.uid);
  }

  /** Whether something has happened that the client wants to be told, or has done itself. */
  get hasPending(): boolean {
    return this.hasPendingExpunges || this.hasPendingOthers;
  }

  /** The same without messages that have gone. */
  get hasPendingOthers(): boolean {
    if (this.rightsChanged) return true;
    if (this.wanted === 'nothing') return this.#addedHere.size > 0;
    if (this.#added.length > 0) return true;
    return this.wanted === 'everything' && (this.#flags.size > 0 || this.#flagsSince !== null);
  }

  /** Whether anything has happened that the client has not been told, wanted or not. */
  get isBehind(): boolean {
    const hasGone = this.#deleted || this.#expunged.size > 0;
    return hasGone || this.#added.length > 0 || this.#flags.size > 0 || this.#flagsSince !== null;
  }

  /** Whether the message is gone, which the client is still to be told. */
  isGoing(uid: Uid): boolean {
    return this.#deleted || this.#expunged.has(uid);
  }

  /** All of those that the client is to be told of. */
  going(): readonly Uid[] {
    if (this.wanted === 'nothing') return [...this.#expungedHere];
    return this.#deleted ? (Array.from(this.#uids.subarray(0, this.#count)) as Uid[]) : [...this.#expunged];
  }

  get hasPendingExpunges(): boolean {
    if (this.wanted === 'nothing') return this.#expungedHere.size > 0;
    return this.#expunged.size > 0 || this.#deleted;
  }

  /** The highest MODSEQ of which the client may say that it knows everything up to it (RFC 7162 3.2). */
  get settledModSeq(): ModSeq {
    let unknown: number = this.#heard + 1;
    if (this.#expungedAt !== null) unknown = Math.min(unknown, this.#expungedAt);
    // What is kept back is not known either (RFC 5465 3.1).
    if (this.wanted === 'nothing' && this.#addedAt !== null) unknown = Math.min(unknown, this.#addedAt);
    if (this.wanted !== 'everything') {
      for (const { message } of this.#flags.values()) unknown = Math.min(unknown, message.modSeq);
      if (this.#flagsSince !== null) unknown = Math.min(unknown, this.#flagsSince + 1);
    }
    return (unknown - 1) as ModSeq;
  }

  /** Takes messages out of the view: their sequence numbers in the order and form of EXPUNGE responses, and UIDs. */
  takeExpunged(): { readonly sequence: number[]; readonly uids: Uid[] } {
    const sequence: number[] = [];
    const uids: Uid[] = [];
    if (!this.hasPendingExpunges) return { sequence, uids };
    const isOwnOnly = this.wanted === 'nothing';
    const all = this.#deleted && !isOwnOnly;
    const leaving = isOwnOnly ? this.#expungedHere : this.#expunged;
    let kept = 0;
    for (let i = 0; i < this.#count; i++) {
      const uid = this.#uids[i] as Uid;
      if (all || leaving.has(uid)) {
        sequence.push(kept + 1);
        uids.push(uid);
        this.#flags.delete(uid);
      } else this.#uids[kept++] = uid;
    }
    this.#count = kept;
    this.#expungedHere.clear();
    if (isOwnOnly) {
      for (const uid of uids) this.#expunged.delete(uid);
      if (this.#expunged.size === 0 && !this.#deleted) this.#expungedAt = null;
      return { sequence, uids };
    }
    if (this.#deleted) this.#added = [];
    this.#deleted = false;
    this.#expunged.clear();
    this.#expungedAt = null;
    return { sequence, uids };
  }

  /** Takes new messages into the view; how many. */
  takeAdded(): number {
    let upTo: number = this.wanted === 'nothing' ? 0 : Number.POSITIVE_INFINITY;
    // A message of our own has a number only when those before it have theirs.
    for (const uid of this.#addedHere) upTo = Math.max(upTo, uid);
    // What came and went again was never there.
    const isNew = (uid: Uid): boolean => uid > this.lastUid && uid <= upTo && !this.#expunged.has(uid);
    const added = this.#added.filter(isNew);
    this.#added = this.#added.filter((uid) => uid > upTo);
    if (this.#added.length === 0) this.#addedAt = null;
    if (this.keepsFresh) for (const uid of added) if (!this.#addedHere.has(uid)) this.#fresh.push(uid);
    this.#addedHere.clear();
    this.#grow(this.#count + added.length);
    for (const uid of added) this.#uids[this.#count++] = uid;
    return added.length;
  }

  /** Takes what others have added to the view since this was last asked for; kept with `keepsFresh` alone. */
  takeFresh(): readonly Uid[] {
    const fresh = this.#fresh;
    if (fresh.length > 0) this.#fresh = [];
    return fresh;
  }

  /** Takes the flag changes that the client does not know of. */
  takeFlags(): { readonly messages: readonly Message[]; readonly since: ModSeq | null } {
    if (this.wanted !== 'everything') return { messages: [], since: null };
    const messages = [...this.#flags.values()].map((entry) => entry.message);
    const since = this.#flagsSince;
    this.#flags.clear();
    this.#flagsSince = null;
    return { messages: messages.sort((a, b) => a.uid - b.uid), since };
  }

  #hearAdded(message: Message): void {
    const { uid } = message;
    if (uid > this.lastUid && uid > (this.#added.at(-1) ?? 0)) {
      this.#added.push(uid);
      this.#addedAt ??= message.modSeq;
    }
    this.#hearModSeq(message.modSeq);
  }

  #hearExpunged(uid: Uid, modSeq: ModSeq): void {
    if (this.sequenceOf(uid) > 0) {
      this.#expunged.add(uid);
      this.#expungedAt ??= modSeq;
    } else if (this.#added.length > 0) this.#added = this.#added.filter((added) => added !== uid);
  }

  #hearFlags(message: Message): void {
    const { uid, modSeq } = message;
    this.#hearModSeq(modSeq);
    if (this.sequenceOf(uid) === 0) return;
    const own = this.#own.get(uid);
    if (own && modSeq <= own.message.modSeq) {
      if (modSeq === own.message.modSeq) this.#own.delete(uid);
      // A change of somebody else, made just before ours: ours is the state now.
      else if (!own.told) this.#flags.set(uid, { message: own.message, replaces: true });
      return;
    }
    this.contexts?.touch(uid);
    if (this.#flagsSince !== null) return;
    this.#flags.set(uid, { message, replaces: this.#flags.has(uid) });
    if (this.#flags.size <= MAX_PENDING_FLAGS) return;
    let lowest = modSeq as number;
    for (const entry of this.#flags.values()) lowest = Math.min(lowest, entry.message.modSeq);
    this.#flagsSince = (lowest - 1) as ModSeq;
    this.#flags.clear();
  }

  /** Announcements come in the order of MODSEQ: nothing older than this one comes any more. */
  #hearModSeq(modSeq: ModSeq): void {
    if (modSeq <= this.#heard) return;
    this.#heard = modSeq;
    for (const [uid, own] of this.#own) if (own.message.modSeq < modSeq) this.#own.delete(uid);
  }

  /** The index of the first UID that is not below `uid`. */
  #lowerBound(uid: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#uids[middle] ?? 0) < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #clip(ranges: readonly NumberRange[]): UidRange[] {
    const last = this.lastUid;
    return ranges
      .filter((range) => range.first <= last)
      .map((range) => ({ first: range.first, last: Math.min(range.last, last) }));
  }

  #savedRanges(): UidRange[] {
    const ranges: { first: number; last: number }[] = [];
    for (const uid of this.saved) {
      const sequence = this.sequenceOf(uid);
      if (sequence === 0) continue;
      const previous = ranges.at(-1);
      // Neighbours in the view are one range, whatever UIDs lie between them.
      if (previous && sequence > 1 && this.uidAt(sequence - 1) === previous.last) previous.last = uid;
      else ranges.push({ first: uid, last: uid });
    }
    return ranges;
  }

  #grow(size: number): void {
    if (size <= this.#uids.length) return;
    const larger = new Uint32Array(Math.max(size + 16, Math.ceil(size * 1.25)));
    larger.set(this.#uids.subarray(0, this.#count));
    this.#uids = larger;
  }
}
