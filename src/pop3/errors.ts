import { StoreError } from '../store/store.ts';

/** Extended response codes (RFC 2449 8, RFC 3206, RFC 6856 5). */
export type ResponseCode = 'IN-USE' | 'LOGIN-DELAY' | 'AUTH' | 'SYS/TEMP' | 'SYS/PERM' | 'UTF8';

/** Thrown to answer `-ERR [code] text`; `cause` is for our log and never leaves the house. */
export class Pop3Error extends Error {
  override readonly name = 'Pop3Error';
  readonly code: ResponseCode | null;

  constructor(text: string, code: ResponseCode | null = null, cause?: unknown) {
    super(text, { cause });
    this.code = code;
  }
}

/** The client broke the protocol; too many of these end the session. */
export class Pop3SyntaxError extends Pop3Error {}

/** What a POP3 client is told when the store cannot do as asked. */
export function fromStoreError(error: StoreError): Pop3Error {
  switch (error.kind) {
    case 'expunged':
    case 'not-found':
      return new Pop3Error('that message is gone, another session has removed it', null, error);
    case 'busy':
    case 'disk-full':
    case 'over-quota':
    case 'limit':
      return new Pop3Error('the maildrop cannot be used at the moment', 'SYS/TEMP', error);
    case 'exists':
    case 'invalid-name':
    case 'read-only':
    case 'no-permission':
      return new Pop3Error('the maildrop cannot be used', 'SYS/PERM', error);
  }
}

/** Our own refusals as they are, those of the store in POP3's words; undefined for what is a bug. */
export function refusal(error: unknown): Pop3Error | undefined {
  if (error instanceof Pop3Error) return error;
  return error instanceof StoreError ? fromStoreError(error) : undefined;
}
