/**
 * What the index keeps of a message's header for searching, sorting and threads: never throws, linear in the header.
 */
import { parseAddressList } from './address-list.ts';
import { type BaseSubject, baseSubject } from './base-subject.ts';
import { parseDate } from './date.ts';
import { decodeWords } from './encoded-word.ts';
import { fold } from './fold.ts';
import { byteString, fields, unfold } from './header.ts';
import { ancestors, messageIds } from './message-ids.ts';
import { hiddenAddresses, isForPeople } from './text.ts';
import { addWords } from './words.ts';

/** What RFC 5256 and RFC 5957 sort by; folded, cut to KEY_LENGTH. */
export interface SortKeys {
  readonly subject: string;
  readonly from: string;
  readonly to: string;
  readonly cc: string;
  readonly displayFrom: string;
  readonly displayTo: string;
}

export interface MessageKeys extends SortKeys {
  /** Milliseconds: the Date field as it reads, and in UTC; null when there is no usable one. */
  readonly sent: number | null;
  readonly sentUtc: number | null;
  readonly kind: BaseSubject['kind'];
  /** The base subject, folded, and not cut. */
  readonly base: string;
  readonly messageId: string | null;
  /** Oldest first. */
  readonly ancestors: readonly string[];
}

/** Words of the fields that have a search key of their own, and of all that TEXT finds in the header. */
export interface HeaderWords {
  readonly subject: Set<string>;
  readonly from: Set<string>;
  readonly to: Set<string>;
  readonly cc: Set<string>;
  readonly bcc: Set<string>;
  readonly header: Set<string>;
}

/** Where two differ only after so many characters, the mailbox's order is as good. */
const KEY_LENGTH = 100;

/** @param header the whole block */
export function messageKeys(header: Uint8Array): MessageKeys {
  const values = new Map<string, string[]>();
  for (const { name, value } of fields(byteString(header))) {
    if (!KEY_FIELDS.has(name)) continue;
    const list = values.get(name);
    if (list) list.push(unfold(value));
    else values.set(name, [unfold(value)]);
  }
  const all = (name: string): readonly string[] => values.get(name) ?? [];
  const first = (name: string): string => values.get(name)?.[0] ?? '';
  const date = parseDate(first('date'));
  const subject = baseSubject(decodeWords(first('subject')));
  const from = firstAddress(first('from'));
  const to = firstAddress(first('to'));
  return {
    sent: date ? date.ms + date.zoneMinutes * 60_000 : null,
    sentUtc: date ? date.ms : null,
    subject: key(subject.text),
    kind: subject.kind,
    base: fold(subject.text),
    from: key(from.mailbox),
    to: key(to.mailbox),
    cc: key(firstAddress(first('cc')).mailbox),
    displayFrom: key(from.display),
    displayTo: key(to.display),
    messageId: messageIds(first('message-id'))[0] ?? null,
    ancestors: ancestors(all('references'), all('in-reply-to')),
  };
}

const KEY_FIELDS = new Set([
  'date',
  'subject',
  'from',
  'to',
  'cc',
  'message-id',
  'references',
  'in-reply-to',
]);

/** The words of what text.ts reads in the header. */
export function headerWords(header: Uint8Array): HeaderWords {
  const words: HeaderWords = {
    subject: new Set(),
    from: new Set(),
    to: new Set(),
    cc: new Set(),
    bcc: new Set(),
    header: new Set(),
  };
  for (const { name, value } of fields(byteString(header))) {
    if (!isForPeople(name)) continue;
    const text = fold(decodeWords(unfold(value)));
    addWords(fold(name), 'text', words.header);
    addWords(text, 'text', words.header);
    if (name === 'subject') addWords(text, 'text', words.subject);
    else if (name === 'from' || name === 'to' || name === 'cc' || name === 'bcc') {
      addWords(text, 'address', words[name]);
      for (const address of hiddenAddresses(unfold(value))) addWords(fold(address), 'address', words[name]);
    }
  }
  return words;
}

/** RFC 5256 3: addr-mailbox of the first address; RFC 5957 3: its name as people see it, else the address. */
function firstAddress(value: string): { readonly mailbox: string; readonly display: string } {
  const [first] = parseAddressList(value.slice(0, 4000));
  if (!first) return { mailbox: '', display: '' };
  if (first.is === 'group') return { mailbox: decodeWords(first.name), display: decodeWords(first.name) };
  const { name, local, domain } = first;
  const display = decodeWords(name ?? '').trim();
  return {
    mailbox: decodeWords(local ?? ''),
    display:
      display === '' ? decodeWords([local, domain].filter((part) => part !== null).join('@')) : display,
  };
}

/** RFC 5255 4.6: what was not text in the charset that it claims comes after all that was. */
function key(text: string): string {
  const folded = fold(text.slice(0, 4 * KEY_LENGTH)).slice(0, KEY_LENGTH);
  return folded.includes('\ufffd') ? `\uffff${folded}` : folded;
}
