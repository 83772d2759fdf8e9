import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** What protects a connection to another host. */
export interface TlsUsed {
  readonly version: string;
  readonly cipher: string;
  /** Whether the certificate is valid and for this host; else why not. */
  readonly verified: true | string;
}

/** undefined without TLS. */
export function tlsOf(socket: Socket | false | null): TlsUsed | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const cipher = socket.getCipher();
  const problem: unknown = socket.authorizationError;
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: cipher.standardName ?? cipher.name,
    verified: socket.authorized ? true : whyUnverified(problem),
  };
}

function whyUnverified(problem: unknown): string {
  if (typeof problem === 'string') return problem;
  if (typeof problem === 'object' && problem !== null && 'code' in problem) return String(problem.code);
  return 'unknown';
}

/** For the log: `TLSv1.3 TLS_AES_256_GCM_SHA384 verified`. */
export function describeTls(used: TlsUsed | undefined): string {
  if (!used) return 'none';
  const verified = used.verified === true ? 'verified' : `unverified (${used.verified})`;
  return `${used.version} ${used.cipher} ${verified}`;
}
