import { StoreError } from '../store/store.ts';
import { parseUidlFormat, type UidlFormat } from '../store/uidl-format.ts';

/**
 * Unique ids (RFC 1939 7): made of UID and UIDVALIDITY alone, so that they are the same in every session. Messages that
 * came from another server with their account have the ones they had there (AccountStore.keptUidls).
 */

/** What the server of that name writes by default, in the language of Dovecot's `pop3_uidl_format`. */
export const UIDL_FORMATS: {
  readonly dovecot: string;
  readonly cyrus: string;
  readonly courier: string;
  readonly uw: string;
} = {
  dovecot: '%08Xu%08Xv',
  cyrus: '%v.%u',
  courier: 'UID%u-%v',
  uw: '%08Xv%08Xu',
};
export type UidlServer = keyof typeof UIDL_FORMATS;

/**
 * The form of that server, or one written out (`%08Xu%08Xv`).
 * @throws StoreError `invalid-name` when it cannot be one.
 */
export function uidlFormatOf(setting: string): UidlFormat {
  const format = parseUidlFormat(isServer(setting) ? UIDL_FORMATS[setting] : setting);
  if (format.needs === 'names')
    throw new StoreError('invalid-name', `"${setting}" names files, which are not known when mail is listed`);
  return format;
}

function isServer(setting: string): setting is UidlServer {
  return Object.hasOwn(UIDL_FORMATS, setting);
}
