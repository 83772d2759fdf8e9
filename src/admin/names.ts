import { addressKey } from '../directory/address-key.ts';
import type { AliasName } from '../directory/alias-table.ts';
import type { AccountId } from '../directory/directory.ts';
import { DirectoryError } from '../directory/errors.ts';
import { type Address, type Domain, parseAddress, parseDomain } from '../mail/address.ts';

/** What an admin types, as what the rooms take. All throw DirectoryError `invalid`. */

export function domainFrom(text: string): Domain {
  const domain = parseDomain(text);
  if (domain === undefined)
    throw new DirectoryError('invalid', `"${text}" is not a domain such as example.org`);
  return domain;
}

export function addressFrom(text: string): Address {
  const address = parseAddress(text);
  if (!address || address.domain.startsWith('['))
    throw new DirectoryError('invalid', `"${text}" is not an address such as alice@example.org`);
  return address;
}

/** Also of an account that was removed: its mail may still be there. */
export function accountFrom(text: string): AccountId {
  return addressKey(addressFrom(text)) as string as AccountId;
}

/** `@example.org` is the catch-all of the domain. */
export function aliasNameFrom(text: string): AliasName {
  if (text.startsWith('@')) return { is: 'catch-all', domain: domainFrom(text.slice(1)) };
  return { is: 'address', address: addressFrom(text) };
}
