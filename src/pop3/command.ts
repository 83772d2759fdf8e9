import type { Language } from '../lib/language.ts';
import type { Logger } from '../lib/logger.ts';
import type { LineConnection } from '../net/connection.ts';
import type { Sasl, SaslContext, SaslStep } from '../sasl/sasl.ts';
import type { Maildrop } from './maildrop.ts';
import type { Pop3Options } from './options.ts';

/** A command is a value in a file of its own; the loop in session.ts does all that commands have in common. */

/** What a command may do. */
export interface Pop3Session {
  readonly connection: LineConnection;
  readonly log: Logger;
  readonly hostname: string;
  readonly version: string;
  readonly settings: Pop3Options;
  readonly sasl: Sasl;
  /** The greeting's timestamp for APOP, with its angle brackets; null where APOP is off. */
  readonly timestamp: string | null;
  /** Whether the password itself may be sent: TLS, or an address that is trusted. */
  readonly plaintextAllowed: boolean;
  /** The name given with USER. */
  user: string | null;
  /** Set by LANG. */
  language: Language;
  /** Set by UTF8 (RFC 6856 2.1). */
  mode: 'ascii' | 'utf8';

  /** Whether CAPA says this, as far as masks go (`pop3.mask`). */
  offers(capability: string): boolean;

  saslContext(): SaslContext;
  /** A text for people in the client's language, as the bytes of its UTF-8 (RFC 6856 3.2). */
  say(text: string): string;
  /** Reads a line that is not a command: a SASL response. Null when the peer is gone. */
  readLine(maxBytes: number): Promise<Buffer | null>;
  /** The end of an authentication: locks and opens the maildrop, or throws the refusal. Returns the text of +OK. */
  authenticated(step: SaslStep): Promise<string>;
  /** Counted for the line in the log at the end. */
  retrieved(octets: number): void;
  /** UPDATE (RFC 1939 6): removes what was marked and unlocks the maildrop. */
  update(maildrop: Maildrop): Promise<void>;
  /** The command wants the connection closed after its answer. */
  close(): void;
}

/** The text after `+OK`, or null when the command has sent its whole response itself. */
export type Reply = string | null;

interface Common {
  readonly name: string;
  /** What CAPA says of it, in the states of RFC 2449; undefined is nothing. */
  capability?(session: Pop3Session): string | undefined;
}

/** `state` is where it is valid: one of RFC 1939 3, of which UPDATE is but a moment within QUIT. */
export type Command = Common &
  (
    | {
        readonly state: 'authorization';
        run(session: Pop3Session, args: string): Promise<Reply> | Reply;
      }
    | {
        readonly state: 'transaction';
        run(session: Pop3Session, args: string, maildrop: Maildrop): Promise<Reply> | Reply;
      }
    | {
        readonly state: 'any';
        run(session: Pop3Session, args: string, maildrop: Maildrop | null): Promise<Reply> | Reply;
      }
  );
