import { type Address, formatPath, type ReversePath } from '../mail/address.ts';
import { formatDate } from '../mail/trace.ts';
import { fields } from '../message/header.ts';

/**
 * What a submission server does to a header (RFC 6409 8): what is missing is added, and Bcc goes, so that nobody
 * learns of the others. All other fields stay as they are, to the octet: a signature of the user's survives.
 */
export interface Additions {
  readonly id: string;
  readonly hostname: string;
  readonly from: ReversePath;
  readonly at: Date;
}

export interface SubmittedHeader {
  /** With its last CRLF, without the blank line. */
  readonly header: string;
  /** What stood before the blank line but is no header field: the text of a message without a header. */
  readonly body: string;
  /** The values of the From fields, folded as they stand. */
  readonly from: readonly string[];
}

/** Both, also when they were sent again (RFC 5322 3.6.6). */
const HIDDEN: ReadonlySet<string> = new Set(['bcc', 'resent-bcc']);

/** @param header one char an octet. */
export function completeHeader(header: string, additions: Additions): SubmittedHeader {
  const kept: string[] = [];
  const present = new Set<string>();
  const from: string[] = [];
  let end = 0;
  for (const field of fields(header)) {
    // Text without a header, or a header that no blank line ends: the rest is the body.
    if (field.name === '') break;
    end = field.end;
    present.add(field.name);
    if (field.name === 'from') from.push(field.value);
    if (!HIDDEN.has(field.name)) kept.push(header.slice(field.start, field.end));
  }
  if (!present.has('date')) kept.push(`Date: ${formatDate(additions.at)}\r\n`);
  if (!present.has('message-id')) kept.push(`Message-ID: <${additions.id}@${additions.hostname}>\r\n`);
  if (!present.has('from') && additions.from !== null) kept.push(`From: ${octets(additions.from)}\r\n`);
  return { header: kept.join(''), body: header.slice(end), from };
}

/** UTF-8, one char an octet (RFC 6532). */
function octets(address: Address): string {
  return Buffer.from(formatPath(address)).toString('latin1');
}
