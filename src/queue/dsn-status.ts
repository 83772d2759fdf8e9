import { needsSmtpUtf8 } from '../mail/address.ts';
import type { EnhancedCode, Reply } from '../mail/reply.ts';
import { formatReply } from '../mail/reply.ts';
import { formatDate } from '../message/date.ts';
import type { QueuedMessage } from './queue.ts';
import { type DsnEvent, type DsnRecipient, type DsnTerms, headerAddress } from './report.ts';

/** The part for programs: message/delivery-status (RFC 3464 2), or message/global-delivery-status (RFC 6533 4.1). */
export type StatusCharset = 'ascii' | 'utf-8';

/** RFC 5322 2.1.1 wants lines of at most 78 octets. */
const FOLD_AT = 76;
/** Of a peer's reply, however long it is. */
const DIAGNOSTIC_LIMIT = 1000;

export function statusPart(
  message: QueuedMessage,
  event: DsnEvent,
  recipients: readonly DsnRecipient[],
  terms: DsnTerms,
  charset: StatusCharset,
): string {
  const blocks = [
    perMessage(message, terms, charset),
    ...recipients.map((one) => perRecipient(message, event, one, terms, charset)),
  ];
  return `${blocks.map((lines) => lines.join('\r\n')).join('\r\n\r\n')}\r\n`;
}

function perMessage(
  message: QueuedMessage,
  { hostname }: DsnTerms,
  charset: StatusCharset,
): readonly string[] {
  return [
    // Only what the sender gave (RFC 3461 6.3 a).
    ...(message.envid === undefined ? [] : [field('Original-Envelope-Id', message.envid, charset)]),
    field('Reporting-MTA', `dns; ${hostname}`, charset),
    field('Arrival-Date', formatDate(message.queuedAt, 0), charset),
    field('X-Facteur-Queue-Id', message.id, charset),
  ];
}

function perRecipient(
  message: QueuedMessage,
  event: DsnEvent,
  { recipient, action, reply, remoteMta }: DsnRecipient,
  { now, expire }: DsnTerms,
  charset: StatusCharset,
): readonly string[] {
  const lines: string[] = [];
  if (recipient.orcpt !== undefined)
    lines.push(field('Original-Recipient', typed(recipient.orcpt, charset), charset));
  const { address } = recipient;
  const type = needsSmtpUtf8(address) ? 'utf-8' : 'rfc822';
  lines.push(
    field('Final-Recipient', typed(`${type}; ${headerAddress(address)}`, charset), charset),
    field('Action', action === 'expired' ? 'failed' : action, charset),
    field('Status', status(action, reply), charset),
  );
  if (remoteMta !== undefined) lines.push(field('Remote-MTA', `dns; ${remoteMta}`, charset));
  const diagnostic = formatReply(reply).slice(0, DIAGNOSTIC_LIMIT);
  lines.push(
    field('Diagnostic-Code', `smtp; ${diagnostic}`, charset),
    field('Last-Attempt-Date', formatDate(now, 0), charset),
  );
  if (event === 'delay')
    lines.push(field('Will-Retry-Until', formatDate(message.queuedAt + expire, 0), charset));
  return lines;
}

/** The peer's own code where it fits what we say of it, else the general one (RFC 3463). */
export function status(action: DsnRecipient['action'], { enhanced }: Pick<Reply, 'enhanced'>): EnhancedCode {
  switch (action) {
    case 'failed':
      return enhanced?.startsWith('5') ? enhanced : '5.0.0';
    case 'expired':
      // X.4.7: delivery time expired.
      return enhanced?.startsWith('4') && enhanced !== '4.0.0' ? enhanced : '4.4.7';
    case 'delayed':
      return enhanced?.startsWith('4') ? enhanced : '4.0.0';
    case 'delivered':
    case 'relayed':
    case 'expanded':
      return enhanced?.startsWith('2') ? enhanced : '2.0.0';
  }
}

/** `addr-type; address`; in ASCII, an internationalized address has its utf-8-addr-xtext form (RFC 6533 3). */
function typed(value: string, charset: StatusCharset): string {
  if (charset === 'utf-8') return value;
  return value.replace(
    /[^\p{ASCII}]/gu,
    (char) => `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`,
  );
}

/** One field, folded at blanks, with nothing in it that could end it: much of it comes from strangers. */
function field(name: string, value: string, charset: StatusCharset): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const safe = value.replace(/[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029]+/g, ' ');
  const text = charset === 'ascii' ? safe.replace(/[^\p{ASCII}]/gu, '?') : safe;
  const lines: string[] = [];
  let line = `${name}:`;
  for (const word of text.split(' ').filter((part) => part !== '')) {
    if (line.length + 1 + word.length > FOLD_AT && line !== `${name}:`) {
      lines.push(line);
      line = '';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\r\n');
}
