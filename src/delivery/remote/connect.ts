import { connect, isIPv6, type Socket } from 'node:net';
import { SessionError } from './session-error.ts';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `192.0.2.1:25`, `[2001:db8::1]:25`. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  EADDRNOTAVAIL: 'cannot use the address to connect from',
  ETIMEDOUT: 'connection timed out',
  EPIPE: 'connection lost',
};

/** A system error in words that say nothing of our side's insides. */
export function reasonOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error));
}

/** Resolves to a TCP connection; rejects with a SessionError. */
export function openSocket(
  endpoint: Endpoint,
  options: { readonly localAddress?: string; readonly timeout: number; readonly signal: AbortSignal },
): Promise<Socket> {
  const { localAddress, timeout, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: endpoint.address,
      port: endpoint.port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    const fail = (error: SessionError): void => {
      settle();
      socket.on('error', () => {});
      socket.destroy();
      reject(error);
    };
    const onError = (error: Error): void =>
      fail(new SessionError('connect', reasonOf(error), undefined, error));
    const onAbort = (): void => fail(new SessionError('aborted', 'delivery was stopped'));
    // The peer lives in real time, whatever our Clock says.
    const timer = setTimeout(() => fail(new SessionError('connect', 'connection timed out')), timeout);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
    };
    socket.once('error', onError);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}
