/** What reading from and writing to a peer can throw. None of them is a bug: peers are like that. */

/** A line longer than the caller allows. The connection lives on; the rest of the line is skipped by the next read. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
  /** How it began, for who can tell from that what it was to be; empty when that is long gone. */
  readonly start: Buffer;

  constructor(start: Buffer) {
    super('the peer sent a line that is too long');
    this.start = start;
  }
}

/** The peer did not say enough in the time it had. */
export class IdleTimeout extends Error {
  override readonly name = 'IdleTimeout';

  constructor() {
    super('the peer was silent for too long');
  }
}

/** The peer is gone, or reads nothing of what we send. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';

  constructor(cause?: unknown) {
    super('the connection is lost', { cause });
  }
}

/** An address cannot be listened on; the message says what to do about it. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly kind: 'in-use' | 'not-permitted' | 'no-such-address' | 'failed';

  constructor(kind: ListenError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
