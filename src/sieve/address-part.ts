import { isUtf8 } from 'node:buffer';
import type { Mailbox } from '../message/address-list.ts';
import type { Bound } from './bound.ts';
import { readable } from './message.ts';
import type { Run } from './run.ts';

/** The part of an address that a test is about (RFC 5228 2.7.4, RFC 5233). An address that is none has no parts. */
export function addressPart({ local, domain, name }: Mailbox, bound: Bound, run: Run): string[] {
  const { tags } = bound;
  // RFC 6532 3.2: octets that are no UTF-8 are in no address.
  if (local === null || domain === null || !isUtf8(Buffer.from(`${local}${domain}`, 'latin1'))) {
    // RFC 5228 2.7.4: what cannot be parsed is compared as it stands, as a whole.
    const parts = ['localpart', 'domain', 'user', 'detail'];
    return parts.some((part) => tags.has(part)) ? [] : [readable(local ?? name ?? '')];
  }
  const user = readable(local);
  if (tags.has('domain')) return [readable(domain)];
  if (tags.has('localpart')) return [user];
  if (tags.has('user')) return [splitDetail(user, run.host.delimiters).user];
  if (tags.has('detail')) {
    const { detail } = splitDetail(user, run.host.delimiters);
    return detail === undefined ? [] : [detail];
  }
  return [`${quoted(user)}@${readable(domain)}`];
}

/** As it was written: with quotation marks where a local part needs them (RFC 5322 3.4.1). */
function quoted(local: string): string {
  return /^[^\s()<>@,;:"[\]\\]+$/.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
}

/** RFC 5233 4: without a separator there is no detail, not even an empty one. */
export function splitDetail(local: string, delimiters: string): { user: string; detail: string | undefined } {
  const at = [...local].findIndex((char, i) => i > 0 && delimiters.includes(char));
  return at < 0
    ? { user: local, detail: undefined }
    : { user: local.slice(0, at), detail: local.slice(at + 1) };
}
