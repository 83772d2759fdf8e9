import type { Address, ReversePath } from './address.ts';
import { formatAddress, formatPath } from './address.ts';

/**
 * The trace fields of RFC 5321 4.4, as complete header fields with their CRLF. Whatever a peer said of itself goes
 * in only where it is plain text of its kind: nothing here can end a line, a comment or a clause.
 */
export interface Hop {
  /** What the client called itself; null hides the client: a submitting user's address is nobody's business. */
  readonly from: { readonly helo: string; readonly ip: string } | null;
  /** Our name. */
  readonly by: string;
  readonly protocol: Protocol;
  readonly tls: { readonly version: string; readonly cipher: string } | null;
  readonly id: string;
  /** Only where there is a single recipient: a list would tell them about each other (RFC 5321 7.2). */
  readonly for: Address | null;
  readonly at: Date;
}

/** RFC 3848 and RFC 6531 4.3: what makes up the `with` keyword. */
export interface Protocol {
  readonly base: 'SMTP' | 'ESMTP' | 'LMTP';
  readonly tls: boolean;
  readonly authenticated: boolean;
  readonly smtputf8: boolean;
}

/** `ESMTPSA`, `UTF8LMTP`, … */
export function protocolKeyword(protocol: Protocol): string {
  const { base, tls, authenticated, smtputf8 } = protocol;
  // Plain SMTP has neither TLS nor AUTH of its own: whoever has used them spoke ESMTP.
  const extended = base === 'SMTP' && (tls || authenticated || smtputf8) ? 'ESMTP' : base;
  const name = smtputf8 ? `UTF8${extended === 'ESMTP' ? 'SMTP' : extended}` : extended;
  return `${name}${tls ? 'S' : ''}${authenticated ? 'A' : ''}`;
}

export function receivedField(hop: Hop): string {
  const from = hop.from ? `from ${client(hop.from)}\r\n\t` : 'from authenticated-client\r\n\t';
  const tls = hop.tls ? ` (${token(hop.tls.version)} ${token(hop.tls.cipher)})` : '';
  const recipient = hop.for ? `\r\n\tfor ${formatPath(hop.for)}` : '';
  return (
    `Received: ${from}by ${hop.by} with ${protocolKeyword(hop.protocol)}${tls}\r\n\t` +
    `id ${hop.id}${recipient}; ${formatDate(hop.at)}\r\n`
  );
}

/** Written at final delivery only (RFC 5321 4.4). */
export function returnPathField(path: ReversePath): string {
  return `Return-Path: ${formatPath(path)}\r\n`;
}

/** Names the mailbox that has had the message: one that is there already means a loop. */
export function deliveredToField(mailbox: Address | string): string {
  return `Delivered-To: ${typeof mailbox === 'string' ? mailbox : formatAddress(mailbox)}\r\n`;
}

/** RFC 5322 3.3, in UTC: `Sun, 22 Nov 2026 13:00:00 +0000`. */
export function formatDate(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 4.1.3). */
export function addressLiteral(ip: string): string {
  return ip.includes(':') ? `[IPv6:${ip}]` : `[${ip}]`;
}

/** Domain or address literal, in letters of any script (RFC 6531), as EHLO should give it. */
const HELO = /^(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}._-]*[\p{L}\p{M}\p{N}])?\.?|\[[A-Za-z0-9:.]+\])$/u;
/** RFC 5321 4.5.3.1.2: a domain has at most 255 octets. */
const MAX_HELO = 255;

function client({ helo, ip }: { readonly helo: string; readonly ip: string }): string {
  const literal = addressLiteral(ip);
  return helo.length <= MAX_HELO && HELO.test(helo) ? `${helo} (${literal})` : `${literal} (${literal})`;
}

function token(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, '');
}
