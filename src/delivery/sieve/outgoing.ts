import { formatAddress, needsSmtpUtf8, parseAddress } from '../../mail/address.ts';
import type { Mailbox } from '../../message/address-list.ts';
import { decodeWords, encodeWords } from '../../message/encoded-word.ts';
import { messageIds } from '../../message/message-ids.ts';
import { addressesIn } from '../../sieve/fields.ts';
import { newField } from '../../sieve/header-text.ts';
import type { Envelope } from '../../sieve/host.ts';
import type { HeaderField } from '../../sieve/message.ts';

/** What the house writes for a script: answers, refusals, notifications, reports. Headers that nobody can break into. */

/** What all of them are made from. */
export interface Occasion {
  /** The address of the account. */
  readonly account: string;
  readonly envelope: Envelope;
  /** Of the message that arrived. */
  readonly fields: readonly HeaderField[];
  /** That it has already. */
  readonly flags?: readonly string[];
  readonly now: Date;
  readonly hostname: string;
  /** The same for the same action of the same delivery, so that one that is sent twice is known as one. */
  readonly id: string;
}

/** Characters of a subject that has another's in it. */
const MAX_SUBJECT = 256;
/** References that are carried on (RFC 5322 3.6.4), in octets. */
const MAX_REFERENCES = 900;

export function header(fields: readonly (readonly [name: string, value: string] | null)[]): string {
  return fields
    .map((field) => {
      if (field === null) return '';
      const [name, value] = field;
      return newField(name, value, ADDRESSES.has(name) ? 'addresses' : 'text').text;
    })
    .join('');
}

const ADDRESSES = new Set(['From', 'To', 'Cc', 'Original-Mail-From', 'Original-Rcpt-To', 'Final-Recipient']);

export function firstValue({ fields }: Pick<Occasion, 'fields'>, name: string): string | undefined {
  return fields.find((field) => field.name === name)?.value;
}

export function messageId({ id, hostname }: Occasion, kind: string): string {
  return `<${id}.${kind}@${hostname}>`;
}

/** In-Reply-To and References of an answer. */
export function threading(occasion: Occasion): readonly (readonly [string, string])[] {
  const [id] = messageIds(firstValue(occasion, 'message-id') ?? '');
  if (id === undefined) return [];
  const before = messageIds(firstValue(occasion, 'references') ?? firstValue(occasion, 'in-reply-to') ?? '');
  const kept: string[] = [];
  let size = 0;
  for (const one of [...before, id].toReversed()) {
    size += one.length + 3;
    if (size > MAX_REFERENCES && kept.length > 0) break;
    kept.unshift(bracketed(one));
  }
  return [
    ['In-Reply-To', bracketed(id)],
    ['References', kept.join(' ')],
  ];
}

function bracketed(id: string): string {
  return id.startsWith('<') ? id : `<${id}>`;
}

/** An address that a script wrote, perhaps with a name, as a header field has it. */
export function mailboxText(text: string): string {
  const [mailbox] = addressesIn(Buffer.from(text).toString('latin1'));
  if (!mailbox) return text.replace(/[<>\r\n]/g, '');
  return mailbox.name === null ? shown(mailbox).slice(1, -1) : shown(mailbox);
}

/** `"A. Name" <user@example.org>`; a name that is not ASCII as encoded words. */
export function shown({ name, local, domain }: Pick<Mailbox, 'name' | 'local' | 'domain'>): string {
  const bare = utf8(`${local ?? ''}@${domain ?? ''}`);
  const address = parseAddress(bare);
  const path = `<${address ? formatAddress(address) : bare.replace(/[<>\s]/g, '')}>`;
  const phrase = name === null ? '' : decodeWords(name).trim();
  if (phrase === '') return path;
  const encoded = encodeWords(phrase).replace(/\r\n /g, ' ');
  return encoded === phrase ? `"${phrase.replace(/["\\]/g, '\\$&')}" ${path}` : `${encoded} ${path}`;
}

/** An address by the name of a setting; empty: the null reverse-path. */
export function senderOf(setting: string, { account, envelope }: Occasion, postmaster: string): string {
  switch (setting) {
    case 'sender':
      return envelope.from;
    case 'recipient':
      return envelope.to;
    case 'original':
      return envelope.origTo ?? envelope.to;
    case 'account':
      return account;
    case 'postmaster':
      return postmaster;
    default:
      return setting.replace(/^<|>$/g, '');
  }
}

/** Not longer than anybody reads. */
export function shortened(subject: string): string {
  const characters = [...subject];
  return characters.length > MAX_SUBJECT ? `${characters.slice(0, MAX_SUBJECT - 1).join('')}…` : subject;
}

function utf8(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('utf8');
}

export function isUtf8Address(text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && needsSmtpUtf8(address);
}
