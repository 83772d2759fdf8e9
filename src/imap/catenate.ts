import { selectFields } from '../message/header.ts';
import { convert, examine } from '../message/re-encode.ts';
import { MAX_HEADER } from '../message/scan.ts';
import type { Span } from '../message/structure.ts';
import { type Mailbox, type NewMessage, StoreError, type Uid } from '../store/store.ts';
import { type AppendMessage, named, nothingThere, type Text, tooBig, type Url } from './append-message.ts';
import type { ImapSession } from './command.ts';
import { ImapNo } from './errors.ts';
import { type PartialRange, type SectionText, sectionSpan } from './fetch/section.ts';
import { FetchedMessage } from './fetched-message.ts';
import { parseMessageUrl, urlInCode } from './imap-url.ts';
import { refuseUtf8Header } from './utf8-header.ts';

/**
 * Makes of what APPEND and REPLACE were given the message that the store takes: puts texts and the octets of other
 * messages together (RFC 4469), and encodes what is binary (RFC 3516 4.4). Everything is streamed, in pieces, into a file
 * when it is big; other messages are read through the session's own store only.
 */

/** NUL, and line ends in binary parts that are none; 8-bit octets and long lines are stored as they are. */
const UNSTORABLE = { eightBit: false, binary: false, nul: true };

type Fields = Extract<SectionText, { readonly is: 'fields' }>;

export interface Prepared {
  readonly messages: readonly NewMessage[];
  /** Once they are stored, or not. */
  discard(): Promise<void>;
}

/** Throws ImapNo: BADURL, TOOBIG, UNKNOWN-CTE, CANNOT (utf8-header.ts). */
export async function prepare(session: ImapSession, given: readonly AppendMessage[]): Promise<Prepared> {
  const now = session.world.clock.now().getTime();
  const discards: (() => Promise<void>)[] = [];
  const discard = async (): Promise<void> => {
    for (const each of discards) await each();
  };
  try {
    // All URLs before any of the work.
    const sources: Source[][] = [];
    for (const { data } of given) sources.push(await sourcesOf(session, data));
    const messages: NewMessage[] = [];
    for (const [at, { flags, date, data }] of given.entries()) {
      const raw = await rawOf(session, data, sources[at] ?? [], discards);
      if (raw.size === 0) throw nothingThere();
      await refuseUtf8Header(session, raw);
      messages.push({ raw, flags, internalDate: date ?? now });
    }
    return { messages, discard };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** Octets to take over. */
interface Source {
  /** Of a header of which only some fields are wanted: not known before. */
  readonly size: number;
  read(): AsyncIterable<Uint8Array>;
}

async function rawOf(
  { spool, world }: ImapSession,
  data: AppendMessage['data'],
  sources: readonly Source[],
  discards: (() => Promise<void>)[],
): Promise<NewMessage['raw']> {
  if (data.is === 'text' && data.octets === 'lines') return data.content;
  const limit = world.settings.maxMessageSize;
  if (sources.reduce((sum, { size }) => sum + size, 0) > limit) throw tooBig(limit);
  const composed = async (octets: AsyncIterable<Uint8Array>, how: 'lines' | 'octets', most = limit) => {
    const { raw, discard } = await spool.compose(octets, how, most);
    discards.push(discard);
    return raw;
  };
  if (data.is === 'catenate' && !data.parts.some((part) => part.is === 'text' && part.octets === 'any'))
    return composed(inOrder(sources), 'lines');
  const whole = data.is === 'text' ? data.content : await composed(inOrder(sources), 'octets');
  const { root, fits } = await examine(whole, UNSTORABLE);
  // Line ends count as octets before they become CRLF; encoded, everything is a third more.
  return composed(fits ? whole.read() : convert(whole, root, UNSTORABLE), 'lines', limit * 2);
}

async function* inOrder(sources: readonly Source[]): AsyncGenerator<Uint8Array> {
  for (const source of sources) yield* source.read();
}

async function sourcesOf(session: ImapSession, data: AppendMessage['data']): Promise<Source[]> {
  if (data.is === 'text') return [textSource(data)];
  const sources: Source[] = [];
  for (const part of data.parts)
    sources.push(part.is === 'text' ? textSource(part) : await urlSource(session, part));
  return sources;
}

function textSource({ content }: Text): Source {
  return { size: content.size, read: () => content.read() };
}

/** What `BODY.PEEK[section]<partial>` of the message would give (RFC 4469 3). */
async function urlSource(session: ImapSession, { url }: Url): Promise<Source> {
  const bad = (why: string): ImapNo => new ImapNo(why, `BADURL ${urlInCode(url)}`);
  const parsed = parseMessageUrl(url);
  if (!parsed) throw bad('That is no URL of a message in this account');
  const { section, partial } = parsed;
  const { store } = session;
  const mailbox = await mailboxOf(session, parsed.mailbox);
  if (!mailbox?.selectable) throw bad('There is no such mailbox');
  if (parsed.uidValidity !== null && parsed.uidValidity !== mailbox.uidValidity)
    throw bad('The mailbox has another UIDVALIDITY');
  const uid = parsed.uid as Uid;
  try {
    for await (const [message] of store.messages(mailbox.id, [{ first: uid, last: uid }])) {
      if (message?.uid !== uid) continue;
      // Made anew where it is read: it keeps what it has read.
      const found = (): FetchedMessage => new FetchedMessage({ store, id: mailbox.id }, message, '', {});
      const span = section
        ? sectionSpan(await found().structure(), section)
        : { start: 0, end: message.size };
      if (!span) throw bad('The message has no such part');
      const gone = (): ImapNo => bad('The message is gone');
      if (section?.text.is !== 'fields') return spanSource(found, cut(span, partial), gone);
      if (span.end - span.start > MAX_HEADER) throw bad('The header is too big');
      return fieldsSource(found, span, section.text, partial, gone);
    }
  } catch (error) {
    if (error instanceof StoreError) throw bad('The message is gone');
    throw error;
  }
  throw bad('There is no such message');
}

/** Relative to the selected mailbox, when no name is given (RFC 4469 3). */
async function mailboxOf(session: ImapSession, name: string | null): Promise<Mailbox | undefined> {
  if (name !== null) return session.store.mailbox(named(name), 'known');
  return session.hasSelected ? session.selected.mailbox : undefined;
}

function spanSource(found: () => FetchedMessage, span: Span, gone: () => ImapNo): Source {
  return {
    size: span.end - span.start,
    read: () => unlessGone(octetsOf(found(), span), gone),
  };
}

function fieldsSource(
  found: () => FetchedMessage,
  span: Span,
  { names, mode }: Fields,
  partial: PartialRange | null,
  gone: () => ImapNo,
): Source {
  async function* read(): AsyncGenerator<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of octetsOf(found(), span)) chunks.push(chunk);
    const fields = selectFields(Buffer.concat(chunks), names, mode);
    const { start, end } = cut({ start: 0, end: fields.length }, partial);
    yield fields.subarray(start, end);
  }
  return { size: 0, read: () => unlessGone(read(), gone) };
}

async function* octetsOf(found: FetchedMessage, span: Span): AsyncGenerator<Uint8Array> {
  yield* (await found.octets(span)).chunks;
}

async function* unlessGone(
  octets: AsyncIterable<Uint8Array>,
  gone: () => ImapNo,
): AsyncGenerator<Uint8Array> {
  try {
    yield* octets;
  } catch (error) {
    if (error instanceof StoreError) throw gone();
    throw error;
  }
}

function cut(span: Span, partial: PartialRange | null): Span {
  if (!partial) return span;
  const start = Math.min(span.start + partial.start, span.end);
  return { start, end: Math.min(start + partial.length, span.end) };
}
