import { StoreError } from '../store/store.ts';

/** The refusals of this room. Each knows its answer; only the command loop catches them (HOUSE.md, errors). */

/** Tagged NO: understood, not done. `code` is a response code without its brackets (RFC 9051 7.1, RFC 5530). */
export class ImapNo extends Error {
  override readonly name = 'ImapNo';
  readonly code: string | undefined;

  constructor(text: string, code?: string, cause?: unknown) {
    super(text, { cause });
    this.code = code;
  }
}

/** Tagged BAD: not understood. `at` is the byte offset in the command, where one byte is to blame. */
export class ImapBad extends Error {
  override readonly name = 'ImapBad';
  readonly at: number | undefined;
  readonly code: string | undefined;

  constructor(text: string, at?: number, code?: string) {
    super(text);
    this.at = at;
    this.code = code;
  }
}

/** Sequence numbers from a client that has enabled UIDONLY (RFC 9586 3). */
export function uidRequired(at: number): ImapBad {
  return new ImapBad('Message numbers are not allowed once UIDONLY is enabled', at, 'UIDREQUIRED');
}

const CODES: Readonly<Record<StoreError['kind'], string>> = {
  'not-found': 'NONEXISTENT',
  exists: 'ALREADYEXISTS',
  'invalid-name': 'CANNOT',
  'over-quota': 'OVERQUOTA',
  expunged: 'EXPUNGEISSUED',
  'read-only': 'NOPERM',
  'no-permission': 'NOPERM',
  busy: 'INUSE',
  'disk-full': 'UNAVAILABLE',
  limit: 'LIMIT',
};

const TEXTS: Readonly<Record<StoreError['kind'], string>> = {
  'not-found': 'No such mailbox',
  exists: 'That mailbox exists already',
  'invalid-name': 'That cannot be the name of a mailbox',
  'over-quota': 'The mailbox is full',
  expunged: 'Some of the messages are gone',
  'read-only': 'The mailbox is read-only',
  'no-permission': 'You have no right to do that',
  busy: 'The mailbox is busy, try again',
  'disk-full': 'No room at the moment, try again later',
  limit: 'A limit of this server is reached',
};

/** The one place where a store's refusal becomes IMAP. Anything else is a bug: NO [SERVERBUG]. */
export function toImapNo(error: unknown): ImapNo {
  if (error instanceof ImapNo) return error;
  // Which limit it is, the store says.
  if (error instanceof StoreError && error.kind === 'over-quota')
    return new ImapNo(error.message, CODES[error.kind], error);
  if (error instanceof StoreError) return new ImapNo(TEXTS[error.kind], CODES[error.kind], error);
  return new ImapNo('Internal error, see the server log', 'SERVERBUG', error);
}

/** A destination that does not exist may be created by the client first (RFC 9051 6.3.12, 6.4.7). */
export function tryCreate(error: unknown): unknown {
  if (error instanceof StoreError && error.kind === 'not-found') return noSuchDestination(error);
  return error;
}

export function noSuchDestination(cause?: unknown): ImapNo {
  return new ImapNo('No such mailbox; create it first', 'TRYCREATE', cause);
}
