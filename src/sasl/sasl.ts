import type { Account } from '../directory/directory.ts';
import type { TlsState } from '../net/connection.ts';

/** What the protocol server knows of the connection. */
export interface SaslContext {
  /** `smtp`, `imap`, `pop`, `sieve`: the service name of RFC 4422. */
  readonly service: string;
  readonly hostname: string;
  readonly tls: TlsState | null;
  /** Server nonces and CRAM-MD5 challenges come from here in tests. */
  readonly random: (size: number) => Uint8Array;
  /** Names the session in the log. */
  readonly sid: string;
  readonly ip: string;
  /** Aborted when the peer is gone: nobody waits for the answer to a failed attempt any more. */
  readonly signal?: AbortSignal;
}

export type SaslStep =
  | { readonly is: 'challenge'; readonly data: Uint8Array }
  | {
      readonly is: 'done';
      readonly account: Account;
      /**
       * SCRAM's server signature. A protocol that has no place for data with success (SMTP: RFC 4954 4, IMAP:
       * RFC 9051 6.2.2, POP3: RFC 5034 4) sends it as one more challenge and waits for the empty response.
       */
      readonly data?: Uint8Array;
    }
  | {
      readonly is: 'failed';
      /** `limited`: too many failures came before, so nothing was looked at (login-guard.ts). */
      readonly reason: 'credentials' | 'protocol' | 'cancelled' | 'temporary' | 'limited';
    };

/** One exchange. `respond` gets the client's decoded response; the first call gets the initial response or null. */
export interface SaslExchange {
  respond(response: Uint8Array | null): Promise<SaslStep>;
}

export interface SaslMechanism {
  /** As announced: `SCRAM-SHA-256`. */
  readonly name: string;
  /** The password crosses the wire, or what it can be guessed from: only under TLS, or from `auth.allowPlaintextFrom`. */
  readonly plaintext: boolean;
  /** Whether it can be used on this connection; without it on every one. */
  fits?(tls: TlsState | null): boolean;
  start(context: SaslContext): SaslExchange;
}

/** All mechanisms of the house, for every protocol at once. */
export interface Sasl {
  /** Those to announce on a connection of this service (`SaslContext`); plaintext ones only where `plaintextAllowed`. */
  mechanisms(plaintextAllowed: boolean, tls: TlsState | null, service: string): readonly SaslMechanism[];
  find(name: string, plaintextAllowed: boolean, tls: TlsState | null): SaslMechanism | undefined;
  /** LOGIN, USER/PASS: same checks, delays and log lines as PLAIN. */
  login(login: string, password: string, context: SaslContext): Promise<SaslStep>;
  /**
   * APOP (RFC 1939 7); `banner` is the greeting's timestamp with its angle brackets, `digest` what the client sent.
   * null where `auth.cramMd5` is off: then the greeting has no timestamp either. As CRAM-MD5, only where a password may
   * come as it is.
   */
  readonly apop:
    | ((login: string, digest: string, banner: string, context: SaslContext) => Promise<SaslStep>)
    | null;
}
