import type { AccountId } from '../../directory/directory.ts';
import type { Piece } from '../../lib/pieces.ts';
import type { SieveAction } from '../../sieve/action.ts';
import type { Envelope } from '../../sieve/host.ts';
import type { MailboxId, Uid } from '../../store/store.ts';

/** What the thread that runs scripts is asked, and what it answers: plain data, cloned between threads. */

/** A message for one recipient as it would be stored, or one that is. */
export interface Question {
  readonly account: AccountId;
  /** null: nobody knows any more (RFC 6785 4.6). */
  readonly envelope: Envelope | null;
  readonly content: readonly Piece[] | StoredAt;
  readonly size: number;
  /** Beside what the house knows: `imap.user`, `imap.cause`, … (RFC 6785 4), or what the receiving side knew. */
  readonly environment: Readonly<Record<string, string>>;
  /** Which scripts: of a delivery the admin's and the user's active one, else this one of the user's. */
  readonly script?: string;
  /** What it has. */
  readonly flags?: readonly string[];
  /** `receipt`: the message may still be refused; a script that needs a program cannot go on. `event`: it
   * is in a mailbox, and nobody waits for an answer (RFC 6785). `rehearsal`: no program is run. */
  readonly mode: 'delivery' | 'receipt' | 'event' | 'rehearsal';
}

/** A message of the account's own. */
export interface StoredAt {
  readonly mailbox: MailboxId;
  readonly uid: Uid;
}

/** The message of an action. */
export type Content =
  | { readonly is: 'original' }
  /** Another header, before the body that begins at this octet of the original. */
  | { readonly is: 'edited'; readonly header: Uint8Array; readonly bodyAt: number }
  | { readonly is: 'other'; readonly bytes: Uint8Array };

export type Action = SieveAction<Content>;

export interface Decision {
  /** null: there is no script; the message is kept. */
  readonly actions: readonly Action[] | null;
  /** What went wrong: the message is kept then, and its owner is told. */
  readonly problem: Problem | null;
  /** What `duplicate` saw, to be remembered when the message has been delivered. */
  readonly seen: readonly Mark[];
  /** Lines of debug_log, and warnings. */
  readonly notes: readonly string[];
}

export interface Problem {
  readonly script: string;
  readonly text: string;
}

export interface Mark {
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
}
