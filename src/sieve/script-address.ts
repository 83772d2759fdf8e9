import { formatAddress, parseAddress } from '../mail/address.ts';
import { parseAddressList } from '../message/address-list.ts';

/** Addresses that a script writes: one mailbox, perhaps with a name (RFC 5228 2.4.2.3). */

/** The bare address; undefined when the text is not one mailbox. */
export function scriptAddress(text: string): string | undefined {
  const [one, ...more] = parseAddressList(Buffer.from(text).toString('latin1'));
  if (one?.is !== 'mailbox' || more.length > 0 || one.local === null || one.domain === null) return undefined;
  const address = parseAddress(utf8(`${quotedLocal(one.local)}@${one.domain}`));
  return address && formatAddress(address);
}

export function isScriptAddress(text: string): boolean {
  return scriptAddress(text) !== undefined;
}

function quotedLocal(local: string): string {
  return /^[^\s()<>@,;:"[\]\\]+$/.test(local) ? local : `"${local.replace(/["\\]/g, '\\$&')}"`;
}

function utf8(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
