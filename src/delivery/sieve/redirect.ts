import type { HeaderField } from '../../sieve/message.ts';

/** Mail that a script sends on. */

/** Names each account that has sent the message on by a script; Pigeonhole's name for it. */
const FIELD = 'X-Sieve-Redirected-From';

/** RFC 5228 10: this account has sent it on before. */
export function isRedirectLoop(account: string, fields: readonly HeaderField[]): boolean {
  const own = account.toLowerCase();
  return fields.some(({ name, value }) => name === FIELD.toLowerCase() && value.toLowerCase() === own);
}

/** The header of what is sent on: without the path of its delivery here, which ends here (RFC 5321 4.4). */
export function redirectedHeader(account: string, header: string): string {
  return `${FIELD}: ${account}\r\n${header.replace(/^Return-Path:.*\r?\n(?:[ \t].*\r?\n)*/i, '')}`;
}
