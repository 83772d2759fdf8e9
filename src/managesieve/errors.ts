import { StoreError } from '../store/store.ts';

/** Response codes (RFC 5804 1.3). */
export type ResponseCode =
  | 'AUTH-TOO-WEAK'
  | 'ENCRYPT-NEEDED'
  | 'QUOTA'
  | 'QUOTA/MAXSCRIPTS'
  | 'QUOTA/MAXSIZE'
  | 'TRYLATER'
  | 'ACTIVE'
  | 'NONEXISTENT'
  | 'ALREADYEXISTS';

/** Thrown to answer `NO (code) "text"`; `cause` is for our log and never leaves the house. */
export class SieveNo extends Error {
  override readonly name = 'SieveNo';
  readonly code: ResponseCode | null;

  constructor(text: string, code: ResponseCode | null = null, cause?: unknown) {
    super(text, { cause });
    this.code = code;
  }
}

/** The client broke the protocol; too many of these end the session. */
export class SieveSyntaxError extends SieveNo {}

/** Thrown to answer `BYE "text"`: nothing that comes after it could be understood. */
export class SieveBye extends Error {
  override readonly name = 'SieveBye';
}

/** Our own refusals as they are, those of the store in the protocol's words; undefined for what is a bug. */
export function refusal(error: unknown): SieveNo | undefined {
  if (error instanceof SieveNo) return error;
  return error instanceof StoreError ? fromStoreError(error) : undefined;
}

function fromStoreError(error: StoreError): SieveNo {
  switch (error.kind) {
    case 'not-found':
      return new SieveNo('there is no script of that name', 'NONEXISTENT');
    case 'exists':
      return new SieveNo('there is a script of that name already', 'ALREADYEXISTS');
    case 'limit':
      return new SieveNo('the script is too big', 'QUOTA/MAXSIZE');
    case 'over-quota':
      return new SieveNo(
        'there is no room for more scripts',
        error.message.startsWith('there may be') ? 'QUOTA/MAXSCRIPTS' : 'QUOTA',
      );
    case 'busy':
      return new SieveNo('the active script cannot be deleted', 'ACTIVE');
    case 'disk-full':
      return new SieveNo('there is no room on the disk, try again later', 'TRYLATER', error);
    case 'invalid-name':
    case 'expunged':
    case 'read-only':
    case 'no-permission':
      return new SieveNo('that is not possible', null, error);
  }
}
