import { createHash } from 'node:crypto';
import { formatDate } from '../../message/date.ts';
import type { Vacation } from '../../sieve/action.ts';
import { addressesIn } from '../../sieve/fields.ts';
import { readable } from '../../sieve/message.ts';
import { textEntity } from '../../sieve/mime-edit.ts';
import type { VacationSettings } from '../../sieve/options.ts';
import {
  firstValue,
  header,
  mailboxText,
  messageId,
  type Occasion,
  shortened,
  shown,
  threading,
} from './outgoing.ts';

/** Answers of `vacation` (RFC 5230, RFC 3834): whether there is one, and how it reads. */

/** Nobody who would read an answer writes under these names (RFC 5230 4.6, RFC 3834 2). */
const MACHINES = /^(?:mailer-daemon|listserv|majordomo|postmaster|no-?reply|do-?not-?reply|bounces?)$/i;
const LISTS = /^owner-|-(?:request|owner|bounces?)$/i;
/** RFC 2369, RFC 2919. */
const LIST_FIELD = /^list-(?:id|help|subscribe|unsubscribe|unsubscribe-post|post|owner|archive)$/;
const RECIPIENTS = ['to', 'cc', 'bcc', 'resent-to', 'resent-cc', 'resent-bcc'];

/** Why the message gets no answer, in words for the log; else which address of the user it names. */
export async function addressed(
  occasion: Occasion,
  { addresses }: Vacation,
  { originalRecipient, checkRecipient }: VacationSettings,
  isOwn: (address: string) => Promise<boolean>,
): Promise<{ readonly problem: string } | { readonly own: string }> {
  const { envelope, fields } = occasion;
  const { from } = envelope;
  if (from === '') return { problem: 'no sender' };
  const local = from.slice(0, Math.max(0, from.lastIndexOf('@')));
  if (MACHINES.test(local) || LISTS.test(local)) return { problem: 'the sender is a program' };
  const known = [envelope.to, occasion.account, ...addresses];
  const own = new Set([...known, ...(originalRecipient ? [envelope.origTo ?? ''] : [])].map(bareAddress));
  const isMine = async (address: string): Promise<boolean> =>
    own.has(address.toLowerCase()) || isOwn(address);
  if (await isMine(from)) return { problem: 'the sender is the account itself' };
  if (fields.some(({ name }) => LIST_FIELD.test(name))) return { problem: 'it came through a mailing list' };
  const value = (name: string): string => (firstValue(occasion, name) ?? '').trim().toLowerCase();
  if (!/^(?:no\b.*)?$/.test(value('auto-submitted'))) return { problem: 'it was written by a program' };
  if (/^(?:bulk|list|junk)$/.test(value('precedence'))) return { problem: 'it is bulk mail' };
  if (/\b(?:all|oof|autoreply)\b/.test(value('x-auto-response-suppress')))
    return { problem: 'the sender wants no answer' };
  if (/^yes\b/.test(value('x-spam-flag'))) return { problem: 'it is spam' };
  for (const field of fields) {
    if (!RECIPIENTS.includes(field.name)) continue;
    for (const one of addressesIn(field.value)) {
      const address = `${one.local}@${one.domain}`;
      if (one.local !== null && one.domain !== null && (await isMine(address))) return { own: address };
    }
  }
  return checkRecipient ? { problem: 'it is not addressed to the account' } : { own: occasion.envelope.to };
}

function bareAddress(text: string): string {
  const [one] = addressesIn(text);
  return one?.local == null || one.domain === null ? '' : `${one.local}@${one.domain}`.toLowerCase();
}

/** Names this answer to this sender in what is remembered (RFC 5230 4.2, 4.7). */
export function vacationKey({ handle, subject, from, mime, reason }: Vacation, sender: string): string {
  const what = handle === null ? JSON.stringify([subject, from, mime, reason]) : `:${handle}`;
  return createHash('sha256').update(`${what}\0${sender.toLowerCase()}`).digest('base64url');
}

/** @param own the address of the user that the message names */
export function vacationAnswer(
  occasion: Occasion,
  action: Vacation,
  own: string,
  settings: VacationSettings,
): Buffer {
  const { account, envelope, now } = occasion;
  const head = header([
    ['Date', formatDate(now.getTime(), 0)],
    ['From', mailboxText(action.from ?? (settings.from === 'account' ? account : own))],
    ['To', answeredTo(occasion, envelope.from, settings.answerTo)],
    ['Subject', answerSubject(occasion, action.subject, settings)],
    ['Message-ID', messageId(occasion, 'vacation')],
    ...threading(occasion),
    // RFC 3834 5, RFC 5230 5.8.
    ['Auto-Submitted', 'auto-replied (vacation)'],
    ['Precedence', 'bulk'],
    ['X-Auto-Response-Suppress', 'All'],
    ['X-Sieve', 'Facteur'],
    ['MIME-Version', '1.0'],
  ]);
  const entity = action.mime
    ? Buffer.from(action.reason.replace(/\r?\n/g, '\r\n').replace(/^MIME-Version:.*\r\n/im, ''))
    : textEntity(action.reason);
  return Buffer.concat([Buffer.from(head, 'latin1'), entity]);
}

/** With the name under which the sender writes. */
function answeredTo({ fields }: Occasion, sender: string, which: VacationSettings['answerTo']): string {
  for (const name of ['sender', 'resent-from', 'from', 'reply-to'])
    for (const field of fields) {
      if (field.name !== name) continue;
      for (const one of addressesIn(field.value)) {
        if (one.local === null || one.domain === null) continue;
        if (which === 'header' || `${one.local}@${one.domain}`.toLowerCase() === sender.toLowerCase())
          return shown(one);
      }
    }
  return `<${mailboxText(sender)}>`;
}

function answerSubject(occasion: Occasion, subject: string | null, settings: VacationSettings): string {
  if (subject !== null) return subject;
  const theirs = readable(firstValue(occasion, 'subject') ?? '').trim();
  return theirs === ''
    ? settings.noSubject
    : shortened(settings.subject.replaceAll('{subject}', () => theirs));
}
