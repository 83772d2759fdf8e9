import type { FieldSelection } from '../../message/field-selector.ts';
import { ConnectionLost } from '../../net/errors.ts';
import {
  type Message,
  type ModSeq,
  StoreError,
  SUMMARY_PARTS,
  type Summary,
  type SummaryPart,
  type ThreadId,
  type Uid,
  type UidRange,
} from '../../store/store.ts';
import { type Command, command, type ImapSession, type Ok } from '../command.ts';
import { ImapBad } from '../errors.ts';
import { fetchItems } from '../fetch/index.ts';
import type { FetchAttribute, FetchItem, Literal } from '../fetch/item.ts';
import { FetchedMessage, type Loaded, type Mailbox } from '../fetched-message.ts';
import type { Held } from '../held-octets.ts';
import { answerShare, checkPartial, shareOfRanges } from '../message-limit.ts';
import type { Parser } from '../parser.ts';
import { type PartialRange, parsePartialRange, partOfRanges } from '../partial-range.ts';
import { tellVanished } from '../qresync.ts';
import { normalise, type SequenceSet } from '../sequence-set.ts';

/** Messages whose summaries or headers are in memory at a time. */
const BATCH = 500;
/** Octets of messages whose headers are. */
const BATCH_BYTES = 16 * 1024 * 1024;
/** Octets of messages that are loaded whole in one go; as many are on their way meanwhile. */
const CONTENT_BYTES = 512 * 1024;
/** Bigger messages are read one by one, as the client takes them. */
const SMALL = 64 * 1024;
/** What is loaded in one go when there is much in memory already. */
const FEW = { messages: 20, headers: 256 * 1024, contents: SMALL } as const;
/** What is reckoned with for a header until it is there. */
const USUAL_HEADER = 4096;
/** Items of one command; each is printed for each message. */
const MAX_ITEMS = 100;

const ITEMS: ReadonlyMap<string, FetchItem> = new Map(fetchItems.map((item) => [item.name, item]));

/** RFC 9051 6.4.5. */
const MACROS: ReadonlyMap<string, readonly string[]> = new Map([
  ['FAST', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE']],
  ['ALL', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE']],
  ['FULL', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY']],
]);

interface Wanted {
  readonly name: string;
  /** As the client wrote it, in upper case. */
  readonly text: string;
  readonly attribute: FetchAttribute;
  readonly condstore: boolean;
}

/** Items that are fetched of messages without being asked for each time: NOTIFY, UPDATE (RFC 5465 5.2, 7). */
export type FetchWish = readonly Wanted[];

/** `(fetch-att …)` */
export function parseFetchWish(p: Parser): FetchWish {
  const at = p.at;
  const items = p.list(item);
  if (items.length > MAX_ITEMS) p.fail('Too many items', at);
  return items;
}

/** Both, each item once. */
export function joinWishes(one: FetchWish, other: FetchWish): FetchWish {
  const texts = new Set(one.map(({ text }) => text));
  return [...one, ...other.filter(({ text }) => !texts.has(text))];
}

/** Tells these messages of the view, as far as they are still there. */
export async function tellFetched(
  session: ImapSession,
  items: FetchWish,
  uids: readonly Uid[],
): Promise<void> {
  const printer = new Printer(session, { items });
  for (let at = 0; at < uids.length; at += BATCH) {
    const ranges = uids.slice(at, at + BATCH).map((uid) => ({ first: uid, last: uid }));
    for await (const batch of session.store.messages(session.selected.id, ranges)) await printer.print(batch);
  }
}

interface Arguments {
  readonly set: SequenceSet;
  readonly by: 'uid' | 'sequence';
  readonly items: readonly Wanted[];
  readonly changedSince: ModSeq | null;
  /** Where VANISHED stands in the command. */
  readonly vanishedAt: number | null;
  readonly partial: PartialRange | null;
}

/**
 * FETCH and UID FETCH (RFC 9051 6.4.5), with CHANGEDSINCE and VANISHED (RFC 7162 3.1.4.1, 3.2.6) and PARTIAL
 * (RFC 9394 3.3).
 */
export const fetch: Command = command({
  name: 'FETCH',
  states: ['selected'],
  uid: 'also',
  capability: ['CONDSTORE', 'QRESYNC', 'PARTIAL'],
  expunges: 'held',
  parse,

  async run(session, args): Promise<Ok | undefined> {
    const { selected } = session;
    const { changedSince } = args;
    if (args.vanishedAt !== null && !session.enabled.has('QRESYNC'))
      throw new ImapBad('ENABLE QRESYNC comes first', args.vanishedAt);
    const inSet = selected.resolve(args.set, args.by);
    // First the stretch, then what changed in it (RFC 9394 3.4).
    checkPartial(session, args.partial);
    const share = shareOfRanges(session, args.partial ? partOfRanges(selected, inSet, args.partial) : inSet);
    const ranges = share.share;
    if (changedSince !== null || args.items.some((item) => item.condstore)) session.enableCondstore();
    if (args.vanishedAt !== null && changedSince !== null) {
      const asked = args.set.ranges === '$' ? inSet : normalise(args.set.ranges, selected.lastUid);
      await tellVanished(session, asked, changedSince);
    }
    if (ranges.length === 0) return undefined;
    const printer = new Printer(session, args);
    let found = 0;
    const messages = session.store.messages(selected.id, ranges, changedSince ?? undefined);
    for await (const batch of share.lowest === null ? messages : fromTheLast(messages)) {
      found += batch.length;
      for (let at = 0; at < batch.length; at += printer.batch)
        await printer.print(batch.slice(at, at + printer.batch));
    }
    await printer.end();
    // A UID that is gone is ignored; a sequence number means a message (RFC 9051 6.4.9, RFC 5530 3).
    const isGone =
      args.by === 'sequence' && changedSince === null && (printer.gone || found < count(session, ranges));
    const ok = isGone ? { code: 'EXPUNGEISSUED', text: 'Some of the messages are gone' } : undefined;
    return answerShare(session, share, ok);
  },
});

function parse(p: Parser): Arguments {
  const set = p.sp().sequenceSet();
  p.sp();
  const at = p.at;
  const items = p.isList ? p.list(item) : (macro(p) ?? [item(p)]);
  if (items.length > MAX_ITEMS) p.fail('Too many items', at);
  let changedSince: ModSeq | null = null;
  let vanishedAt: number | null = null;
  let partial: PartialRange | null = null;
  if (!p.atEnd)
    p.sp().list((modifier) => {
      const where = modifier.at;
      const name = modifier.keyword();
      if (name === 'CHANGEDSINCE') changedSince = modifier.sp().number64() as ModSeq;
      else if (name === 'VANISHED' && p.uid) vanishedAt = where;
      else if (name === 'PARTIAL' && p.uid && !partial) partial = parsePartialRange(modifier.sp());
      else modifier.fail('No such modifier here', where);
    });
  if (vanishedAt !== null && changedSince === null) p.fail('VANISHED needs CHANGEDSINCE', vanishedAt);
  const names = new Set(items.map((wanted) => wanted.name));
  // UID FETCH tells the UID, CHANGEDSINCE the MODSEQ, asked for or not (RFC 9051 6.4.9, RFC 7162 3.1.4.1). UIDFETCH
  // begins with the UID (RFC 9586 3.3).
  if (p.uid && p.numbers === 'all' && !names.has('UID')) items.unshift(named('UID', p));
  if (changedSince !== null && !names.has('MODSEQ')) items.push(named('MODSEQ', p));
  return { set, by: p.uid ? 'uid' : 'sequence', items, changedSince, vanishedAt, partial };
}

function macro(p: Parser): Wanted[] | undefined {
  for (const [name, items] of MACROS)
    if (p.isWord(name)) {
      p.take(name);
      return items.map((each) => named(each, p));
    }
  return undefined;
}

function item(p: Parser): Wanted {
  const at = p.at;
  const name = p.keyword();
  return ITEMS.has(name) ? named(name, p) : p.fail('No such item', at);
}

function named(name: string, p: Parser): Wanted {
  const found = ITEMS.get(name);
  if (!found) return p.fail('No such item');
  const { at } = p;
  const attribute = found.parse(p);
  const text = `${name}${p.textSince(at)}`.toUpperCase();
  return { name, text, attribute, condstore: found.condstore === true };
}

/** From the highest UID down, as is asked for where there is a limit (RFC 9738 3.1), which bounds what is kept. */
async function* fromTheLast(batches: AsyncIterable<readonly Message[]>): AsyncIterable<readonly Message[]> {
  const messages = [...(await collected(batches))].reverse();
  for (let at = 0; at < messages.length; at += BATCH) yield messages.slice(at, at + BATCH);
}

function count({ selected }: ImapSession, ranges: readonly UidRange[]): number {
  let messages = 0;
  for (const range of ranges) {
    const last = range.last === '*' ? selected.lastUid : range.last;
    messages += selected.sequenceOf(last) - selected.sequenceOf(range.first) + 1;
  }
  return messages;
}

/** What had to be loaded for some messages. */
interface Details {
  readonly summaries: readonly Summary[];
  readonly headers: ReadonlyMap<Uid, Uint8Array>;
  readonly fields: ReadonlyMap<Uid, string>;
  readonly threads: ReadonlyMap<Uid, ThreadId>;
  readonly contents: ReadonlyMap<Uid, Uint8Array>;
}

interface Loading {
  readonly batch: readonly Message[];
  readonly details: Promise<Details>;
  readonly held: Held;
}

const NO_DETAILS: Details = {
  summaries: [],
  headers: new Map(),
  fields: new Map(),
  threads: new Map(),
  contents: new Map(),
};

/** Prints FETCH responses, batch by batch. */
class Printer {
  /** A message went while it was printed. */
  gone = false;
  readonly batch: number;
  readonly #session: ImapSession;
  readonly #mailbox: Mailbox;
  readonly #attributes: readonly FetchAttribute[];
  /** Who gets this response knows all that a later one about the same change would say. */
  readonly #tellsFlags: boolean;
  /** Names of the items that are asked for. */
  readonly #shown: ReadonlySet<string>;
  readonly #parts: readonly SummaryPart[];
  readonly #headers: boolean;
  /** All that is wanted of headers. */
  readonly #fields: FieldSelection | undefined;
  readonly #contents: boolean;
  readonly #threads: boolean;
  readonly #setsSeen: boolean;
  /** What clients ask of a whole mailbox whenever they open it: a path of its own, four times as fast. */
  readonly #isSync: boolean;
  /** Scripts that run for messages now \Seen (RFC 6785 2.2.3), when all has been told. */
  readonly #afterwards: (() => Promise<void> | undefined)[] = [];
  /** The sequence number of the message before. */
  #sequence = 0;

  constructor(session: ImapSession, args: Pick<Arguments, 'items'>) {
    this.#session = session;
    this.#mailbox = { store: session.store, id: session.selected.id };
    this.#attributes = args.items.map((wanted) => wanted.attribute);
    this.#shown = new Set(args.items.map((wanted) => wanted.name));
    this.#tellsFlags =
      this.#shown.has('FLAGS') && (this.#shown.has('MODSEQ') || !session.enabled.has('CONDSTORE'));
    const needs = new Set(this.#attributes.map((attribute) => attribute.needs));
    this.#parts = SUMMARY_PARTS.filter((part) => needs.has(part));
    const ofHeaders = this.#attributes.filter((attribute) => attribute.needs === 'header');
    this.#fields = ofHeaders.length === 1 ? ofHeaders[0]?.fields : undefined;
    this.#headers = needs.has('header') && this.#fields === undefined;
    this.#contents = this.#attributes.some((attribute) => attribute.reads);
    this.#threads = needs.has('thread');
    this.#setsSeen =
      session.selected.access === 'read-write' &&
      session.selected.rights.has('s') &&
      this.#attributes.some((attribute) => attribute.seen);
    this.#isSync = this.#tellsFlags && args.items.map(({ name }) => name).join() === 'UID,FLAGS';
    this.batch = this.#setsSeen ? BATCH : Number.MAX_SAFE_INTEGER;
  }

  /** Resolves when what the printing has set off is done. */
  async end(): Promise<void> {
    for (const run of this.#afterwards) await run();
  }

  async print(found: readonly Message[]): Promise<void> {
    const newlySeen = new Set<Uid>();
    const messages = this.#setsSeen ? await this.#see(found.filter(this.#isInView), newlySeen) : found;
    const fromIndex = this.#parts.length > 0 || this.#headers || this.#fields || this.#threads;
    if (!fromIndex && !this.#contents) {
      await this.#printThese(messages, NO_DETAILS, newlySeen);
      return;
    }
    const { held } = this.#session.world;
    let loading = this.#load(messages, 0);
    let next: Loading | null = null;
    try {
      for (let at = 0; at < messages.length; ) {
        const { batch } = loading;
        const details = await loading.details;
        at += batch.length;
        // On its way while this one is printed.
        if (at < messages.length && !held.isMuch) next = this.#load(messages, at);
        await this.#printThese(batch, details, newlySeen);
        loading.held.release();
        if (at < messages.length) loading = next ?? this.#load(messages, at);
        next = null;
      }
    } finally {
      loading.held.release();
      next?.held.release();
    }
  }

  readonly #isInView = ({ uid }: Message): boolean => this.#session.selected.sequenceOf(uid) > 0;

  /** As many as may be in memory: a header can be all of a message. */
  #load(messages: readonly Message[], from: number): Loading {
    const { held: all } = this.#session.world;
    const most = all.isMuch ? FEW : { messages: BATCH, headers: BATCH_BYTES, contents: CONTENT_BYTES };
    let to = from;
    let headers = 0;
    let contents = 0;
    for (; to < messages.length && to - from < most.messages; to++) {
      const size = messages[to]?.size ?? 0;
      const header = this.#headers || this.#fields ? size : 0;
      const content = this.#contents && size <= SMALL ? size : 0;
      const isTooMuch = headers + header > most.headers || contents + content > most.contents;
      if (isTooMuch && to > from) break;
      headers += header;
      contents += content;
    }
    const batch = messages.slice(from, to);
    const held = all.hold(contents + Math.min(headers, batch.length * USUAL_HEADER));
    const details = this.#details(batch).then((loaded) => {
      held.are(octetsOf(loaded));
      return loaded;
    });
    // It may fail before anybody waits for it.
    details.catch(() => undefined);
    return { batch, details, held };
  }

  async #details(messages: readonly Message[]): Promise<Details> {
    if (messages.length === 0) return NO_DETAILS;
    const { store, id } = this.#mailbox;
    const uids = messages.map((message) => message.uid);
    const small = this.#contents ? messages.filter(({ size }) => size <= SMALL).map(({ uid }) => uid) : [];
    const [summaries, headers, fields, threads, contents] = await Promise.all([
      this.#parts.length > 0 ? collected(store.summaries(id, uids, this.#parts)) : [],
      this.#headers ? collected(store.headers(id, uids)) : [],
      this.#fields ? collected(store.headerFields(id, uids, this.#fields)) : [],
      this.#threads ? store.threadIds(id, uids) : NO_DETAILS.threads,
      small.length > 0 ? collected(store.contents(id, small)) : [],
    ]);
    return {
      summaries,
      headers: new Map(headers.map(({ uid, header }) => [uid, header])),
      fields: new Map(fields.map((each) => [each.uid, each.fields])),
      threads,
      contents: new Map(contents.map(({ uid, bytes }) => [uid, bytes])),
    };
  }

  async #printThese(
    messages: readonly Message[],
    { summaries, headers, fields: fieldsOf, threads, contents }: Details,
    newlySeen: ReadonlySet<Uid>,
  ): Promise<void> {
    const session = this.#session;
    const { selected, out } = session;
    let at = 0;
    // They come ascending by UID, in whatever order they are asked for.
    const isReversed = (messages[0]?.uid ?? 0) > (messages.at(-1)?.uid ?? 0);
    const inOrder = isReversed ? [...summaries].sort((a, b) => b.uid - a.uid) : summaries;
    const isBefore = (a: number, b: number): boolean => (isReversed ? a > b : a < b);
    for (const message of messages) {
      const { uid } = message;
      const sequence = selected.sequenceOf(uid, this.#sequence + 1);
      if (sequence === 0) continue;
      this.#sequence = sequence;
      while (isBefore(inOrder[at]?.uid ?? uid, uid)) at++;
      const summary = inOrder[at]?.uid === uid ? inOrder[at] : undefined;
      const header = this.#headers ? headers.get(uid) : undefined;
      const fields = this.#fields ? fieldsOf.get(uid) : undefined;
      const isMissing =
        (this.#parts.length > 0 && !summary) ||
        (this.#headers && !header) ||
        (this.#fields && fields === undefined);
      if (isMissing) {
        this.gone = true;
        continue;
      }
      const flags = session.flagList(message);
      if (this.#isSync) {
        selected.toldFlags(message);
        out.add(`* ${session.fetchHead(sequence, uid)} (UID ${uid} FLAGS ${flags})\r\n`);
        if (out.full) await out.flush();
        continue;
      }
      const threadId = this.#threads ? threads.get(uid) : undefined;
      const content = this.#contents ? contents.get(uid) : undefined;
      const loaded: Loaded = { summary, header, fields, threadId, content };
      const fetched = new FetchedMessage(this.#mailbox, message, flags, loaded);
      if (this.#tellsFlags) selected.toldFlags(message);
      const line = this.#line(sequence, fetched, newlySeen.has(uid));
      if (typeof line === 'string') out.add(line);
      else await line;
      if (out.full) await out.flush();
    }
  }

  /** Sets \Seen; the messages as they are then. The client is told with the same response (RFC 9051 6.4.5). */
  async #see(messages: readonly Message[], newlySeen: Set<Uid>): Promise<readonly Message[]> {
    const { store, selected } = this.#session;
    const unseen = messages
      .filter((message) => !message.flags.includes('\\Seen'))
      .map((message) => message.uid);
    if (unseen.length === 0) return messages;
    const before = (await this.#session.scripts?.flagsBefore(selected.id, unseen)) ?? null;
    selected.changing();
    const change = { mode: 'add', flags: ['\\Seen'] } as const;
    const result = await store.setFlags(selected.id, unseen, change).catch((error: unknown) => {
      selected.changesNothing();
      // The right has just gone, or no more readers' flags are kept: the message is read all the same (RFC 4314 4).
      if (error instanceof StoreError && ['no-permission', 'limit'].includes(error.kind)) return null;
      throw error;
    });
    if (!result) return messages;
    selected.changedHere(result.messages, 'told', result.unchanged);
    const changed = new Map(result.messages.map((message) => [message.uid, message]));
    for (const uid of changed.keys()) newlySeen.add(uid);
    if (before)
      this.#afterwards.push(() => this.#session.scripts?.flagged(selected.id, before, result.messages));
    return messages.map((message) => changed.get(message.uid) ?? message);
  }

  /** The response as a string, or a promise when something had to be read: then it has been added already. */
  #line(sequence: number, fetched: FetchedMessage, seenNow: boolean): string | Promise<void> {
    const head = `* ${this.#session.fetchHead(sequence, fetched.message.uid)} (`;
    let line = head;
    const attributes = this.#attributes;
    for (let at = 0; at < attributes.length; at++) {
      const value = attributes[at]?.print(fetched) ?? '';
      if (typeof value !== 'string') return this.#stream(line, value, at, fetched, seenNow);
      line += at === 0 ? value : ` ${value}`;
    }
    if (seenNow) for (const change of this.#changes(fetched)) line += ` ${change}`;
    return `${line})\r\n`;
  }

  /** What a message that got \Seen by this command must show beside what was asked for (RFC 7162 3.2.4). */
  #changes({ message, flags }: FetchedMessage): string[] {
    const changes: string[] = [];
    const condstore = this.#session.enabled.has('CONDSTORE');
    if (!this.#shown.has('FLAGS')) changes.push(`FLAGS ${flags}`);
    const isUidOnly = this.#session.enabled.has('UIDONLY');
    if (condstore && !isUidOnly && !this.#shown.has('UID')) changes.push(`UID ${message.uid}`);
    if (condstore && !this.#shown.has('MODSEQ')) changes.push(`MODSEQ (${message.modSeq})`);
    return changes;
  }

  /** Goes on where a value comes that is not there yet. */
  async #stream(
    head: string,
    first: Promise<string | Literal>,
    place: number,
    fetched: FetchedMessage,
    seenNow: boolean,
  ): Promise<void> {
    const later = this.#attributes.slice(place + 1).map((attribute) => attribute.print(fetched));
    const values: (string | Promise<string | Literal>)[] = [first, ...later];
    if (seenNow) values.push(...this.#changes(fetched));
    const settled = await Promise.allSettled(values);
    const ready: (string | Literal)[] = [];
    let failure: unknown;
    for (const value of settled)
      if (value.status === 'fulfilled') ready.push(value.value);
      else failure ??= value.reason;
    if (failure !== undefined) {
      for (const value of ready) if (typeof value !== 'string') await abandon(value);
      if (!isGone(failure)) throw failure;
      this.gone = true;
      return;
    }
    const { out } = this.#session;
    out.add(head);
    for (const [i, value] of ready.entries()) {
      if (i > 0 || place > 0) out.add(' ');
      if (typeof value === 'string') out.add(value);
      else await this.#literal(value);
    }
    out.add(')\r\n');
  }

  async #literal(literal: Literal): Promise<void> {
    const { out, log } = this.#session;
    out.add(`${literal.head} ${literal.literal8 ? '~' : ''}{${literal.size}}\r\n`);
    let left = literal.size;
    try {
      for await (const chunk of literal.chunks) {
        left -= chunk.length;
        if (left < 0) break;
        await out.chunk(chunk);
      }
      if (left !== 0) throw new Error('a message has not the size that the index says');
    } catch (error) {
      if (error instanceof ConnectionLost) throw error;
      // The client waits for the rest of a literal that will not come: only closing ends that.
      log.error({ err: error }, 'imap fetch broke off');
      throw new ConnectionLost(error);
    }
  }
}

function octetsOf({ summaries, headers, fields, contents }: Details): number {
  let octets = 0;
  for (const { envelope, body, bodyStructure } of summaries)
    octets += envelope.length + body.length + bodyStructure.length;
  for (const header of headers.values()) octets += header.length;
  for (const text of fields.values()) octets += text.length;
  for (const content of contents.values()) octets += content.length;
  return octets;
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'kind' in error && error.kind === 'expunged';
}

async function collected<T>(batches: AsyncIterable<readonly T[]>): Promise<readonly T[]> {
  let all: readonly T[] = [];
  for await (const batch of batches) all = all.length === 0 ? batch : [...all, ...batch];
  return all;
}

/** Lets go of a file that was opened for nothing. */
async function abandon(literal: Literal): Promise<void> {
  for await (const _ of literal.chunks) return;
}
