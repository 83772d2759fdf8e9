import type { Reply } from '../../mail/reply.ts';

/** How far the conversation had come when it ended. */
export type Phase =
  /** No TCP connection. */
  | 'connect'
  /** Up to the answer to EHLO; what the peer said, if it did, is in `reply`. */
  | 'greeting'
  /** STARTTLS was promised, but refused, or the handshake failed. */
  | 'tls'
  /** Our user name and password were refused. */
  | 'auth'
  /** A transaction was under way, the message not yet handed over. */
  | 'transaction'
  /** The final dot was sent: the peer may have the message or not (RFC 5321 4.5.3.2.6). */
  | 'end'
  /** We stopped it. */
  | 'aborted';

/** A conversation with a peer that ended before its time. `message` is fit for logs and bounces. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
  readonly phase: Phase;
  readonly reply: Reply | undefined;

  constructor(phase: Phase, message: string, reply?: Reply, cause?: unknown) {
    super(message, { cause });
    this.phase = phase;
    this.reply = reply;
  }
}
