import { isUtf8 } from 'node:buffer';
import { ImapBad } from './errors.ts';
import { type PartialRange, parseSection, type Section } from './fetch/section.ts';
import { Parser } from './parser.ts';

/**
 * IMAP URLs of messages and parts of them (RFC 5092), as CATENATE takes them: relative to the account that is logged in,
 * or to the selected mailbox (RFC 4469 3). What names a server is not ours, whatever it names.
 */

/** RFC 5092 names no limit; a mailbox name of 1024 octets, all of them encoded, and a section fit in this. */
const MAX_URL = 8192;

export interface MessageUrl {
  /** Decoded; null is the selected mailbox. */
  readonly mailbox: string | null;
  readonly uidValidity: number | null;
  readonly uid: number;
  readonly section: Section | null;
  readonly partial: PartialRange | null;
}

/** `/mailbox;UIDVALIDITY=n/;UID=n/;SECTION=s/;PARTIAL=n.n`; the first step of the path may be left out, with its slash. */
const FORM =
  /^(?:\/(?!\/)(.+?)(?:;uidvalidity=([1-9]\d{0,9}))?\/)?;uid=([1-9]\d{0,9})(?:\/;section=([^;]*))?(?:\/;partial=(\d{1,15})(?:\.(\d{1,15}))?)?$/is;

/** Undefined where it is none. `url` is a string of bytes ("latin1"). */
export function parseMessageUrl(url: string): MessageUrl | undefined {
  if (url.length > MAX_URL) return undefined;
  const [, name, uidValidity, uid, section, start, length] = FORM.exec(url) ?? [];
  if (uid === undefined) return undefined;
  const mailbox = name === undefined ? null : mailboxOf(name);
  if (mailbox === undefined) return undefined;
  const spec = section === undefined ? null : sectionOf(section);
  if (spec === undefined) return undefined;
  if (length !== undefined && Number(length) === 0) return undefined;
  return {
    mailbox,
    uidValidity: uidValidity === undefined ? null : Number(uidValidity),
    uid: Number(uid),
    section: spec,
    partial:
      start === undefined
        ? null
        : { start: Number(start), length: length === undefined ? Number.MAX_SAFE_INTEGER : Number(length) },
  };
}

/** As BADURL carries it: an octet that cannot stand in a response code is encoded (RFC 4469 5, url-resp-text). */
export function urlInCode(url: string): string {
  const cut = url.slice(0, MAX_URL);
  return cut.replace(/[^\x20-\x5b\x5e-\x7e]/g, (char) => `%${hex(char)}`);
}

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}

/** UTF-8, percent-encoded (RFC 5092 8); undefined where it is not. */
function mailboxOf(encoded: string): string | undefined {
  const bytes = decoded(encoded);
  if (!bytes || !isUtf8(bytes) || bytes.includes(0)) return undefined;
  const name = bytes.toString().normalize('NFC').replace(/\/$/, '');
  return /^inbox(?=\/|$)/i.test(name) ? `INBOX${name.slice(5)}` : name;
}

/** What stands between the brackets of BODY[…]; empty is the whole message. */
function sectionOf(encoded: string): Section | undefined {
  const bytes = decoded(encoded);
  if (!bytes || bytes.includes(0x0a)) return undefined;
  try {
    const p = new Parser({ bytes: Buffer.concat([bytes, Buffer.from(']')]) });
    const section = parseSection(p);
    return p.atEnd ? section : undefined;
  } catch (error) {
    if (error instanceof ImapBad) return undefined;
    throw error;
  }
}

function decoded(encoded: string): Buffer | undefined {
  if (/%(?![0-9a-f]{2})/i.test(encoded)) return undefined;
  const text = encoded.replace(/%(..)/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
  return Buffer.from(text, 'latin1');
}
