import type { Reply } from '../../mail/reply.ts';

/** One MAIL, its RCPTs and the message, as they go on the wire. */
export interface Transaction {
  readonly mail: string;
  readonly rcpts: readonly string[];
  readonly content: () => AsyncIterable<Uint8Array>;
}

/** What the peer has said to a transaction, as far as it came. */
export interface Progress {
  /** The peer has answered MAIL: on a connection used before, that it is still there. */
  started: boolean;
  mail?: Reply;
  /** In the order of the transaction's. */
  readonly rcpts: Reply[];
  /** To DATA when it was refused, else to the final dot. */
  data?: Reply;
}
