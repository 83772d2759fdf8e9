import type { AccountId } from '../directory/directory.ts';
import type { LineConnection } from '../net/connection.ts';
import type { Sasl, SaslContext, SaslStep } from '../sasl/sasl.ts';
import type { Complaint } from '../sieve/errors.ts';
import type { ScriptStore } from '../store/script-store.ts';
import type { Argument } from './reader.ts';

/** A command is a value in a file of its own; the loop in session.ts does all that commands have in common. */

/** What a command may do. */
export interface ManageSieveSession {
  readonly connection: LineConnection;
  readonly sasl: Sasl;
  readonly scripts: ScriptStore;
  /** Whether the password itself may be sent: TLS, or an address that is trusted. */
  readonly plaintextAllowed: boolean;
  /** The capability response (RFC 5804 1.7), as it is now. */
  capabilities(): string;
  saslContext(): SaslContext;
  /** What the client answers to a challenge. Throws SieveNo when it breaks off. */
  readResponse(): Promise<Buffer>;
  /** The end of an authentication: the session is the account's from now on, or the refusal is thrown. */
  authenticated(step: SaslStep): void;
  /** Nobody's again (RFC 5804 2.14). */
  unauthenticate(): void;
  /** Resolves to warnings. Throws SieveError. */
  check(account: AccountId, source: string): Promise<readonly Complaint[]>;
  /** A text for people in the client's language. */
  say(text: string): string;
  /** The command wants the connection closed after its answer. */
  close(): void;
}

/** What stands behind OK; data before it was sent by the command. null: it has sent its whole response itself. */
export interface Ok {
  readonly code?: string;
  readonly text?: string;
}

interface Common {
  readonly name: string;
}

/** `state` is where it is valid (RFC 5804 2). */
export type Command = Common &
  (
    | {
        readonly state: 'any' | 'not-authenticated';
        run(session: ManageSieveSession, args: Arguments): Promise<Ok | null> | Ok | null;
      }
    | {
        readonly state: 'authenticated';
        run(session: ManageSieveSession, args: Arguments, account: AccountId): Promise<Ok | null> | Ok | null;
      }
  );

export type Arguments = readonly Argument[];
