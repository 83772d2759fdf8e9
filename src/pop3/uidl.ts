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

export function uidlFormatOf(server: UidlServer): UidlFormat {
  return parseUidlFormat(UIDL_FORMATS[server]);
}
