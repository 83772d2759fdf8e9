import { createHash, randomBytes } from 'node:crypto';
import type { Piece } from '../lib/pieces.ts';
import { type Address, needsSmtpUtf8 } from '../mail/address.ts';
import { type RawMessage, rawMessage } from '../mail/raw-message.ts';
import { formatDate } from '../message/date.ts';
import { byteString, fieldValues } from '../message/header.ts';
import { statusPart } from './dsn-status.ts';
import { explanation, subject } from './dsn-text.ts';
import type { NewMessage, QueuedMessage } from './queue.ts';
import { type DsnEvent, type DsnRecipient, type DsnTerms, headerAddress } from './report.ts';

/** Delivery status notifications as multipart/report (RFC 3461 6, RFC 3464, RFC 6522; RFC 6533 for UTF-8). */
export interface Dsn {
  readonly message: NewMessage;
  readonly raw: RawMessage;
}

/** Without RET a message up to this size is returned whole after a failure, of a bigger one only the header. */
const FULL_LIMIT = 50 * 1024;
/** More than this of a header is not returned: RFC 5322 knows no limit, but nobody reads on. */
const HEADER_LIMIT = 256 * 1024;
/** The chain of References that is carried on. */
const REFERENCES_LIMIT = 900;

/**
 * The report for one event of one message. It quotes the original by its pieces, so that a big one is never in memory.
 * @param to the reverse-path of the message
 */
export async function composeDsn(
  message: QueuedMessage,
  to: Address,
  raw: RawMessage,
  event: DsnEvent,
  recipients: readonly DsnRecipient[],
  terms: DsnTerms,
): Promise<Dsn> {
  const header = await readHeader(raw, message.finalTrace);
  // One of the sender's own relays speaks SMTPUTF8 then; otherwise UTF-8 is wrapped (RFC 6533 4.5).
  const utf8Sender = needsSmtpUtf8(to);
  const utf8 = utf8Sender || recipients.some(({ recipient }) => needsSmtpUtf8(recipient.address));
  const text = explanation(message, event, recipients, terms);
  const status = statusPart(message, event, recipients, terms, utf8 ? 'utf-8' : 'ascii');
  const quoted = quote(message, raw, header, event, utf8Sender);
  const eightBit = quoted.eightBit || !isAscii(text) || !isAscii(status);
  const boundary = `=_${randomBytes(18).toString('hex')}`;
  const encoding = eightBit ? '8bit' : '7bit';
  const head = [
    ...reportHeader(message, to, header, event, recipients, terms),
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    ` boundary="${boundary}"`,
    `Content-Transfer-Encoding: ${encoding}`,
    '',
    'This is a report about a message you sent, in MIME format.',
    '',
    `--${boundary}`,
    'Content-Description: What happened',
    `Content-Type: text/plain; charset=${isAscii(text) ? 'us-ascii' : 'utf-8'}`,
    `Content-Transfer-Encoding: ${isAscii(text) ? '7bit' : '8bit'}`,
    '',
    text,
    `--${boundary}`,
    'Content-Description: Delivery report',
    `Content-Type: message/${utf8 ? 'global-delivery-status' : 'delivery-status'}`,
    ...(isAscii(status) ? [] : ['Content-Transfer-Encoding: 8bit']),
    '',
    status,
    `--${boundary}`,
    ...quoted.header,
    '',
    '',
  ].join('\r\n');
  const tail = `\r\n--${boundary}--\r\n`;
  return {
    message: {
      from: null,
      body: eightBit ? '8bitmime' : '7bit',
      smtputf8: utf8Sender,
      // RFC 8689 5.
      requireTls: message.requireTls,
      source: 'dsn',
      account: null,
      recipients: [{ address: to, original: to, account: null, notify: [] }],
    },
    raw: rawMessage([Buffer.from(head), ...quoted.pieces, Buffer.from(tail)]),
  };
}

function reportHeader(
  message: QueuedMessage,
  to: Address,
  header: Buffer,
  event: DsnEvent,
  recipients: readonly DsnRecipient[],
  { hostname, now }: DsnTerms,
): readonly string[] {
  const original = byteString(header);
  const id = messageIds(fieldValues(original, 'message-id').at(0) ?? '').at(0);
  const before = messageIds(fieldValues(original, 'references').at(0) ?? '');
  // The same report composed twice, because we crashed between sending and noting it, has the same Message-ID.
  const which = createHash('sha256')
    .update(recipients.map(({ recipient, action }) => `${recipient.index} ${action}`).join('\n'))
    .digest('hex')
    .slice(0, 12);
  return [
    `Date: ${formatDate(now, 0)}`,
    `From: Mail delivery at ${hostname} <MAILER-DAEMON@${hostname}>`,
    `To: <${headerAddress(to)}>`,
    `Subject: ${subject(event, recipients)}`,
    `Message-ID: <${message.id}.${event}.${which}@${hostname}>`,
    ...(id === undefined ? [] : [`In-Reply-To: ${id}`, ...references([...before, id])]),
    // RFC 3834 5.
    'Auto-Submitted: auto-replied',
  ];
}

/** Only what has the form of a message id, so that nothing else of a stranger's header gets into ours. */
function messageIds(value: string): readonly string[] {
  return value.slice(-4 * REFERENCES_LIMIT).match(/<[\x21-\x3b\x3d\x3f-\x7e]{3,500}>/g) ?? [];
}

function references(ids: readonly string[]): readonly string[] {
  const kept: string[] = [];
  let length = 0;
  for (const id of ids.toReversed()) {
    length += id.length + 1;
    if (length > REFERENCES_LIMIT && kept.length > 0) break;
    kept.unshift(id);
  }
  return [`References: ${kept.join('\r\n ')}`];
}

interface Quoted {
  readonly header: readonly string[];
  readonly pieces: readonly Piece[];
  readonly eightBit: boolean;
}

/** The third part: the message, or its header only. */
function quote(
  message: QueuedMessage,
  raw: RawMessage,
  header: Buffer,
  event: DsnEvent,
  utf8Sender: boolean,
): Quoted {
  const utf8Header = !isAscii(byteString(header));
  if (returnsAll(message, event) && (utf8Sender || !message.smtputf8)) {
    const eightBit = message.body !== '7bit' || utf8Header;
    return {
      header: [
        'Content-Description: Your message',
        `Content-Type: message/${message.smtputf8 ? 'global' : 'rfc822'}`,
        `Content-Transfer-Encoding: ${eightBit ? '8bit' : '7bit'}`,
      ],
      pieces: slice(raw.pieces, message.finalTrace),
      eightBit,
    };
  }
  const description = 'Content-Description: The header of your message';
  if (!message.smtputf8)
    return {
      header: [
        description,
        'Content-Type: text/rfc822-headers',
        `Content-Transfer-Encoding: ${utf8Header ? '8bit' : '7bit'}`,
      ],
      pieces: [header],
      eightBit: utf8Header,
    };
  const lines = header.toString('base64').replace(/.{76}/g, '$&\r\n');
  return {
    header: [description, 'Content-Type: message/global-headers', 'Content-Transfer-Encoding: base64'],
    pieces: [Buffer.from(lines)],
    eightBit: false,
  };
}

function returnsAll(message: QueuedMessage, event: DsnEvent): boolean {
  // RFC 3461 6.2 for the event, RFC 8689 5 for REQUIRETLS; binary content cannot be quoted in lines.
  if (event !== 'failure' || message.requireTls || message.body === 'binarymime') return false;
  return message.ret === undefined ? message.size <= FULL_LIMIT : message.ret === 'full';
}

/** The header with its last line end, without the blank line. */
async function readHeader(raw: RawMessage, start: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of raw.read({ start, end: start + HEADER_LIMIT })) {
    chunks.push(chunk);
    // Mostly the first chunk has it all.
    const bytes = Buffer.concat(chunks.slice(-2));
    if (bytes.includes('\r\n\r\n')) break;
  }
  const bytes = Buffer.concat(chunks);
  const end = bytes.indexOf('\r\n\r\n');
  if (end >= 0) return bytes.subarray(0, end + 2);
  // No blank line: all of a short message is header; of a long one, whole lines.
  return raw.size - start <= HEADER_LIMIT ? bytes : bytes.subarray(0, bytes.lastIndexOf('\r\n') + 2);
}

/** The pieces without their first octets. */
function slice(pieces: readonly Piece[], skip: number): readonly Piece[] {
  let left = skip;
  return pieces.flatMap((piece): readonly Piece[] => {
    const size = piece instanceof Uint8Array ? piece.length : piece.end - piece.start;
    const cut = Math.min(left, size);
    left -= cut;
    if (cut === size) return [];
    return [piece instanceof Uint8Array ? piece.subarray(cut) : { ...piece, start: piece.start + cut }];
  });
}

function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  return /^[\x00-\x7f]*$/.test(text);
}
