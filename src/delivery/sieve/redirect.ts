import type { HeaderField } from '../../sieve/message.ts';

/** Mail that a script sends on. */

/** Names each account that has sent the message on by a script; Pigeonhole's name for it. */
const FIELD = 'X-Sieve-Redirected-From';

/** RFC 5228 10: one of these, who are the same, has sent it on before. */
export function isRedirectLoop(accounts: readonly string[], fields: readonly HeaderField[]): boolean {
  const own = new Set(accounts.map((account) => account.toLowerCase()));
  return fields.some(({ name, value }) => name === FIELD.toLowerCase() && own.has(value.toLowerCase()));
}

/**
 * The header of what is sent on, without the trace of its delivery here, which ends here (RFC 5321 4.4): should it come back,
 * it is known by our own field, and kept rather than refused.
 */
export function redirectedHeader(account: string, header: string): string {
  const trace = /^Return-Path:.*\r?\n(?:[ \t].*\r?\n)*(?:Delivered-To:.*\r?\n(?:[ \t].*\r?\n)*)?/i;
  return `${FIELD}: ${account}\r\n${header.replace(trace, '')}`;
}
