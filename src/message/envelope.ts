/**
 * IMAP's ENVELOPE (RFC 9051 7.5.2), printed from a message's header as it goes on the wire: one char an octet.
 * Nothing is decoded; raw 8-bit text goes out as literals. Never throws, linear in the header.
 *
 * Of a field that stands there twice, address lists are put together and the last one counts of the others, as
 * Dovecot does it.
 */
import { type Group, type Mailbox, parseAddressList } from './address-list.ts';
import { fields, trimBlanks, unfold } from './header.ts';
import { imapString, nstring } from './imap-string.ts';

/**
 * A missing host or mailbox cannot be NIL, which would begin or end a group: Dovecot's words, which clients and
 * filters know, stand in for it.
 */
const MISSING_DOMAIN = 'MISSING_DOMAIN';
const MISSING_MAILBOX = 'MISSING_MAILBOX';

const TEXTS = new Set(['date', 'subject', 'in-reply-to', 'message-id']);
const LISTS = new Set(['from', 'sender', 'reply-to', 'to', 'cc', 'bcc']);

/** @param header the header's octets (header.ts: byteString). */
export function envelope(header: string): string {
  const texts = new Map<string, string>();
  const lists = new Map<string, string>();
  for (const { name, value } of fields(header)) {
    if (TEXTS.has(name)) texts.set(name, name === 'subject' ? oneLine(value) : unfold(value));
    else if (LISTS.has(name)) lists.set(name, (lists.get(name) ?? '') + addresses(unfold(value)));
  }
  const list = (name: string) => {
    const printed = lists.get(name);
    return printed ? `(${printed})` : undefined;
  };
  const from = list('from') ?? 'NIL';
  return `(${[
    nstring(texts.get('date')),
    nstring(texts.get('subject')),
    from,
    // Absent or empty ones default to From.
    list('sender') ?? from,
    list('reply-to') ?? from,
    list('to') ?? 'NIL',
    list('cc') ?? 'NIL',
    list('bcc') ?? 'NIL',
    nstring(texts.get('in-reply-to')),
    nstring(texts.get('message-id')),
  ].join(' ')})`;
}

/** The envelope of a message that has no header at all. */
export const EMPTY_ENVELOPE: string = envelope('');

/** Text for people: what folding made of blanks is one blank. */
function oneLine(value: string): string {
  return trimBlanks(value.replace(/[ \t\r\n]+/g, ' '));
}

function addresses(value: string): string {
  let printed = '';
  for (const item of parseAddressList(value)) printed += item.is === 'group' ? group(item) : mailbox(item);
  return printed;
}

/** RFC 9051 7.5.2: a member with a NIL host begins a group, one that is all NIL ends it. */
function group({ name, members }: Group): string {
  const begin = `(NIL NIL ${imapString(oneLine(name))} NIL)`;
  return `${begin}${members.map(mailbox).join('')}(NIL NIL NIL NIL)`;
}

function mailbox({ name, route, local, domain }: Mailbox): string {
  const shown = name === null ? 'NIL' : imapString(oneLine(name));
  return `(${shown} ${nstring(route)} ${imapString(local ?? MISSING_MAILBOX)} ${imapString(domain ?? MISSING_DOMAIN)})`;
}
