import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import type { Mailbox, Replaced } from '../store/store.ts';
import type { Announced, ImapSession, LiteralKind } from './command.ts';
import { ImapBad, ImapNo, noSuchDestination, toImapNo } from './errors.ts';
import { LiteralAhead, type Parser } from './parser.ts';

/**
 * What APPEND and REPLACE say of a message to store (RFC 4466 3, append-message): flags, date, and its octets, as a
 * literal, as UTF8 (RFC 6855 4), or put together of literals and URLs (RFC 4469 3).
 */

/** All that is uploaded by one command, octets. Each message may have `maxMessageSize`. */
const MAX_TOGETHER = 1024 ** 3;
/** Literals and URLs that make up the messages of one command. */
const MAX_PARTS = 1000;
/** A message of this size is taken in faster than it is asked whether it may come. */
const SMALL = 64 * 1024;

export interface AppendMessage {
  readonly flags: readonly string[];
  /** Null is now. */
  readonly date: number | null;
  readonly data: Text | { readonly is: 'catenate'; readonly parts: readonly (Text | Url)[] };
}

export interface Text {
  readonly is: 'text';
  readonly content: RawMessage;
  /** `any`: it came as a literal8, so its line ends may be none (RFC 3516 4.4). */
  readonly octets: 'lines' | 'any';
}

export interface Url {
  readonly is: 'url';
  /** A string of bytes ("latin1"). */
  readonly url: string;
}

/** How far the messages of a command have been read. */
export class Progress {
  /** Messages whose data was begun. */
  messages = 0;
  /** Octets uploaded so far: by the command, and for the message that is being read. */
  octets = 0;
  inMessage = 0;
  parts = 0;
  /** What a literal is that comes next. */
  next: 'argument' | 'message' | 'part' = 'argument';
}

/** One message, after the mailbox's name or the message before it. */
export function parseMessage(p: Parser, progress: Progress = new Progress()): AppendMessage {
  p.sp();
  let flags: readonly string[] = [];
  let date: number | null = null;
  if (p.isList) {
    flags = p.flagList();
    p.sp();
  }
  if (p.isQuoted) {
    date = p.dateTime();
    p.sp();
  }
  progress.messages++;
  progress.inMessage = 0;
  if (!p.tryTake('CATENATE (')) return { flags, date, data: text(p, progress, 'message') };
  const parts: (Text | Url)[] = [];
  do parts.push(part(p, progress));
  while (p.tryTake(' '));
  p.take(')');
  return { flags, date, data: { is: 'catenate', parts } };
}

function part(p: Parser, progress: Progress): Text | Url {
  if (++progress.parts > MAX_PARTS) throw new ImapNo(`At most ${MAX_PARTS} parts at a time`, 'LIMIT');
  if (p.tryTake('URL ')) {
    progress.next = 'argument';
    return { is: 'url', url: p.astring().toString('latin1') };
  }
  // RFC 6855 4 has UTF8 as a part of its own.
  if (!p.isWord('UTF8')) p.take('TEXT ');
  return text(p, progress, 'part');
}

function text(p: Parser, progress: Progress, next: 'message' | 'part'): Text {
  progress.next = next;
  const utf8 = p.isWord('UTF8');
  if (utf8) {
    // RFC 6855 4: only for those who have enabled it.
    if (p.charsets !== 'utf8-only') p.fail('UTF8=ACCEPT is not enabled');
    p.take('UTF8 (');
    if (!p.next('~')) p.fail('A literal8 is missing');
  }
  const octets = p.next('~') ? 'any' : 'lines';
  const message = p.message();
  const content = Buffer.isBuffer(message) ? rawMessage([message]) : message;
  progress.octets += content.size;
  progress.inMessage += content.size;
  if (utf8) p.take(')');
  return { is: 'text', content, octets };
}

/**
 * What a literal that the bytes so far announce is to APPEND and REPLACE; `parse` reads all that is there. Refuses what
 * is bound to fail before the client sends it (RFC 7889 3, RFC 9208 4.1.3, RFC 3502 6.3.11).
 */
export async function announcedLiteral(
  session: ImapSession,
  { size, plus }: Announced,
  parse: (progress: Progress) => void,
  about: { readonly path: () => string; readonly replaces?: () => Replaced },
): Promise<LiteralKind> {
  const progress = new Progress();
  let ahead: LiteralAhead;
  try {
    parse(progress);
    throw new ImapBad('No literal belongs here');
  } catch (error) {
    if (!(error instanceof LiteralAhead)) throw error;
    ahead = error;
  }
  if (progress.next === 'argument') return 'argument';
  // RFC 3502 6.3.11: this is how a client takes it back.
  if (size === 0 && progress.next === 'message') throw nothingThere();
  const limit = session.world.settings.maxMessageSize;
  if (progress.inMessage + size > limit) throw tooBig(limit);
  const octets = progress.octets + size;
  if (octets > MAX_TOGETHER) throw tooBig(MAX_TOGETHER);
  // It is here before a refusal could be, and the same is asked when it is stored.
  if (!plus || octets > SMALL) {
    const { id } = await destination(session, about.path());
    const replaces = about.replaces?.();
    await session.store
      .admit(id, octets, { messages: progress.messages, ...(replaces && { replaces }) })
      .catch((error) => {
        throw toImapNo(error);
      });
  }
  return progress.next === 'part' || ahead.literal8 ? 'octets' : 'message';
}

/** The mailbox a message is to go to. */
export async function destination({ store }: ImapSession, path: string): Promise<Mailbox> {
  const mailbox = await store.mailbox(named(path), 'known');
  if (!mailbox?.selectable) throw noSuchDestination();
  return mailbox;
}

/** Some clients write the hierarchy delimiter behind a name. */
export function named(path: string): string {
  return path.replace(/\/$/, '');
}

export function nothingThere(): ImapNo {
  return new ImapNo('There is no message', 'CANNOT');
}

export function tooBig(limit: number): ImapNo {
  return new ImapNo(`Messages may have ${limit} octets`, 'TOOBIG');
}
