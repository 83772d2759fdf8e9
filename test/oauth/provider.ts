import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a request of ours is answered with. */
export interface Answer {
  readonly status?: number;
  readonly body?: string;
  /** Nothing more comes after the body. */
  readonly hangs?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly form: URLSearchParams;
}

/** An authorization server, as far as we ever ask one: a real HTTP server on loopback. */
export class Provider {
  readonly asked: Asked[] = [];
  readonly #server: Server;
  answer: (asked: Asked) => Answer = () => ({ status: 404 });

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Provider> {
    const server = createServer();
    const provider = new Provider(server);
    server.on('request', (request, response) => {
      void textOf(request).then((text) => {
        const asked = {
          method: request.method ?? '',
          path: request.url ?? '',
          authorization: request.headers.authorization,
          form: new URLSearchParams(text),
        };
        provider.asked.push(asked);
        const { status = 200, body = '', hangs, headers = {} } = provider.answer(asked);
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.write(body);
        if (!hangs) response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return provider;
  }

  url(path: string): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  json(value: unknown): void {
    this.answer = () => ({ body: JSON.stringify(value) });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** A key of the issuer, and tokens signed with it. */
export interface Signer {
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly publicPem: string;
  token(claims: object, header?: object): string;
}

export function signer(alg: 'RS256' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA', kid: string): Signer {
  const { publicKey, privateKey } = keysFor(alg);
  const hash = alg === 'EdDSA' ? null : `sha${alg.slice(2)}`;
  const padding = alg === 'PS256' ? { padding: 6, saltLength: 32 } : {};
  return {
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' },
    publicPem: String(publicKey.export({ type: 'spki', format: 'pem' })),
    token(claims, header = {}) {
      const signed = `${base64url({ alg, kid, typ: 'at+jwt', ...header })}.${base64url(claims)}`;
      const key = { key: privateKey, dsaEncoding: 'ieee-p1363' as const, ...padding };
      return `${signed}.${sign(hash, Buffer.from(signed), key).toString('base64url')}`;
    },
  };
}

export function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function keysFor(alg: string): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
  switch (alg) {
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' });
    case 'ES384':
      return generateKeyPairSync('ec', { namedCurve: 'P-384' });
    case 'EdDSA':
      return generateKeyPairSync('ed25519');
    default:
      return generateKeyPairSync('rsa', { modulusLength: 2048 });
  }
}
