/** Unique ids (RFC 1939 7): made of UID and UIDVALIDITY alone, so that they are the same in every session. */

export const UIDL_FORMATS = ['dovecot', 'cyrus', 'courier', 'uw'] as const;
export type UidlFormat = (typeof UIDL_FORMATS)[number];

/** The unique id as the server of that name writes it by default. */
export function formatUidl(format: UidlFormat, uid: number, uidValidity: number): string {
  switch (format) {
    case 'dovecot':
      return hex(uid) + hex(uidValidity);
    case 'uw':
      return hex(uidValidity) + hex(uid);
    case 'cyrus':
      return `${uidValidity}.${uid}`;
    case 'courier':
      return `UID${uid}-${uidValidity}`;
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
