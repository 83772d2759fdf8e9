import { domainToASCII, domainToUnicode } from 'node:url';

/** A domain in the one form we store and compare: lower case, NFC, U-labels. Made only by parseDomain(). */
export type Domain = string & { readonly __brand: 'Domain' };

/** `local` is kept as received, unquoted: only the host that owns `domain` may interpret it (RFC 5321 2.3.11). */
export interface Address {
  readonly local: string;
  readonly domain: Domain;
}

/** `null` is the null reverse-path `<>` of bounces (RFC 5321 4.5.5). */
export type ReversePath = Address | null;

/** RFC 5321 4.5.3.1.1, in octets. */
const MAX_LOCAL = 64;
/** RFC 5321 4.5.3.1.2, in octets. */
const MAX_DOMAIN = 255;
const MAX_LABEL = 63;

/** What nearly all domains look like: letters, digits and hyphens, no A-label, no number at the end. */
const PLAIN_DOMAIN =
  /^(?!.*xn--)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
/** What nearly all local parts look like (dot-atom of RFC 5322 3.2.3). */
const PLAIN_LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/i;
const LABEL = /^[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}_-]*[\p{L}\p{M}\p{N}_])?$/u;
// RFC 5322 3.2.3 atext, with RFC 6531 3.3 UTF8-non-ascii.
const DOT_ATOM = /^[\p{L}\p{M}\p{N}\p{S}\p{P}]+$/u;
const SPECIALS = /[()<>[\]:;@\\,"\s]/u;

/**
 * Brings a domain name to its one form: A-labels become U-labels, lower case, NFC.
 * @returns undefined when it is no host name (empty label, label over 63 octets, forbidden characters, all numeric).
 */
export function parseDomain(text: string): Domain | undefined {
  if (text.length <= MAX_DOMAIN && PLAIN_DOMAIN.test(text)) return text.toLowerCase() as Domain;
  const name = text.normalize('NFC').toLowerCase();
  if (name.length === 0 || Buffer.byteLength(name) > MAX_DOMAIN) return undefined;
  const labels = name.split('.');
  if (!labels.every((label) => label.length <= MAX_LABEL && LABEL.test(label))) return undefined;
  // WHATWG's host parser, which does the IDNA mapping, would read 1.2.3 as an IPv4 address.
  if (/^\d+$/.test(labels.at(-1) ?? '')) return undefined;
  if (/^[a-z0-9_.-]+$/.test(name) && !name.includes('xn--')) return name as Domain;
  const unicode = domainToUnicode(name);
  if (unicode === '' || domainToASCII(name) === '') return undefined;
  return unicode.normalize('NFC').toLowerCase() as Domain;
}

/** The A-label form for DNS and for peers without SMTPUTF8 (RFC 5891). */
export function asciiDomain(domain: Domain): string {
  // An address literal stands for itself.
  return domain.startsWith('[') || /^[a-z0-9_.-]+$/.test(domain) ? domain : domainToASCII(domain);
}

/**
 * Parses an addr-spec as SMTP writes it (Mailbox of RFC 5321 4.1.2): dot-string or quoted-string local part,
 * domain after the last `@`, or a bracketed address literal (kept in `domain` as it stands, lower case).
 * @returns undefined when it is not one.
 */
export function parseAddress(text: string): Address | undefined {
  const at = text.lastIndexOf('@');
  if (at < 1) return undefined;
  const local = parseLocalPart(text.slice(0, at));
  const domain = parseDomainOrLiteral(text.slice(at + 1));
  if (local === undefined || domain === undefined) return undefined;
  return { local, domain };
}

/** Unquotes a local part; undefined when it is none, or longer than 64 octets. */
export function parseLocalPart(text: string): string | undefined {
  if (text.startsWith('"')) return parseQuoted(text);
  if (Buffer.byteLength(text) > MAX_LOCAL) return undefined;
  return isDotString(text) ? text : undefined;
}

function isDotString(text: string): boolean {
  if (PLAIN_LOCAL.test(text)) return true;
  return (
    DOT_ATOM.test(text) &&
    !SPECIALS.test(text) &&
    !text.startsWith('.') &&
    !text.endsWith('.') &&
    !text.includes('..')
  );
}

function parseQuoted(text: string): string | undefined {
  let local = '';
  for (let i = 1; i < text.length - 1; i++) {
    let char = text[i] ?? '';
    if (char === '"') return undefined;
    if (char === '\\') {
      if (++i >= text.length - 1) return undefined;
      char = text[i] ?? '';
    }
    const code = char.charCodeAt(0);
    if (code < 0x20 || code === 0x7f) return undefined;
    local += char;
  }
  if (text.length < 2 || !text.endsWith('"') || Buffer.byteLength(local) > MAX_LOCAL) return undefined;
  return local;
}

/** RFC 5321 4.1.3; the content is an IPv4 address or a tagged literal. */
const LITERAL = /^\[(?:\d{1,3}(?:\.\d{1,3}){3}|ipv6:[0-9a-f:.]{2,45})\]$/;

function parseDomainOrLiteral(text: string): Domain | undefined {
  if (!text.startsWith('[')) return parseDomain(text);
  const literal = text.toLowerCase();
  return LITERAL.test(literal) ? (literal as Domain) : undefined;
}

/** The address as SMTP and header fields write it, quoting the local part only where it must be. */
export function formatAddress(address: Address): string {
  return `${formatLocalPart(address.local)}@${address.domain}`;
}

export function formatLocalPart(local: string): string {
  return isDotString(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
}

/** `<…>`, or `<>` for the null reverse-path. */
export function formatPath(path: ReversePath): string {
  return path === null ? '<>' : `<${formatAddress(path)}>`;
}

/** Same mailbox as far as we may tell: domains without case, local parts as they stand. */
export function sameAddress(a: Address, b: Address): boolean {
  return a.local === b.local && a.domain === b.domain;
}

/** Whether the address needs SMTPUTF8 to be transmitted: only the local part does, a domain has A-labels. */
export function needsSmtpUtf8(address: Address): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all is ASCII.
  return !/^[\x00-\x7f]*$/.test(address.local);
}
