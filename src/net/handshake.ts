import type { Socket } from 'node:net';
import { TLSSocket, type TlsOptions } from 'node:tls';
import { clientCertificate } from './client-certificate.ts';
import type { TlsState } from './connection.ts';

/** The server's side of a TLS handshake on an accepted socket: implicit TLS, STARTTLS and STLS alike. */

/**
 * Where the present certificates come from; asked at each handshake, so that a reload takes effect at once. With
 * `requestCert` clients are asked for certificates of theirs, and need not have any.
 */
export interface TlsContext {
  options(): TlsOptions;
}

export class HandshakeError extends Error {
  override readonly name = 'HandshakeError';
  /** `noise`: no TLS was spoken, or the peer went away, as port scanners do. */
  readonly kind: 'noise' | 'failed' | 'timeout';

  constructor(kind: HandshakeError['kind'], message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** What peers send that do not speak TLS at all, in OpenSSL's words. */
const NOISE = new Set([
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_HTTPS_PROXY_REQUEST',
]);

/**
 * Resolves to the encrypted socket, or destroys the connection and rejects with HandshakeError.
 * Bytes that the socket holds already are taken for the peer's ClientHello.
 */
export function handshake(socket: Socket, tls: TlsContext, timeoutMs: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const options = tls.options();
    const secure = new TLSSocket(socket, {
      ...options,
      isServer: true,
      requestCert: options.requestCert === true,
      // One that is not good is as none: passwords and tokens still are.
      rejectUnauthorized: false,
    });
    const timer = setTimeout(() => fail(new HandshakeError('timeout', 'TLS handshake timed out')), timeoutMs);
    const fail = (error: HandshakeError): void => {
      clearTimeout(timer);
      secure.destroy();
      reject(error);
    };
    const onError = (error: Error & { code?: string }): void =>
      fail(
        new HandshakeError(
          NOISE.has(error.code ?? '') || error.code === 'ECONNRESET' ? 'noise' : 'failed',
          plainReason(error),
          error,
        ),
      );
    const onClose = (): void => fail(new HandshakeError('noise', 'the peer closed during the handshake'));
    // Before the handshake is done Node reports failures here, and not always as an error.
    secure.once('_tlsError', onError);
    secure.on('error', onError);
    secure.once('close', onClose);
    secure.once('secure', () => {
      clearTimeout(timer);
      secure.off('_tlsError', onError);
      secure.off('close', onClose);
      secure.off('error', onError);
      // Later failures end the connection, which whoever holds it sees; without a listener they would end the process.
      secure.on('error', () => {});
      resolve(secure);
    });
  });
}

/** OpenSSL's `error:0A000102:SSL routines::unsupported protocol:../deps/…` without the clutter. */
function plainReason(error: Error): string {
  return /SSL routines:[^:]*:([^:]+)/.exec(error.message)?.[1] ?? error.message;
}

/** RFC 9266 2: 32 octets, no context. TLS 1.3 makes no difference between none and an empty one (RFC 8446 7.5). */
function exporterOf(socket: TLSSocket): Uint8Array {
  return socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0));
}

/** What the log and the Received field say of an encrypted connection. */
export function tlsState(socket: TLSSocket): TlsState {
  const { servername } = socket as TLSSocket & { servername?: unknown };
  const certificate = clientCertificate(socket);
  return {
    version: socket.getProtocol() ?? 'TLS',
    // The standard name, as in TLS_AES_256_GCM_SHA384: the only one RFC 8314 knows.
    cipher: socket.getCipher().standardName,
    servername: typeof servername === 'string' && servername !== '' ? servername : null,
    // Older versions need extended master secrets for it, which Node does not show (RFC 9266 4.2).
    ...(certificate && { clientCertificate: certificate }),
    ...(socket.getProtocol() === 'TLSv1.3' ? { exporter: () => exporterOf(socket) } : {}),
  };
}
