import type { Account } from '../directory/directory.ts';

/** The longest AUTH line a server must take (RFC 4954 4): no response of any mechanism needs more. */
export const MAX_RESPONSE = 12_288;

/** Strict UTF-8 within the bound; undefined for anything else, so that U+FFFD never stands for a name. */
export function utf8(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_RESPONSE) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    // TextDecoder's only complaint.
    return undefined;
  }
}

/** Nobody acts for somebody else here: an authorization identity is empty, or names who logs in (RFC 4422 3.4.1). */
export function mayActAs(authzid: string, login: string, account: Account): boolean {
  const wanted = authzid.normalize('NFC').toLowerCase();
  return wanted === '' || [login, account.id].some((name) => name.normalize('NFC').toLowerCase() === wanted);
}
