import { type Address, type Domain, formatAddress, parseAddress } from '../mail/address.ts';

/** An address of ours in the form in which we look it up. Made only by addressKey(). */
export type AddressKey = string & { readonly __brand: 'AddressKey' };

/**
 * Only the host that owns a domain may interpret its local parts (RFC 5321 2.3.11). We own it, and compare them
 * without case and in NFC: nobody expects Alice@ and alice@ to be two people.
 */
export function addressKey(address: Address): AddressKey {
  const local = address.local.normalize('NFC').toLowerCase().normalize('NFC');
  return formatAddress({ local, domain: address.domain }) as AddressKey;
}

/** A catch-all has no local part; no address has this key. */
export function catchAllKey(domain: Domain): AddressKey {
  return `@${domain}` as AddressKey;
}

/** `postmaster` (RFC 5321 4.5.1) and `abuse` (RFC 2142 4) of each of our domains always reach somebody. */
export function isRole(address: Address): boolean {
  return ['postmaster', 'abuse'].includes(address.local.toLowerCase());
}

/** The address with its sub-address (RFC 5233) taken off. */
export interface Stripped {
  readonly address: Address;
  readonly detail: string;
}

/**
 * Every way to read `address` as a sub-address, the longest remaining local part first: with both `-` and `+`,
 * `john-doe+shop` may belong to `john-doe` or to `john`, and the closer name wins.
 */
export function* stripped(address: Address, delimiters: string): Generator<Stripped> {
  const { local, domain } = address;
  for (let at = local.length - 1; at > 0; at--) {
    if (!delimiters.includes(local.charAt(at))) continue;
    yield { address: { local: local.slice(0, at), domain }, detail: local.slice(at + 1) };
  }
}

/** Octets of an address in a login name: local part, `@`, domain (RFC 5321 4.5.3.1), doubled for quoting. */
const MAX_LOGIN = 640;

/** The address that a login name means; undefined when it cannot be one. */
export function parseLogin(login: string, defaultDomain: Domain | undefined): Address | undefined {
  if (login.length > MAX_LOGIN) return undefined;
  const address = parseAddress(login);
  if (address || defaultDomain === undefined) return address;
  // A quoted local part may contain an @; a bare one that does is a mistyped address, not a name.
  return login.includes('@') && !login.startsWith('"')
    ? undefined
    : parseAddress(`${login}@${defaultDomain}`);
}
