import type { AccountId } from '../../src/directory/directory.ts';
import { rawMessage } from '../../src/mail/raw-message.ts';
import { fieldValues, selectFields } from '../../src/message/header.ts';
import type { SortKey } from '../../src/message/sort.ts';
import { summarise } from '../../src/message/summary.ts';
import { bodyText, fieldTexts, includesText, messageText } from '../../src/message/text.ts';
import type { ThreadAlgorithm } from '../../src/message/threads.ts';
import type { Acl, AclChange } from '../../src/store/acl.ts';
import {
  type AnnotationChange,
  type Annotations,
  annotated,
  changedEntries,
} from '../../src/store/annotations.ts';
import {
  ACCOUNT,
  type AccountStore,
  type Appended,
  type Change,
  type Columns,
  type Delivery,
  type Flag,
  type KeptUidls,
  type Mailbox,
  type MailboxId,
  type MailStore,
  type Message,
  type ModSeq,
  type NewMessage,
  type Opened,
  type Quota,
  type Replaced,
  type SearchCriteria,
  StoreError,
  type ThreadId,
  type Uid,
  type UidRange,
  type UidThreads,
} from '../../src/store/store.ts';

import { type Arrangeable, naiveSort, naiveThreads } from '../store/arranged.ts';
import { MemorySharing } from '../store/memory-sharing.ts';

/**
 * Mail in memory, as simple as the store's contract allows, for sessions that are tested without a disk. When changes
 * are announced, before or after the operation resolves, can be chosen: sessions must not care.
 */

interface Also {
  readonly messages?: number;
  readonly replaces?: Replaced;
}

interface Stored {
  readonly message: Message;
  readonly bytes: Buffer;
}

interface Box {
  id: MailboxId;
  path: string;
  selectable: boolean;
  uidValidity: number;
  uidNext: number;
  modSeq: number;
  firstRecent: number;
  specialUse: Mailbox['specialUse'];
  messages: Map<number, Stored>;
  gone: { readonly uid: number; readonly modSeq: number }[];
}

export interface MemoryOptions {
  readonly echo?: 'before' | 'after';
  readonly quotaBytes?: number;
  readonly quotaMessages?: number;
  readonly quotaMailboxes?: number;
  /** Octets that a mailbox may have, by path. */
  readonly mailboxLimits?: Readonly<Record<string, number>>;
  readonly now?: () => number;
}

export class MemoryAccount implements AccountStore {
  readonly account: AccountId;
  readonly #options: MemoryOptions;
  readonly #boxes = new Map<MailboxId, Box>();
  readonly #subscriptions = new Set<string>();
  readonly #annotations = new Map<MailboxId, Annotations>();
  readonly #listeners = new Set<(change: Change) => void>();
  readonly sharing: MemorySharing = new MemorySharing();
  #ids = 0;
  refreshes = 0;

  constructor(account: AccountId, options: MemoryOptions = {}) {
    this.account = account;
    this.#options = options;
    this.#make('INBOX', null);
  }

  async mailboxes(): Promise<readonly Mailbox[]> {
    return [...this.#boxes.values()].map((box) => this.#describe(box));
  }

  async mailbox(path: string): Promise<Mailbox | undefined> {
    const box = this.#find(path);
    return box && this.#describe(box);
  }

  async create(path: string, specialUse?: Mailbox['specialUse']): Promise<Mailbox> {
    if (path === '' || path.split('/').includes('')) throw new StoreError('invalid-name', path);
    if (this.#find(path)?.selectable) throw new StoreError('exists', path);
    const parts = path.split('/');
    for (let i = 1; i < parts.length; i++) {
      const parent = parts.slice(0, i).join('/');
      if (!this.#find(parent)) this.#make(parent, null);
    }
    const existing = this.#find(path);
    if (existing) {
      existing.selectable = true;
      this.#tell({ type: 'mailbox', mailbox: existing.id, path, what: 'created' });
    }
    return this.#describe(existing ?? this.#make(path, specialUse ?? null));
  }

  async rename(id: MailboxId, path: string): Promise<void> {
    const box = this.#boxes.get(id);
    if (!box) throw new StoreError('not-found', 'no such mailbox');
    if (this.#find(path)) throw new StoreError('exists', path);
    if (box.path === 'INBOX') {
      const target = await this.create(path);
      this.#annotations.set(target.id, await this.annotations(id));
      await this.move(id, [...box.messages.keys()] as Uid[], target.id);
      return;
    }
    const below = `${box.path}/`;
    const length = box.path.length;
    for (const each of this.#boxes.values())
      if (each === box || each.path.startsWith(below)) {
        each.path = path + each.path.slice(length);
        this.#tell({ type: 'mailbox', mailbox: each.id, path: each.path, what: 'renamed' });
      }
  }

  async delete(id: MailboxId): Promise<void> {
    const box = this.#box(id);
    if ([...this.#boxes.values()].some((other) => other.path.startsWith(`${box.path}/`))) {
      box.selectable = false;
      box.messages.clear();
    } else this.#boxes.delete(id);
    this.sharing.deleted(id);
    this.#tell({ type: 'mailbox', mailbox: id, path: box.path, what: 'deleted' });
  }

  async subscribe(path: string, subscribed: 'yes' | 'no'): Promise<void> {
    if (this.#subscriptions.has(path) === (subscribed === 'yes')) return;
    if (subscribed === 'yes') this.#subscriptions.add(path);
    else this.#subscriptions.delete(path);
    const mailbox = this.#find(path)?.id ?? ACCOUNT;
    const what = subscribed === 'yes' ? 'subscribed' : 'unsubscribed';
    this.#tell({ type: 'mailbox', mailbox, path, what });
  }

  async subscriptions(): Promise<readonly string[]> {
    return [...this.#subscriptions];
  }

  async annotations(id: MailboxId): Promise<Annotations> {
    if (id !== ACCOUNT) this.#box(id);
    return this.#annotations.get(id) ?? new Map();
  }

  async annotate(id: MailboxId, change: AnnotationChange): Promise<void> {
    const { specialUse: use } = change;
    const box = id === ACCOUNT ? null : this.#box(id);
    if (use !== undefined && (!box || box.path === 'INBOX')) throw new StoreError('invalid-name', id);
    this.#annotations.set(id, annotated(await this.annotations(id), change.entries));
    if (box && use !== undefined) box.specialUse = use;
    const entries = changedEntries(change);
    this.#tell({ type: 'annotated', mailbox: id, path: box?.path ?? '', entries, by: change.by });
    for (const other of this.#boxes.values())
      if (use && other !== box && other.specialUse === use) {
        other.specialUse = null;
        const { id: mailbox, path } = other;
        this.#tell({ type: 'annotated', mailbox, path, entries: ['/private/specialuse'], by: '' });
      }
  }

  async acl(id: MailboxId): Promise<Acl> {
    this.#box(id);
    return this.sharing.acl(id);
  }

  async acls(): Promise<ReadonlyMap<MailboxId, Acl>> {
    return new Map(this.sharing.acls);
  }

  async setAcl(id: MailboxId, identifier: string, change: AclChange): Promise<void> {
    const { path } = this.#box(id);
    if (this.sharing.setAcl(id, identifier, change)) this.#tell({ type: 'acl', mailbox: id, path });
  }

  async seenBy(id: MailboxId, reader: AccountId): Promise<Uint32Array> {
    const seen = this.sharing.seenBy(id, reader);
    return (await this.uids(id)).filter((uid) => seen.has(uid));
  }

  async setSeenBy(
    ...[id, reader, uids, seen, unchangedSince = Number.POSITIVE_INFINITY as ModSeq]: Parameters<
      AccountStore['setSeenBy']
    >
  ): ReturnType<AccountStore['setSeenBy']> {
    const box = this.#box(id);
    const found = uids.flatMap((uid) => box.messages.get(uid) ?? []);
    const free = found
      .filter(({ message }) => message.modSeq <= unchangedSince)
      .map(({ message }) => message.uid);
    const changed = this.sharing
      .setSeenBy(id, reader, free, seen)
      .flatMap((uid) => box.messages.get(uid) ?? []);
    const modSeq = (changed.length > 0 ? ++box.modSeq : box.modSeq) as ModSeq;
    const raised = changed.map((stored) => ({ ...stored, message: { ...stored.message, modSeq } }));
    for (const stored of raised) box.messages.set(stored.message.uid, stored);
    if (raised.length > 0)
      this.#tell({ type: 'flags', mailbox: id, messages: raised.map(({ message }) => message) });
    return {
      unchanged: free.filter((uid) => !changed.some(({ message }) => message.uid === uid)),
      messages: free.flatMap((uid) => box.messages.get(uid)?.message ?? []),
      conflicts: found.map(({ message }) => message.uid).filter((uid) => !free.includes(uid)),
    };
  }

  async append(
    id: MailboxId,
    raw: { read(): AsyncIterable<Uint8Array> },
    options: { readonly flags: readonly Flag[]; readonly internalDate: number },
  ): Promise<Message> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of raw.read()) chunks.push(chunk);
    return this.put(id, Buffer.concat(chunks), options);
  }

  async appendTo(
    path: string,
    raw: { read(): AsyncIterable<Uint8Array> },
    options: { readonly flags: readonly Flag[]; readonly internalDate: number },
  ): Promise<Appended> {
    const box = this.#find(path);
    if (!box?.selectable) throw new StoreError('not-found', path);
    const { uid } = await this.append(box.id, raw, options);
    return { mailbox: box.id, uidValidity: box.uidValidity, uid };
  }

  async appendAll(
    id: MailboxId,
    messages: readonly NewMessage[],
    replaces?: Replaced,
  ): Promise<readonly Message[]> {
    const all: { readonly bytes: Buffer; readonly options: NewMessage }[] = [];
    for (const options of messages) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of options.raw.read()) chunks.push(chunk);
      all.push({ bytes: Buffer.concat(chunks), options });
    }
    if (replaces) this.#message(replaces.mailbox, replaces.uid);
    const bytes = all.reduce((sum, each) => sum + each.bytes.length, 0);
    this.#admit(id, bytes, { messages: all.length, ...(replaces && { replaces }) });
    const added = all.map((each) => this.#put(id, each.bytes, each.options));
    if (replaces) await this.expunge(replaces.mailbox, [replaces.uid]);
    return added;
  }

  put(
    id: MailboxId,
    bytes: Buffer,
    options: { readonly flags?: readonly Flag[]; readonly internalDate?: number } = {},
  ): Message {
    this.#admit(id, bytes.length);
    return this.#put(id, bytes, options);
  }

  #put(
    id: MailboxId,
    bytes: Buffer,
    options: { readonly flags?: readonly Flag[]; readonly internalDate?: number },
  ): Message {
    const box = this.#box(id);
    const message: Message = {
      mailbox: id,
      uid: box.uidNext++ as Uid,
      modSeq: ++box.modSeq as ModSeq,
      emailId: `E${++this.#ids}` as Message['emailId'],
      flags: [...new Set(options.flags)],
      internalDate: options.internalDate ?? this.#options.now?.() ?? 0,
      savedDate: this.#options.now?.() ?? 0,
      size: bytes.length,
    };
    box.messages.set(message.uid, { message, bytes });
    this.#tell({ type: 'added', mailbox: id, messages: [message] });
    return message;
  }

  async uids(id: MailboxId): Promise<Uint32Array> {
    return Uint32Array.from(this.#box(id).messages.keys());
  }

  async open(
    path: string,
    recent: 'claim' | 'look',
    listener: (change: Change) => void,
  ): Promise<Opened | undefined> {
    const mailbox = await this.mailbox(path);
    if (!mailbox?.selectable)
      return (
        mailbox && { mailbox, uids: new Uint32Array(), firstUnseen: null, firstRecent: 0 as Uid, close() {} }
      );
    const uids = await this.uids(mailbox.id);
    const firstRecent = recent === 'claim' ? await this.claimRecent(mailbox.id) : mailbox.firstRecent;
    const unseen = [...this.#box(mailbox.id).messages.values()].find(
      ({ message }) => !message.flags.includes('\\Seen'),
    );
    const close = this.watch(listener, mailbox.id);
    return { mailbox, uids, firstUnseen: unseen?.message.uid ?? null, firstRecent, close };
  }

  async columns(id: MailboxId): Promise<Columns> {
    const messages = [...this.#box(id).messages.values()].map(({ message }) => message);
    return {
      uids: Uint32Array.from(messages, ({ uid }) => uid),
      sizes: Float64Array.from(messages, ({ size }) => size),
      seen: Uint8Array.from(messages, ({ flags }) => (flags.includes('\\Seen') ? 1 : 0)),
    };
  }

  async *messages(id: MailboxId, ranges: readonly UidRange[], since = 0): AsyncGenerator<readonly Message[]> {
    const found = this.#in(this.#box(id), ranges).filter(({ message }) => message.modSeq > since);
    for (let i = 0; i < found.length; i += 100) yield found.slice(i, i + 100).map(({ message }) => message);
  }

  async *summaries(id: MailboxId, uids: readonly Uid[]): ReturnType<AccountStore['summaries']> {
    for (const uid of uids) {
      const stored = this.#box(id).messages.get(uid);
      if (stored) yield [{ uid, ...summarise(stored.bytes) }];
    }
  }

  async *headers(id: MailboxId, uids: readonly Uid[]): ReturnType<AccountStore['headers']> {
    for (const uid of uids) {
      const stored = this.#box(id).messages.get(uid);
      if (stored) yield [{ uid, header: summarise(stored.bytes).header ?? new Uint8Array(0) }];
    }
  }

  async *headerFields(
    ...[id, uids, { names, mode }]: Parameters<AccountStore['headerFields']>
  ): ReturnType<AccountStore['headerFields']> {
    for await (const headers of this.headers(id, uids))
      yield headers.map(({ uid, header }) => ({
        uid,
        fields: selectFields(header, names, mode).toString('latin1'),
      }));
  }

  async *contents(id: MailboxId, uids: readonly Uid[]): ReturnType<AccountStore['contents']> {
    for (const uid of uids) {
      const stored = this.#box(id).messages.get(uid);
      if (stored) yield [{ uid, bytes: stored.bytes }];
    }
  }

  async structure(id: MailboxId, uid: Uid): ReturnType<AccountStore['structure']> {
    return summarise(this.#message(id, uid).bytes).structure;
  }

  async raw(id: MailboxId, uid: Uid): ReturnType<AccountStore['raw']> {
    return rawMessage([this.#message(id, uid).bytes]);
  }

  async setFlags(
    ...[id, uids, change]: Parameters<AccountStore['setFlags']>
  ): ReturnType<AccountStore['setFlags']> {
    const box = this.#box(id);
    const messages: Message[] = [];
    const changed: Message[] = [];
    const conflicts: Uid[] = [];
    for (const uid of uids) {
      const stored = box.messages.get(uid);
      if (!stored) continue;
      if (change.unchangedSince !== undefined && stored.message.modSeq > change.unchangedSince) {
        conflicts.push(uid);
        continue;
      }
      const flags = new Set(change.mode === 'set' ? [] : stored.message.flags);
      for (const flag of change.flags) {
        if (change.mode === 'remove') flags.delete(flag);
        else flags.add(flag);
      }
      let { message } = stored;
      if (flags.size !== message.flags.length || message.flags.some((flag) => !flags.has(flag))) {
        message = { ...message, flags: [...flags], modSeq: ++box.modSeq as ModSeq };
        box.messages.set(uid, { ...stored, message });
        changed.push(message);
      }
      messages.push(message);
    }
    if (changed.length > 0) this.#tell({ type: 'flags', mailbox: id, messages: changed });
    const unchanged = messages.filter((message) => !changed.includes(message)).map(({ uid }) => uid);
    return { messages, unchanged, conflicts };
  }

  async copy(id: MailboxId, uids: readonly Uid[], to: MailboxId): ReturnType<AccountStore['copy']> {
    this.#box(to);
    const pairs = uids.flatMap((from) => {
      const stored = this.#box(id).messages.get(from);
      return stored ? [{ from, to: this.put(to, stored.bytes, stored.message).uid }] : [];
    });
    this.sharing.copy(id, to, pairs);
    return pairs;
  }

  async move(id: MailboxId, uids: readonly Uid[], to: MailboxId): ReturnType<AccountStore['move']> {
    const pairs = await this.copy(id, uids, to);
    await this.expunge(
      id,
      pairs.map((pair) => pair.from),
    );
    return pairs;
  }

  async expunge(id: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]> {
    const box = this.#box(id);
    const gone = uids.filter((uid) => box.messages.delete(uid));
    if (gone.length === 0) return gone;
    const modSeq = ++box.modSeq as ModSeq;
    for (const uid of gone) box.gone.push({ uid, modSeq });
    this.#tell({ type: 'expunged', mailbox: id, uids: gone, modSeq });
    return gone;
  }

  async vanished(id: MailboxId, since: ModSeq): Promise<readonly Uid[]> {
    return this.#box(id)
      .gone.filter((each) => each.modSeq > since)
      .map((each) => each.uid as Uid);
  }

  async search(id: MailboxId, criteria: SearchCriteria): Promise<readonly Uid[]> {
    const uids: Uid[] = [];
    for (const stored of this.#box(id).messages.values())
      if (meets(stored, criteria)) uids.push(stored.message.uid);
    return uids;
  }

  async claimRecent(id: MailboxId): Promise<Uid> {
    const box = this.#box(id);
    const first = box.firstRecent as Uid;
    box.firstRecent = box.uidNext;
    return first;
  }

  async admit(id: MailboxId, bytes: number, also: Also = {}): Promise<void> {
    this.#admit(id, bytes, also);
  }

  async quota(id?: MailboxId): Promise<Quota> {
    return this.#quota(id);
  }

  async *keptUidls(): AsyncGenerator<KeptUidls> {}

  async refresh(id: MailboxId): Promise<void> {
    this.#box(id);
    this.refreshes++;
  }

  watch(listener: (change: Change) => void, id?: MailboxId): () => void {
    const own = (change: Change): void => {
      if (id === undefined || change.mailbox === id) listener(change);
    };
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  get watchers(): number {
    return this.#listeners.size;
  }

  #tell(change: Change): void {
    const announce = (): void => {
      for (const listener of this.#listeners) listener(change);
    };
    if (this.#options.echo === 'after') setTimeout(announce, 1);
    else announce();
  }

  #admit(id: MailboxId, bytes: number, { messages: more = 1, replaces }: Also = {}): void {
    const old = replaces && this.#box(replaces.mailbox).messages.get(replaces.uid);
    for (const box of [undefined, id]) {
      const { limitBytes, usedBytes, limitMessages, messages } = this.#quota(box);
      const leaving = old && (box === undefined || replaces?.mailbox === box) ? old.bytes.length : 0;
      const size = usedBytes - leaving + bytes;
      if (size > (limitBytes ?? Infinity) && (leaving === 0 || bytes > leaving))
        throw new StoreError('over-quota', 'full');
      if (messages + more - (leaving > 0 ? 1 : 0) > (limitMessages ?? Infinity))
        throw new StoreError('over-quota', 'full');
    }
  }

  #quota(id?: MailboxId): Quota {
    let usedBytes = 0;
    let messages = 0;
    for (const box of id === undefined ? this.#boxes.values() : [this.#box(id)])
      for (const { bytes } of box.messages.values()) {
        usedBytes += bytes.length;
        messages++;
      }
    if (id !== undefined) {
      const limitBytes = this.#options.mailboxLimits?.[this.#box(id).path] ?? null;
      return { usedBytes, messages, limitBytes, limitMessages: null };
    }
    const { quotaBytes = null, quotaMessages = null, quotaMailboxes = null } = this.#options;
    const mailboxes = { count: this.#boxes.size, limit: quotaMailboxes };
    return { usedBytes, messages, limitBytes: quotaBytes, limitMessages: quotaMessages, mailboxes };
  }

  #make(path: string, specialUse: Mailbox['specialUse']): Box {
    const box: Box = {
      // No two accounts have a mailbox of the same id.
      id: `M${++this.#ids}${this.account.startsWith('alice@') ? '' : this.account.replace(/\W/g, '-')}` as MailboxId,
      path,
      selectable: true,
      uidValidity: 1000 + this.#ids,
      uidNext: 1,
      modSeq: 1,
      firstRecent: 1,
      specialUse,
      messages: new Map(),
      gone: [],
    };
    this.#boxes.set(box.id, box);
    this.sharing.inherit(box.id, this.#find(path.split('/').slice(0, -1).join('/'))?.id);
    this.#tell({ type: 'mailbox', mailbox: box.id, path, what: 'created' });
    return box;
  }

  async sort(id: MailboxId, criteria: SearchCriteria, keys: readonly SortKey[]): Promise<readonly Uid[]> {
    return naiveSort(await this.#found(id, criteria), keys) as Uid[];
  }

  async thread(id: MailboxId, criteria: SearchCriteria, algorithm: ThreadAlgorithm): Promise<UidThreads> {
    return naiveThreads(await this.#found(id, criteria), algorithm);
  }

  async threadIds(id: MailboxId, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, ThreadId>> {
    const stored = uids.flatMap((uid) => this.#box(id).messages.get(uid) ?? []);
    return new Map(stored.map(({ message }) => [message.uid, threadOf(message)]));
  }

  async #found(id: MailboxId, criteria: SearchCriteria): Promise<Arrangeable[]> {
    const uids = await this.search(id, criteria);
    return uids.map((uid) => arrangeable(this.#message(id, uid)));
  }

  #find(path: string): Box | undefined {
    return [...this.#boxes.values()].find((box) => box.path === path);
  }

  #box(id: MailboxId): Box {
    const box = this.#boxes.get(id);
    if (!box?.selectable) throw new StoreError('not-found', 'no such mailbox');
    return box;
  }

  #message(id: MailboxId, uid: Uid): Stored {
    const stored = this.#box(id).messages.get(uid);
    if (!stored) throw new StoreError('expunged', 'gone');
    return stored;
  }

  #in(box: Box, ranges: readonly UidRange[]): Stored[] {
    return [...box.messages.values()].filter(({ message }) => inRanges(message.uid, ranges, box.uidNext - 1));
  }

  #describe(box: Box): Mailbox {
    const all = [...box.messages.values()];
    const flags = new Set(all.flatMap(({ message }) => message.flags));
    return {
      id: box.id,
      path: box.path,
      selectable: box.selectable,
      uidValidity: box.uidValidity,
      uidNext: box.uidNext as Uid,
      highestModSeq: box.modSeq as ModSeq,
      total: all.length,
      unseen: all.filter(({ message }) => !message.flags.includes('\\Seen')).length,
      firstRecent: box.firstRecent as Uid,
      size: all.reduce((sum, { bytes }) => sum + bytes.length, 0),
      specialUse: box.specialUse,
      subscribed: this.#subscriptions.has(box.path),
      keywords: [...flags].filter((flag) => !flag.startsWith('\\')),
      hasChildren: [...this.#boxes.values()].some(({ path }) => path.startsWith(`${box.path}/`)),
    };
  }
}

function threadOf({ emailId }: Message): ThreadId {
  return `T${emailId}` as ThreadId;
}

function arrangeable({ message, bytes }: Stored): Arrangeable {
  return { ...message, header: summarise(bytes).header ?? bytes };
}

function inRanges(uid: number, ranges: readonly UidRange[], highest: number): boolean {
  return ranges.some((range) => uid >= range.first && uid <= (range.last === '*' ? highest : range.last));
}

function meets({ message, bytes }: Stored, criteria: SearchCriteria): boolean {
  const each = (inner: SearchCriteria): boolean => meets({ message, bytes }, inner);
  if ('all' in criteria) return criteria.all.every(each);
  if ('any' in criteria) return criteria.any.some(each);
  if ('not' in criteria) return !each(criteria.not);
  if ('flag' in criteria)
    return message.flags.some((flag) => flag.toLowerCase() === criteria.flag.toLowerCase());
  if ('uid' in criteria) return inRanges(message.uid, criteria.uid, Number.POSITIVE_INFINITY);
  if ('header' in criteria) {
    const values = fieldTexts(summarise(bytes).header ?? bytes, criteria.header);
    return values.some((value) => includesText([value], criteria.contains, criteria.accents));
  }
  if ('text' in criteria) {
    const { structure } = summarise(bytes);
    const textOf = criteria.in === 'message' ? messageText : bodyText;
    return includesText(
      textOf(structure, ({ start, end }) => [bytes.subarray(start, end)]),
      criteria.text,
      criteria.accents,
    );
  }
  if ('size' in criteria)
    return criteria.size === 'larger' ? message.size > criteria.bytes : message.size < criteria.bytes;
  if ('changedSince' in criteria) return message.modSeq > criteria.changedSince;
  if ('emailId' in criteria) return message.emailId === criteria.emailId;
  // Each message is a thread of its own here.
  if ('threadId' in criteria) return threadOf(message) === criteria.threadId;
  const [sent = ''] = fieldValues(String(summarise(bytes).header ?? ''), 'date');
  const time =
    criteria.date === 'sent'
      ? Date.parse(sent.replace(/ [+-]\d{4}.*$/, ' +0000'))
      : criteria.date === 'saved'
        ? message.savedDate
        : message.internalDate;
  return (
    time >= (criteria.from ?? Number.NEGATIVE_INFINITY) &&
    time < (criteria.before ?? Number.POSITIVE_INFINITY)
  );
}

export class MemoryMail implements MailStore {
  readonly #options: MemoryOptions;
  readonly accounts: Map<AccountId, MemoryAccount> = new Map();

  constructor(options: MemoryOptions = {}) {
    this.#options = options;
  }

  async account(id: AccountId): Promise<MemoryAccount> {
    const known = this.accounts.get(id) ?? new MemoryAccount(id, this.#options);
    this.accounts.set(id, known);
    return known;
  }

  async deliver(delivery: Delivery): ReturnType<MailStore['deliver']> {
    const account = await this.account(delivery.account);
    const mailbox = await account.mailbox(delivery.mailbox);
    if (!mailbox) throw new StoreError('not-found', delivery.mailbox);
    const { uid } = await account.append(mailbox.id, rawMessage(delivery.content), delivery);
    return { mailbox: mailbox.id, uid };
  }

  async admit(): Promise<void> {}

  async remove(id: AccountId): Promise<void> {
    this.accounts.delete(id);
    for (const { sharing } of this.accounts.values()) sharing.forget(id);
  }

  async sharers(identifiers: readonly string[]): Promise<readonly AccountId[]> {
    const found = [...this.accounts.values()].filter(({ sharing }) => sharing.names(identifiers));
    return found.map(({ account }) => account).sort();
  }

  async close(): Promise<void> {}
}
