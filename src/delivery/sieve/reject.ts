import type { EnhancedCode, Reply } from '../../mail/reply.ts';
import { isAscii } from '../../message/charset.ts';
import { formatDate } from '../../message/date.ts';
import { readable } from '../../sieve/message.ts';
import { firstValue, header, mailboxText, messageId, type Occasion, threading } from './outgoing.ts';

/** Refusals (RFC 5429): a reply while the message is still being handed over, a disposition notification afterwards. */

/** Of the reason in a reply: some lines of SMTP. */
const MAX_REASON = 1000;
const CODE = 550;
/** RFC 3463 3.8: delivery not authorised. */
const ENHANCED: EnhancedCode = '5.7.1';

/** RFC 5429 2.1.1: UTF-8 where the other side knows it, else what is left of it in ASCII. */
export function rejectReply(reason: string, smtputf8: boolean): Reply {
  const text = reason.replace(/\s+/g, ' ').trim().slice(0, MAX_REASON);
  const shown =
    smtputf8 || isAscii(text)
      ? text
      : text
          .normalize('NFKD')
          .replace(/\p{M}/gu, '')
          .replace(/[^ -~]/g, '?');
  return {
    code: CODE,
    enhanced: ENHANCED,
    text: shown === '' ? 'The recipient does not want this message' : shown,
  };
}

/** RFC 5429 2.2, RFC 8098: an MDN for a message that we have taken already. @param headerText of the message, "latin1" */
export function rejectNotice(occasion: Occasion, reason: string, headerText: string): Buffer {
  const { account, envelope, now, hostname } = occasion;
  const boundary = `facteur-${occasion.id}-mdn`;
  const id = firstValue(occasion, 'message-id');
  const subject = readable(firstValue(occasion, 'subject') ?? '').trim();
  const head = header([
    ['Date', formatDate(now.getTime(), 0)],
    ['From', `"Postmaster" <postmaster@${hostname}>`],
    ['To', `<${mailboxText(envelope.from)}>`],
    ['Subject', subject === '' ? 'Automatically rejected mail' : `Rejected: ${subject.slice(0, 200)}`],
    ['Message-ID', messageId(occasion, 'reject')],
    ...threading(occasion),
    ['Auto-Submitted', 'auto-replied (rejected)'],
    ['Precedence', 'bulk'],
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type=disposition-notification; boundary="${boundary}"`],
  ]);
  const fields = header([
    ['Reporting-UA', `${hostname}; Facteur (Sieve reject)`],
    envelope.origTo === undefined ? null : ['Original-Recipient', `rfc822; ${envelope.origTo}`],
    ['Final-Recipient', `rfc822; ${account}`],
    id === undefined ? null : ['Original-Message-ID', id],
    ['Disposition', 'automatic-action/MDN-sent-automatically; deleted'],
  ]);
  const text = `Your message was refused by the recipient’s mail filter. The reason given was:\r\n\r\n${reason.replace(/\r?\n/g, '\r\n')}\r\n`;
  const body =
    `\r\n--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${text}` +
    `\r\n--${boundary}\r\nContent-Type: message/disposition-notification\r\n\r\n`;
  return Buffer.concat([
    Buffer.from(head, 'latin1'),
    Buffer.from(body),
    Buffer.from(`${fields}\r\n--${boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n`, 'latin1'),
    Buffer.from(headerText, 'latin1'),
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}
