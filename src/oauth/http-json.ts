import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { OAuthUnavailable } from './errors.ts';

/**
 * The only HTTP that this room speaks: one request to a configured URL, one JSON document in return. Redirects are not
 * followed, the answer is bounded, and so is the time until its last octet.
 */

/** A set of keys or what is said of one token: some kilobytes. */
const MAX_ANSWER = 256 * 1024;

export interface JsonRequest {
  readonly url: string;
  readonly timeoutMs: number;
  /** PEM; null is what the system trusts. */
  readonly ca: string | null;
  /** Sent by POST, as a form. */
  readonly form?: Readonly<Record<string, string>>;
  /** HTTP's Basic authentication (RFC 6749 2.3.1). */
  readonly client?: { readonly id: string; readonly secret: string };
}

/** @throws OAuthUnavailable */
export function fetchJson({ url, timeoutMs, ca, form, client }: JsonRequest): Promise<unknown> {
  const body = form === undefined ? undefined : new URLSearchParams(form).toString();
  const headers = {
    accept: 'application/json',
    ...(body === undefined
      ? {}
      : {
          'content-type': 'application/x-www-form-urlencoded',
          'content-length': Buffer.byteLength(body),
        }),
    ...(client && { authorization: basic(client) }),
  };
  const secure = url.startsWith('https:');
  const options = {
    method: body === undefined ? 'GET' : 'POST',
    headers,
    // A connection for each: answers are remembered, so there are few.
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
    ...(secure && ca !== null && { ca }),
  } as const;
  return new Promise((resolve, reject) => {
    // An error's own words may name the URL; what was sent is in none of them.
    const fail = (reason: string, cause?: unknown): void =>
      reject(new OAuthUnavailable(`${withoutQuery(url)}: ${reason}`, { cause }));
    const request = (secure ? requestTls : requestPlain)(url, options, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('error', (error) => fail('the answer broke off', error));
      if (response.statusCode !== 200) {
        response.destroy();
        fail(`HTTP status ${response.statusCode}`);
        return;
      }
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length <= MAX_ANSWER) chunks.push(chunk);
        else {
          fail('the answer is too long');
          response.destroy();
        }
      });
      response.on('close', () => fail('the answer broke off'));
      response.on('end', () => {
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          fail('the answer is not JSON', error);
        }
      });
    });
    request.on('error', (error) =>
      fail(
        error.name === 'AbortError' || error.name === 'TimeoutError' ? 'no answer in time' : error.message,
      ),
    );
    request.end(body);
  });
}

/** Both are form-encoded first (RFC 6749 2.3.1). */
function basic({ id, secret }: { readonly id: string; readonly secret: string }): string {
  const encoded = [id, secret].map((text) => new URLSearchParams({ x: text }).toString().slice(2));
  return `Basic ${Buffer.from(encoded.join(':')).toString('base64')}`;
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}
