import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Who is at the other end, after PROXY protocol. */
export interface Peer {
  readonly ip: string;
  readonly port: number;
  /** Where the connection came in. */
  readonly localIp: string;
  readonly localPort: number;
}

/** Shown by the peer, signed by one of the authorities that were asked for, and in force. */
export interface ClientCertificate {
  /** Mail addresses: each rfc822Name, or emailAddress of the subject where there is none. */
  readonly emails: readonly string[];
  readonly validTo: Date;
  /** CN of the subject. */
  readonly commonNames: readonly string[];
}

export interface TlsState {
  /** `TLSv1.3` */
  readonly version: string;
  readonly cipher: string;
  readonly servername: string | null;
  /** The channel binding `tls-exporter` (RFC 9266), where TLS has it: 1.3, which never renegotiates. */
  readonly exporter?: () => Uint8Array;
  /** Only where one was asked for, and all is well with it. */
  readonly clientCertificate?: ClientCertificate;
}

/** A socket that a listener has accepted: limits checked, PROXY header read, implicit TLS done. */
export interface Accepted {
  /** Names the session in every log line: `sid`. */
  readonly sid: string;
  readonly socket: Socket | TLSSocket;
  readonly peer: Peer;
  readonly tls: TlsState | null;
}

/**
 * A peer that speaks lines, as IMAP and POP3 do. Reading is by request only: what is not asked for stays in the
 * kernel, so a peer cannot make us buffer more than `maxLine`.
 */
export interface LineConnection {
  readonly sid: string;
  readonly peer: Peer;
  readonly tls: TlsState | null;
  /**
   * The next line without its line end, as bytes. `null` at the end of the stream.
   * Throws LineTooLong past `maxBytes` (the rest of that line is skipped by the next call), IdleTimeout after `timeoutMs`.
   */
  readLine(options: { readonly maxBytes: number; readonly timeoutMs: number }): Promise<Buffer | null>;
  /** Exactly `size` octets, in chunks as they come (IMAP literals). Throws IdleTimeout, ConnectionLost. */
  readOctets(size: number, options: { readonly timeoutMs: number }): AsyncIterable<Buffer>;
  /** What has come and was not yet asked for (pipelining), as far as it is looked at; valid until the next read. */
  readonly ahead: Buffer;
  /** Sends; resolves when the kernel takes more (back-pressure). Strings are latin1 bytes. Throws ConnectionLost. */
  write(data: string | Uint8Array): Promise<void> | undefined;
  /** Server side of STARTTLS/STLS: what the peer pipelined in the clear is thrown away (CVE-2011-0411). */
  startTls(): Promise<void>;
  /** Both directions are DEFLATE blocks from here on (RFC 4978): what is not yet read is taken for some. Once only. */
  compress(): Promise<void>;
  readonly compressed: boolean;
  /** Sends what is pending, then closes. */
  end(): Promise<void>;
  destroy(): void;
  /** Aborted when the peer is gone or the server stops; sessions that wait (IDLE) listen to it. */
  readonly signal: AbortSignal;
}
