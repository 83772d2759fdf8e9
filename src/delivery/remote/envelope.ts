/** The MAIL and RCPT commands that hand a queued message to a peer, with the parameters that this peer knows. */
import { type Address, asciiDomain, formatLocalPart, type ReversePath } from '../../mail/address.ts';
import type { QueuedMessage, QueuedRecipient } from '../../queue/queue.ts';

/** What the peer announced to EHLO: keyword in upper case → its arguments. */
export type Extensions = ReadonlyMap<string, string>;

export interface MailParameters {
  /** Octets, as the message is sent. */
  readonly size: number;
  readonly body: '7bit' | '8bitmime';
  readonly smtputf8: boolean;
  readonly requireTls: boolean;
}

export function mailCommand(
  message: Pick<QueuedMessage, 'from' | 'ret' | 'envid'>,
  parameters: MailParameters,
  extensions: Extensions,
): string {
  const words = [`MAIL FROM:${wirePath(message.from)}`];
  if (extensions.has('SIZE')) words.push(`SIZE=${parameters.size}`);
  if (parameters.body === '8bitmime' && extensions.has('8BITMIME')) words.push('BODY=8BITMIME');
  if (parameters.smtputf8 && extensions.has('SMTPUTF8')) words.push('SMTPUTF8');
  if (parameters.requireTls && extensions.has('REQUIRETLS')) words.push('REQUIRETLS');
  if (extensions.has('DSN')) {
    // RFC 3461 5.2.1: as they came, and not where they did not come.
    if (message.ret !== undefined) words.push(`RET=${message.ret.toUpperCase()}`);
    if (message.envid !== undefined) words.push(`ENVID=${xtext(message.envid)}`);
  }
  return words.join(' ');
}

export function rcptCommand(
  recipient: Pick<QueuedRecipient, 'address' | 'notify' | 'orcpt'>,
  extensions: Extensions,
): string {
  const words = [`RCPT TO:${wirePath(recipient.address)}`];
  if (extensions.has('DSN')) {
    const { notify, orcpt } = recipient;
    if (notify !== undefined)
      words.push(`NOTIFY=${notify.length === 0 ? 'NEVER' : notify.join(',').toUpperCase()}`);
    if (orcpt !== undefined) words.push(`ORCPT=${originalRecipient(orcpt)}`);
  }
  return words.join(' ');
}

/** Domains always as A-labels: every host understands them, with SMTPUTF8 or without (RFC 6531 3.7.1). */
export function wirePath(path: ReversePath): string {
  return path === null ? '<>' : `<${wireAddress(path)}>`;
}

function wireAddress(address: Address): string {
  return `${formatLocalPart(address.local)}@${asciiDomain(address.domain)}`;
}

/** RFC 3461 4: what is no plain character of an ESMTP value is `+` and two hexadecimal digits. */
function xtext(text: string): string {
  return [...Buffer.from(text, 'utf8')]
    .map((octet) => (isPlain(octet) ? String.fromCharCode(octet) : `+${hex(octet)}`))
    .join('');
}

function isPlain(octet: number): boolean {
  return octet >= 0x21 && octet <= 0x7e && octet !== 0x2b && octet !== 0x3d;
}

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(2, '0');
}

/** RFC 3461 4.2, and RFC 6533 3 for `utf-8;` addresses, in the form that every peer can take. */
function originalRecipient(orcpt: string): string {
  const semicolon = orcpt.indexOf(';');
  const type = orcpt.slice(0, semicolon);
  const address = orcpt.slice(semicolon + 1);
  return `${xtext(type)};${type.toLowerCase() === 'utf-8' ? utf8Xtext(address) : xtext(address)}`;
}

/** utf-8-addr-xtext: like xtext, but with `\x{…}` for all that is not plain (RFC 6533 3). */
function utf8Xtext(address: string): string {
  // Already in one of RFC 6533's 7-bit forms: it stays as it is.
  if (/\\x\{[0-9A-F]+\}/.test(address) && /^[\x21-\x7e]*$/.test(address)) return address;
  return [...address]
    .map((char) => {
      const code = char.codePointAt(0) ?? 0;
      return isPlain(code) && char !== '\\' ? char : `\\x{${hex(code)}}`;
    })
    .join('');
}
