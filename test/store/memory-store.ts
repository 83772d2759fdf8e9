import type { AccountId } from '../../src/directory/directory.ts';
import { type Piece, readPieces } from '../../src/lib/pieces.ts';
import { type RawMessage, rawMessage } from '../../src/mail/raw-message.ts';
import { parseDate } from '../../src/message/date.ts';
import type { FieldSelection } from '../../src/message/field-selector.ts';
import { fold } from '../../src/message/fold.ts';
import { fieldValues, selectFields } from '../../src/message/header.ts';
import type { SortKey } from '../../src/message/sort.ts';
import type { Part } from '../../src/message/structure.ts';
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
import { parsePath } from '../../src/store/mailbox-path.ts';
import { storeOptions } from '../../src/store/options.ts';
import {
  admitMailboxes,
  type Entrance,
  type Leaving,
  type Limits,
  QuotaRules,
  type QuotaSettings,
  type Usage,
} from '../../src/store/quota.ts';
import {
  ACCOUNT,
  type AccountStore,
  type Appended,
  type Change,
  type Columns,
  type Delivery,
  type EmailId,
  type Flag,
  type FlagChange,
  type FlagResult,
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
  type SpecialUse,
  StoreError,
  type Summary,
  type SummaryPart,
  type ThreadId,
  type Uid,
  type UidPair,
  type UidRange,
  type UidThreads,
} from '../../src/store/store.ts';

import { type Arrangeable, naiveSort, naiveThreads, ThreadBook } from './arranged.ts';
import { MemorySharing } from './memory-sharing.ts';

/** The second implementation of the store's contract: all in memory, as plain as it can be, nothing survives. */

interface Stored {
  message: Message;
  readonly bytes: Buffer;
}

interface Box {
  readonly id: MailboxId;
  path: string;
  readonly uidValidity: number;
  uidNext: number;
  modSeq: number;
  firstRecent: number;
  specialUse: SpecialUse | null;
  annotations: Annotations;
  readonly messages: Map<number, Stored>;
  readonly gone: Map<number, number>;
  keywords: Flag[];
}

const SYSTEM = ['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft'];
const MAX_KEYWORDS = 26;

export class MemoryStore implements MailStore {
  readonly #accounts = new Map<AccountId, MemoryAccount>();
  readonly #quotaOf: (id: AccountId) => Promise<Limits | null>;
  readonly #rules: QuotaRules;
  #ids = 0;

  constructor(
    quotaOf: (id: AccountId) => Promise<Limits | null>,
    settings: QuotaSettings = storeOptions.parse({}),
  ) {
    this.#quotaOf = quotaOf;
    this.#rules = new QuotaRules(settings);
  }

  account(id: AccountId): Promise<MemoryAccount> {
    const account =
      this.#accounts.get(id) ??
      new MemoryAccount(
        id,
        () => this.#quotaOf(id),
        this.#rules,
        () => ++this.#ids,
      );
    this.#accounts.set(id, account);
    return Promise.resolve(account);
  }

  async deliver(delivery: Delivery): Promise<{ readonly mailbox: MailboxId; readonly uid: Uid }> {
    if (!/^[A-Za-z0-9-]{1,64}$/.test(delivery.key)) throw new Error(`not a delivery key: ${delivery.key}`);
    return (await this.account(delivery.account)).deliver(delivery);
  }

  async admit(id: AccountId, bytes: number): Promise<void> {
    const account = await this.account(id);
    const inbox = await account.mailbox('INBOX');
    if (inbox) await account.admit(inbox.id, bytes, { entrance: 'delivery' });
  }

  async remove(id: AccountId): Promise<void> {
    this.#accounts.delete(id);
    for (const { sharing } of this.#accounts.values()) sharing.forget(id);
  }

  async sharers(identifiers: readonly string[]): Promise<readonly AccountId[]> {
    const found = [...this.#accounts.values()].filter(({ sharing }) => sharing.names(identifiers));
    return found.map(({ account }) => account).sort();
  }

  async close(): Promise<void> {
    this.#accounts.clear();
  }
}

class MemoryAccount implements AccountStore {
  readonly account: AccountId;
  readonly #limit: () => Promise<Limits | null>;
  readonly #rules: QuotaRules;
  readonly #nextId: () => number;
  readonly #boxes = new Map<string, Box>();
  readonly #subscribed = new Set<string>();
  readonly #delivered = new Map<string, Promise<{ readonly mailbox: MailboxId; readonly uid: Uid }>>();
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #threads = new ThreadBook();
  readonly sharing: MemorySharing = new MemorySharing();
  #annotations: Annotations = new Map();

  constructor(
    account: AccountId,
    limit: () => Promise<Limits | null>,
    rules: QuotaRules,
    nextId: () => number,
  ) {
    this.account = account;
    this.#limit = limit;
    this.#rules = rules;
    this.#nextId = nextId;
    for (const { name, use } of [{ name: 'INBOX', use: null }, ...storeOptions.parse({}).defaultFolders]) {
      this.#make(name, use);
      this.#subscribed.add(name);
    }
  }

  async mailboxes(): Promise<readonly Mailbox[]> {
    const paths = new Set(this.#boxes.keys());
    for (const path of this.#boxes.keys()) for (const parent of parentsOf(path)) paths.add(parent);
    return [...paths].sort().map((path) => this.#describe(path));
  }

  async mailbox(name: string): Promise<Mailbox | undefined> {
    return (await this.mailboxes()).find(({ path }) => path === canonical(name));
  }

  async create(name: string, specialUse?: SpecialUse): Promise<Mailbox> {
    const path = parsePath(name);
    if (this.#boxes.has(path)) throw new StoreError('exists', path);
    const missing = parentsOf(path).filter((parent) => !this.#boxes.has(parent));
    admitMailboxes(this.#boxes.size, missing.length + 1, await this.#limit());
    for (const parent of parentsOf(path)) if (!this.#boxes.has(parent)) this.#make(parent, null);
    this.#make(path, specialUse ?? null);
    return this.#describe(path);
  }

  async rename(id: MailboxId, name: string): Promise<void> {
    const from = (await this.mailboxes()).find((mailbox) => mailbox.id === id)?.path;
    if (from === undefined) throw new StoreError('not-found', id);
    const to = parsePath(name);
    if (await this.mailbox(to)) throw new StoreError('exists', to);
    if (from === 'INBOX') {
      this.#admit('move', { path: to, specialUse: null }, this.#held(this.#box(id)), null);
      const { id: target } = await this.create(to);
      this.#box(target).annotations = this.#box(id).annotations;
      await this.move(id, [...this.#box(id).messages.keys()] as Uid[], target);
      return;
    }
    if (to.startsWith(`${from}/`)) throw new StoreError('invalid-name', to);
    const missing = parentsOf(to).filter((parent) => !this.#boxes.has(parent) && parent !== from);
    admitMailboxes(this.#boxes.size, missing.length, await this.#limit());
    for (const parent of parentsOf(to)) if (!this.#boxes.has(parent)) this.#make(parent, null);
    for (const box of [...this.#boxes.values()]) {
      if (box.path !== from && !box.path.startsWith(`${from}/`)) continue;
      this.#boxes.delete(box.path);
      box.path = to + box.path.slice(from.length);
      this.#boxes.set(box.path, box);
      this.#tell({ type: 'mailbox', mailbox: box.id, path: box.path, what: 'renamed' });
    }
  }

  async delete(id: MailboxId): Promise<void> {
    const { path } = this.#box(id);
    if (path === 'INBOX') throw new StoreError('invalid-name', path);
    this.#boxes.delete(path);
    this.sharing.deleted(id);
    this.#tell({ type: 'mailbox', mailbox: id, path, what: 'deleted' });
  }

  async subscribe(name: string, subscribed: 'yes' | 'no'): Promise<void> {
    const path = parsePath(name);
    if (this.#subscribed.has(path) === (subscribed === 'yes')) return;
    if (subscribed === 'yes') this.#subscribed.add(path);
    else this.#subscribed.delete(path);
    const what = subscribed === 'yes' ? 'subscribed' : 'unsubscribed';
    this.#tell({ type: 'mailbox', mailbox: this.#boxes.get(path)?.id ?? placeholder(path), path, what });
  }

  async subscriptions(): Promise<readonly string[]> {
    return [...this.#subscribed].sort();
  }

  async annotations(id: MailboxId): Promise<Annotations> {
    return id === ACCOUNT ? this.#annotations : this.#box(id).annotations;
  }

  async annotate(id: MailboxId, change: AnnotationChange): Promise<void> {
    const { specialUse: use } = change;
    const box = id === ACCOUNT ? null : this.#box(id);
    if (use !== undefined && (!box || box.path === 'INBOX')) throw new StoreError('invalid-name', id);
    const next = annotated(await this.annotations(id), change.entries);
    if (box) box.annotations = next;
    else this.#annotations = next;
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
    ...[id, reader, uids, seen, unchangedSince]: Parameters<AccountStore['setSeenBy']>
  ): Promise<FlagResult> {
    const box = this.#box(id);
    const found = this.#those(id, uids);
    const free = found.filter(
      ({ message }) => message.modSeq <= (unchangedSince ?? Number.POSITIVE_INFINITY),
    );
    const asked = free.map(({ message }) => message.uid);
    const changed = new Set(this.sharing.setSeenBy(id, reader, asked, seen));
    if (changed.size > 0) {
      const modSeq = ++box.modSeq as ModSeq;
      const raised = free.filter(({ message }) => changed.has(message.uid));
      for (const stored of raised) stored.message = { ...stored.message, modSeq };
      this.#tell({ type: 'flags', mailbox: id, messages: raised.map(({ message }) => message) });
    }
    return {
      messages: free.map(({ message }) => message),
      unchanged: asked.filter((uid) => !changed.has(uid)),
      conflicts: found.filter((stored) => !free.includes(stored)).map(({ message }) => message.uid),
    };
  }

  async append(
    id: MailboxId,
    raw: RawMessage,
    options: { readonly flags: readonly Flag[]; readonly internalDate: number },
  ): Promise<Message> {
    const limit = await this.#limit();
    const bytes = await joined(raw.pieces);
    this.#admit('append', this.#box(id), { bytes: bytes.length, messages: 1 }, limit);
    return this.#add(this.#box(id), bytes, options);
  }

  async appendTo(
    path: string,
    raw: RawMessage,
    options: { readonly flags: readonly Flag[]; readonly internalDate: number },
  ): Promise<Appended> {
    const found = await this.mailbox(path);
    if (!found?.selectable) throw new StoreError('not-found', path);
    const { uid } = await this.append(found.id, raw, options);
    return { mailbox: found.id, uidValidity: found.uidValidity, uid };
  }

  async appendAll(
    id: MailboxId,
    messages: readonly NewMessage[],
    replaces?: Replaced,
  ): Promise<readonly Message[]> {
    const limit = await this.#limit();
    const all = await Promise.all(
      messages.map(async (one) => ({ one, bytes: await joined(one.raw.pieces) })),
    );
    const bytes = all.reduce((sum, each) => sum + each.bytes.length, 0);
    if (replaces && !this.#box(replaces.mailbox).messages.has(replaces.uid))
      throw new StoreError('expunged', id);
    this.#admit('append', this.#box(id), { bytes, messages: all.length }, limit, this.#leaving(id, replaces));
    const added = all.map((each) => this.#add(this.#box(id), each.bytes, each.one));
    if (replaces) await this.expunge(replaces.mailbox, [replaces.uid]);
    return added;
  }

  #leaving(id: MailboxId, replaces: Replaced | undefined): Leaving | undefined {
    const old = replaces && this.#box(replaces.mailbox).messages.get(replaces.uid);
    if (!old) return undefined;
    const usage = { bytes: old.bytes.length, messages: 1 };
    return { account: usage, folder: id === replaces?.mailbox ? usage : { bytes: 0, messages: 0 } };
  }

  deliver(delivery: Delivery): Promise<{ readonly mailbox: MailboxId; readonly uid: Uid }> {
    const known = this.#delivered.get(delivery.key);
    if (known !== undefined) return known;
    const delivered = (async () => {
      const limit = await this.#limit();
      const bytes = await joined(delivery.content);
      const box = this.#boxes.get(canonical(delivery.mailbox));
      if (!box) throw new StoreError('not-found', delivery.mailbox);
      if (delivery.limits !== 'ignored')
        this.#admit('delivery', box, { bytes: bytes.length, messages: 1 }, limit);
      const { mailbox, uid } = this.#add(box, bytes, delivery);
      return { mailbox, uid };
    })();
    this.#delivered.set(delivery.key, delivered);
    delivered.catch(() => this.#delivered.delete(delivery.key));
    return delivered;
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

  async *messages(
    id: MailboxId,
    ranges: readonly UidRange[],
    since?: ModSeq,
  ): AsyncGenerator<readonly Message[]> {
    const box = this.#box(id);
    const found = this.#inRanges(box, ranges).filter(({ modSeq }) => modSeq > (since ?? -1));
    if (found.length > 0) yield found;
  }

  async *summaries(
    id: MailboxId,
    uids: readonly Uid[],
    parts: readonly SummaryPart[] = ['envelope', 'body', 'bodyStructure'],
  ): AsyncGenerator<readonly Summary[]> {
    yield this.#those(id, uids).map(({ message: { uid }, bytes }) => {
      const summary = { uid, envelope: '', body: '', bodyStructure: '' };
      const all = summarise(bytes);
      for (const part of parts) summary[part] = all[part];
      return summary;
    });
  }

  async *headers(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncGenerator<readonly { readonly uid: Uid; readonly header: Uint8Array }[]> {
    yield this.#those(id, uids).map((stored) => ({ uid: stored.message.uid, header: headerOf(stored) }));
  }

  async *headerFields(
    id: MailboxId,
    uids: readonly Uid[],
    { names, mode }: FieldSelection,
  ): AsyncGenerator<readonly { readonly uid: Uid; readonly fields: string }[]> {
    yield this.#those(id, uids).map((stored) => ({
      uid: stored.message.uid,
      fields: selectFields(headerOf(stored), names, mode).toString('latin1'),
    }));
  }

  async *contents(
    id: MailboxId,
    uids: readonly Uid[],
  ): AsyncGenerator<readonly { readonly uid: Uid; readonly bytes: Uint8Array }[]> {
    const small = this.#those(id, uids).filter(({ bytes }) => bytes.length <= 64 * 1024);
    yield small.map(({ message: { uid }, bytes }) => ({ uid, bytes }));
  }

  async structure(id: MailboxId, uid: Uid): Promise<Part> {
    return summarise(this.#stored(id, uid).bytes).structure;
  }

  async raw(id: MailboxId, uid: Uid): Promise<RawMessage> {
    return rawMessage([this.#stored(id, uid).bytes]);
  }

  async setFlags(id: MailboxId, uids: readonly Uid[], change: FlagChange): Promise<FlagResult> {
    const box = this.#box(id);
    const found = this.#those(id, uids);
    const limit = change.unchangedSince ?? Number.POSITIVE_INFINITY;
    const free = found.filter(({ message }) => message.modSeq <= limit);
    const flags = free.length > 0 ? this.#known(box, change.flags, change.mode) : [];
    const changed: Message[] = [];
    const modSeq = (box.modSeq + 1) as ModSeq;
    for (const stored of free) {
      const { message } = stored;
      const others = message.flags.filter((flag) => !flags.includes(flag));
      const next = change.mode === 'set' ? flags : change.mode === 'add' ? [...others, ...flags] : others;
      if (sameFlags(next, message.flags)) continue;
      stored.message = { ...message, flags: next, modSeq };
      changed.push(stored.message);
    }
    if (changed.length > 0) {
      box.modSeq = modSeq;
      this.#tell({ type: 'flags', mailbox: id, messages: changed });
    }
    const unchanged = free
      .filter(({ message }) => !changed.includes(message))
      .map(({ message }) => message.uid);
    return {
      unchanged,
      messages: free.map(({ message }) => message),
      conflicts: found.filter((stored) => !free.includes(stored)).map(({ message }) => message.uid),
    };
  }

  async copy(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    const limit = await this.#limit();
    return this.#copy(id, uids, to, 'copy', limit);
  }

  async move(id: MailboxId, uids: readonly Uid[], to: MailboxId): Promise<readonly UidPair[]> {
    const pairs = this.#copy(id, uids, to, 'move', null);
    await this.expunge(
      id,
      pairs.map(({ from }) => from),
    );
    return pairs;
  }

  async expunge(id: MailboxId, uids: readonly Uid[]): Promise<readonly Uid[]> {
    const box = this.#box(id);
    const gone = this.#those(id, uids).map(({ message }) => message.uid);
    if (gone.length === 0) return [];
    const modSeq = ++box.modSeq as ModSeq;
    for (const uid of gone) {
      box.messages.delete(uid);
      box.gone.set(uid, modSeq);
    }
    this.#tell({ type: 'expunged', mailbox: id, uids: gone, modSeq });
    return gone;
  }

  async vanished(id: MailboxId, since: ModSeq): Promise<readonly Uid[]> {
    const gone = [...this.#box(id).gone].filter(([, modSeq]) => modSeq > since);
    return gone.map(([uid]) => uid as Uid).sort((a, b) => a - b);
  }

  async search(id: MailboxId, criteria: SearchCriteria): Promise<readonly Uid[]> {
    const box = this.#box(id);
    const found = [...box.messages.values()].filter((stored) => this.#matches(box, stored, criteria));
    return found.map(({ message }) => message.uid);
  }

  async claimRecent(id: MailboxId): Promise<Uid> {
    const box = this.#box(id);
    const first = box.firstRecent;
    box.firstRecent = box.uidNext;
    return first as Uid;
  }

  async admit(
    id: MailboxId,
    bytes: number,
    also: { readonly messages?: number; readonly replaces?: Replaced; readonly entrance?: Entrance } = {},
  ): Promise<void> {
    const { messages = 1, replaces, entrance = 'append' } = also;
    const limit = await this.#limit();
    this.#admit(entrance, this.#box(id), { bytes, messages }, limit, this.#leaving(id, replaces));
  }

  async quota(id?: MailboxId): Promise<Quota> {
    const used = id === undefined ? this.#used() : this.#held(this.#box(id));
    const limits = id === undefined ? await this.#limit() : this.#limitsOf(this.#box(id));
    return {
      usedBytes: used.bytes,
      limitBytes: limits?.storage ?? null,
      messages: used.messages,
      limitMessages: limits?.messages ?? null,
      ...(id === undefined && {
        mailboxes: { count: this.#boxes.size, limit: limits?.mailboxes ?? null },
      }),
    };
  }

  async *keptUidls(): AsyncGenerator<KeptUidls> {}

  async refresh(id: MailboxId): Promise<void> {
    this.#box(id);
  }

  watch(listener: (change: Change) => void, id?: MailboxId): () => void {
    const own = (change: Change): void => {
      if (id === undefined || change.mailbox === id) listener(change);
    };
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  #make(path: string, specialUse: SpecialUse | null): void {
    const number = this.#nextId();
    const box: Box = {
      id: `M${number}` as MailboxId,
      path,
      uidValidity: 1_700_000_000 + number,
      uidNext: 1,
      modSeq: 1,
      firstRecent: 1,
      specialUse,
      annotations: new Map(),
      messages: new Map(),
      gone: new Map(),
      keywords: [],
    };
    this.#boxes.set(path, box);
    this.sharing.inherit(box.id, this.#boxes.get(parentsOf(path).at(-1) ?? '')?.id);
    this.#tell({ type: 'mailbox', mailbox: box.id, path, what: 'created' });
  }

  #describe(path: string): Mailbox {
    const box = this.#boxes.get(path);
    const messages = [...(box?.messages.values() ?? [])];
    return {
      id: box?.id ?? placeholder(path),
      path,
      selectable: box !== undefined,
      uidValidity: box?.uidValidity ?? 0,
      uidNext: (box?.uidNext ?? 1) as Uid,
      highestModSeq: (box?.modSeq ?? 1) as ModSeq,
      total: messages.length,
      unseen: messages.filter(({ message }) => !message.flags.includes('\\Seen')).length,
      firstRecent: (box?.firstRecent ?? 1) as Uid,
      size: messages.reduce((sum, { message }) => sum + message.size, 0),
      specialUse: box?.specialUse ?? null,
      subscribed: this.#subscribed.has(path),
      keywords: box?.keywords ?? [],
      hasChildren: [...this.#boxes.keys()].some((other) => other.startsWith(`${path}/`)),
    };
  }

  #box(id: MailboxId): Box {
    for (const box of this.#boxes.values()) if (box.id === id) return box;
    throw new StoreError('not-found', id);
  }

  #stored(id: MailboxId, uid: Uid): Stored {
    const stored = this.#box(id).messages.get(uid);
    if (!stored) throw new StoreError('expunged', String(uid));
    return stored;
  }

  #those(id: MailboxId, uids: readonly Uid[]): Stored[] {
    const { messages } = this.#box(id);
    return [...new Set(uids)].sort((a, b) => a - b).flatMap((uid) => messages.get(uid) ?? []);
  }

  #inRanges(box: Box, ranges: readonly UidRange[]): Message[] {
    const highest = [...box.messages.keys()].at(-1) ?? 0;
    const all = [...box.messages.values()].map(({ message }) => message);
    return all.filter(({ uid }) =>
      ranges.some(({ first, last }) => {
        const end = last === '*' ? highest : last;
        return uid >= Math.min(first, end) && uid <= Math.max(first, end);
      }),
    );
  }

  #add(
    box: Box,
    bytes: Buffer,
    options: { readonly flags: readonly Flag[]; readonly internalDate: number; readonly emailId?: EmailId },
  ): Message {
    const uid = box.uidNext as Uid;
    const message: Message = {
      mailbox: box.id,
      uid,
      modSeq: (box.modSeq + 1) as ModSeq,
      emailId: options.emailId ?? (`E${this.#nextId()}` as EmailId),
      flags: this.#known(box, options.flags, 'add'),
      internalDate: options.internalDate,
      savedDate: options.internalDate,
      size: bytes.length,
    };
    box.uidNext++;
    box.modSeq++;
    box.messages.set(uid, { message, bytes });
    this.#threads.of(arrangeable({ message, bytes }));
    this.#tell({ type: 'added', mailbox: box.id, messages: [message] });
    return message;
  }

  #copy(
    id: MailboxId,
    uids: readonly Uid[],
    to: MailboxId,
    entrance: 'copy' | 'move',
    limit: Limits | null,
  ): UidPair[] {
    const target = this.#box(to);
    const sources = this.#those(id, uids);
    const bytes = sources.reduce((sum, { message }) => sum + message.size, 0);
    if (entrance === 'copy' || id !== to)
      this.#admit(entrance, target, { bytes, messages: sources.length }, limit);
    const pairs = sources.map((source) => ({
      from: source.message.uid,
      to: this.#add(target, source.bytes, source.message).uid,
    }));
    this.sharing.copy(id, to, pairs);
    return pairs;
  }

  /** The flags as they are written here; new keywords are remembered. */
  #known(box: Box, flags: readonly Flag[], mode: FlagChange['mode']): Flag[] {
    const found = new Set<Flag>();
    for (const flag of flags) {
      const lower = flag.toLowerCase();
      const known = [...SYSTEM, ...box.keywords].find((name) => name.toLowerCase() === lower);
      if (known) found.add(known);
      else if (mode !== 'remove' && !flag.startsWith('\\')) found.add(this.#newKeyword(box, flag));
    }
    return [...found];
  }

  #newKeyword(box: Box, flag: Flag): Flag {
    if (/[\s(){%*"\]\\]/.test(flag)) throw new StoreError('limit', flag);
    if (box.keywords.length >= MAX_KEYWORDS) {
      const used = new Set([...box.messages.values()].flatMap(({ message }) => message.flags));
      box.keywords = box.keywords.filter((keyword) => used.has(keyword));
    }
    if (box.keywords.length >= MAX_KEYWORDS) throw new StoreError('limit', flag);
    box.keywords.push(flag);
    return flag;
  }

  #used(): Usage {
    const held = [...this.#boxes.values()].map((box) => this.#held(box));
    return {
      bytes: held.reduce((sum, { bytes }) => sum + bytes, 0),
      messages: held.reduce((sum, { messages }) => sum + messages, 0),
    };
  }

  #held({ messages }: Pick<Box, 'messages'>): Usage {
    const sizes = [...messages.values()].map(({ message }) => message.size);
    return { bytes: sizes.reduce((sum, size) => sum + size, 0), messages: sizes.length };
  }

  #limitsOf({ path, specialUse: use }: Pick<Box, 'path' | 'specialUse'>): Limits {
    return this.#rules.limitsOf({ path, use });
  }

  #admit(
    entrance: Entrance,
    box: Pick<Box, 'path' | 'specialUse'> & Partial<Box>,
    more: Usage,
    limits: Limits | null,
    leaving?: Leaving,
  ): void {
    if (more.messages === 0) return;
    const held = box.messages ? this.#held({ messages: box.messages }) : { bytes: 0, messages: 0 };
    const target = { path: box.path, use: box.specialUse, held };
    this.#rules.admit(entrance, more, this.#used(), limits, target, leaving);
  }

  async sort(id: MailboxId, criteria: SearchCriteria, keys: readonly SortKey[]): Promise<readonly Uid[]> {
    return naiveSort(await this.#found(id, criteria), keys) as Uid[];
  }

  async thread(id: MailboxId, criteria: SearchCriteria, algorithm: ThreadAlgorithm): Promise<UidThreads> {
    return naiveThreads(await this.#found(id, criteria), algorithm);
  }

  async threadIds(id: MailboxId, uids: readonly Uid[]): Promise<ReadonlyMap<Uid, ThreadId>> {
    const stored = this.#those(id, uids);
    return new Map(stored.map((one) => [one.message.uid, this.#threads.of(arrangeable(one))]));
  }

  async #found(id: MailboxId, criteria: SearchCriteria): Promise<Arrangeable[]> {
    return this.#those(id, await this.search(id, criteria)).map(arrangeable);
  }

  #matches(box: Box, stored: Stored, criteria: SearchCriteria): boolean {
    const { message, bytes } = stored;
    const inner = (next: SearchCriteria): boolean => this.#matches(box, stored, next);
    if ('all' in criteria) return criteria.all.every(inner);
    if ('any' in criteria) return criteria.any.some(inner);
    if ('not' in criteria) return !inner(criteria.not);
    if ('flag' in criteria)
      return message.flags.some((flag) => flag.toLowerCase() === criteria.flag.toLowerCase());
    if ('uid' in criteria) return this.#inRanges(box, criteria.uid).includes(message);
    if ('header' in criteria)
      return fieldTexts(headerOf(stored), criteria.header.toLowerCase()).some((text) =>
        fold(text, criteria.accents).includes(fold(criteria.contains, criteria.accents)),
      );
    if ('text' in criteria) {
      const read = (span: { readonly start: number; readonly end: number }): Uint8Array[] => [
        bytes.subarray(span.start, span.end),
      ];
      const { structure } = summarise(bytes);
      const text = criteria.in === 'body' ? bodyText(structure, read) : messageText(structure, read);
      return includesText(text, criteria.text, criteria.accents);
    }
    if ('size' in criteria)
      return criteria.size === 'larger' ? message.size > criteria.bytes : message.size < criteria.bytes;
    if ('date' in criteria) {
      const time =
        criteria.date === 'sent'
          ? (sent(stored) ?? message.internalDate)
          : criteria.date === 'saved'
            ? message.savedDate
            : message.internalDate;
      return time >= (criteria.from ?? -Infinity) && time < (criteria.before ?? Infinity);
    }
    if ('emailId' in criteria) return message.emailId === criteria.emailId;
    if ('threadId' in criteria) return this.#threads.of(arrangeable(stored)) === criteria.threadId;
    return message.modSeq > criteria.changedSince;
  }

  #tell(change: Change): void {
    for (const listener of [...this.#listeners]) listener(change);
  }
}

function arrangeable(stored: Stored): Arrangeable {
  return { ...stored.message, header: headerOf(stored) };
}

function headerOf({ bytes }: Stored): Buffer {
  const { start, end } = summarise(bytes).structure.header;
  return bytes.subarray(start, end);
}

function sent(stored: Stored): number | undefined {
  const [value] = fieldValues(headerOf(stored).toString('latin1'), 'date');
  const date = value === undefined ? undefined : parseDate(value);
  return date && date.ms + date.zoneMinutes * 60_000;
}

function sameFlags(a: readonly Flag[], b: readonly Flag[]): boolean {
  return a.length === b.length && a.every((flag) => b.includes(flag));
}

function parentsOf(path: string): string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('/'));
}

function canonical(name: string): string {
  try {
    return parsePath(name);
  } catch {
    return '';
  }
}

function placeholder(path: string): MailboxId {
  return `N${Buffer.from(path).toString('hex')}` as MailboxId;
}

async function joined(pieces: readonly Piece[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readPieces(pieces)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
