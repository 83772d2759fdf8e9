import { formatDate } from '../../message/date.ts';
import type { Report } from '../../sieve/action.ts';
import { readable } from '../../sieve/message.ts';
import { firstValue, header, mailboxText, messageId, type Occasion } from './outgoing.ts';
import type { Parted } from './parted.ts';

/** An abuse report about the message (RFC 5965), for vnd.dovecot.report. */
export async function* abuseReport(
  occasion: Occasion,
  { feedback, text, to, headersOnly }: Pick<Report<unknown>, 'feedback' | 'text' | 'to' | 'headersOnly'>,
  original: Parted,
  sender: string,
): AsyncGenerator<Uint8Array> {
  const { account, envelope, now, hostname } = occasion;
  const boundary = `facteur-${occasion.id}-arf`;
  const subject = readable(firstValue(occasion, 'subject') ?? '').trim();
  const head = header([
    ['Date', formatDate(now.getTime(), 0)],
    ['From', mailboxText(sender)],
    ['To', mailboxText(to)],
    ['Subject', `Report: ${subject === '' ? '(message has no subject)' : subject.slice(0, 200)}`],
    ['Message-ID', messageId(occasion, 'report')],
    ['Auto-Submitted', 'auto-generated (report)'],
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type=feedback-report; boundary="${boundary}"`],
  ]);
  const fields = header([
    ['Feedback-Type', feedback],
    ['User-Agent', 'Facteur'],
    ['Version', '1'],
    envelope.from === '' ? null : ['Original-Mail-From', `<${envelope.from}>`],
    ['Original-Rcpt-To', `<${envelope.origTo ?? envelope.to}>`],
    ['Reporting-MTA', `dns; ${hostname}`],
    ['Received-Date', formatDate(now.getTime(), 0)],
    ['Reporting-User', account],
  ]);
  const type = headersOnly ? 'text/rfc822-headers' : 'message/rfc822';
  yield Buffer.from(head, 'latin1');
  yield Buffer.from(
    `\r\n--${boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n` +
      `${text.replace(/\r?\n/g, '\r\n')}\r\n`,
  );
  yield Buffer.from(`\r\n--${boundary}\r\nContent-Type: message/feedback-report\r\n\r\n${fields}`, 'latin1');
  yield Buffer.from(`\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Disposition: inline\r\n\r\n`);
  yield Buffer.from(original.header, 'latin1');
  if (!headersOnly) yield* original.body;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}
