import { type AddressKey, addressKey } from '../../directory/address-key.ts';
import type { AccountId } from '../../directory/directory.ts';
import { saslprep } from '../../directory/saslprep.ts';
import { parseAddress } from '../../mail/address.ts';
import { ANYONE, OWNER } from '../../store/acl.ts';
import { ImapBad, ImapNo } from '../errors.ts';

/**
 * Who is meant in an access control list: an account, `anyone`, `owner`, or one of them with `-` before it. Whether there
 * is such an account is not asked: SETACL would tell everybody who has one, and a list may be there before the account.
 */

/** How lists name an account: as logins are compared, whatever its case. */
export function identifierOf(account: string): string {
  const address = parseAddress(account);
  return address ? addressKey(address) : account;
}

/** @param near the user: a name without a domain is of theirs */
export function parseIdentifier(text: string, near: AccountId, at: number): string {
  const prepared = saslprep(text);
  // RFC 4314 3: BAD when nothing is left of it, or nothing may be.
  if (prepared === undefined || prepared === '' || prepared === '-')
    throw new ImapBad('That is no identifier', at);
  const dash = prepared.startsWith('-') ? '-' : '';
  return dash + nameIn(prepared.slice(dash.length), near);
}

function nameIn(name: string, near: AccountId): string {
  const lower = name.toLowerCase();
  if (lower === ANYONE || lower === OWNER) return lower;
  const key = accountIn(name, near);
  // Neither `$group` nor `group=…`: the directory knows no groups.
  if (key === undefined) throw new ImapNo('An identifier is an address, "anyone" or "owner"', 'CANNOT');
  return key;
}

function accountIn(name: string, near: AccountId): AddressKey | undefined {
  if (/^[$!=]|=/.test(name)) return undefined;
  const domain = near.slice(near.lastIndexOf('@'));
  const address = parseAddress(name.includes('@') ? name : `${name}${domain}`);
  return address && addressKey(address);
}
