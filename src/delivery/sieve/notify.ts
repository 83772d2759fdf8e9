import { formatDate } from '../../message/date.ts';
import type { Notify } from '../../sieve/action.ts';
import { type Mailto, parseMailto } from '../../sieve/mailto.ts';
import { readable } from '../../sieve/message.ts';
import { textEntity } from '../../sieve/mime-edit.ts';
import { scriptAddress } from '../../sieve/script-address.ts';
import { firstValue, header, mailboxText, messageId, type Occasion, shortened } from './outgoing.ts';

/** Notifications by mail (RFC 5436). */

export interface Notification {
  /** Bare addresses. */
  readonly to: readonly string[];
  readonly message: Buffer;
}

/** Why none is sent, in words for the log; undefined: one is. */
export function notifyProblem(occasion: Occasion): string | undefined {
  // RFC 5436 2.7.1: two that notify each other would never stop.
  const submitted = (firstValue(occasion, 'auto-submitted') ?? 'no').trim().toLowerCase();
  return /^no\b/.test(submitted) ? undefined : 'the message was written by a program';
}

/** @param told who has been told of this message already */
export function notification(
  occasion: Occasion,
  action: Notify,
  sender: string,
  told: ReadonlySet<string>,
): Notification | undefined {
  const parsed = parseMailto(action.method);
  if (typeof parsed === 'string') return undefined;
  const uri = withoutTold(parsed, told);
  const { now, account } = occasion;
  const importance = { 1: 'High', 2: 'Normal', 3: 'Low' }[action.importance];
  const head = header([
    ['Date', formatDate(now.getTime(), 0)],
    ['From', mailboxText(action.from ?? (sender === '' ? account : sender))],
    uri.to.length > 0 ? ['To', uri.to.map(mailboxText).join(', ')] : null,
    uri.cc.length > 0 ? ['Cc', uri.cc.map(mailboxText).join(', ')] : null,
    ['Subject', shortened(action.message ?? uri.subject ?? defaultSubject(occasion))],
    ['Message-ID', messageId(occasion, 'notify')],
    // RFC 5436 2.7.1.
    ['Auto-Submitted', `auto-notified; owner-email="${account.replace(/["\\\r\n]/g, '')}"`],
    ['Importance', importance],
    ['X-Priority', { 1: '1 (High)', 2: '3 (Normal)', 3: '5 (Low)' }[action.importance]],
    ['Precedence', 'bulk'],
    ['X-Sieve', 'Facteur'],
    ...uri.fields.map(({ name, value }) => [capital(name), value] as const),
    ['MIME-Version', '1.0'],
  ]);
  return {
    to: recipients(uri),
    message: Buffer.concat([Buffer.from(head, 'latin1'), textEntity(uri.body ?? defaultText(occasion))]),
  };
}

/** Nobody is told twice of one message. */
function withoutTold(uri: Mailto, told: ReadonlySet<string>): Mailto {
  const met = new Set(told);
  const fresh = (list: readonly string[]): string[] =>
    list.filter((text) => {
      const address = bare(text);
      const isNew = !met.has(address);
      met.add(address);
      return isNew;
    });
  return { ...uri, to: fresh(uri.to), cc: fresh(uri.cc), bcc: fresh(uri.bcc) };
}

function bare(text: string): string {
  return (scriptAddress(text) ?? text).toLowerCase();
}

function recipients({ to, cc, bcc }: Mailto): string[] {
  return [...to, ...cc, ...bcc].map((text) => scriptAddress(text) ?? text);
}

function defaultSubject(occasion: Occasion): string {
  const subject = readable(firstValue(occasion, 'subject') ?? '').trim();
  return subject === '' ? 'New mail' : `New mail: ${subject.slice(0, 200)}`;
}

/** RFC 5436 2.4: who it is from; its text stays where it is. */
function defaultText(occasion: Occasion): string {
  const from = readable(firstValue(occasion, 'from') ?? occasion.envelope.from).slice(0, 500);
  return `A message has arrived.\r\n\r\nFrom: ${from}\r\nTo: ${occasion.account}\r\n`;
}

function capital(name: string): string {
  return name.replace(/(?:^|-)[a-z]/g, (letters) => letters.toUpperCase());
}
