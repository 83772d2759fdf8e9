import type { Directory } from '../directory/directory.ts';
import { TokenRefused } from '../oauth/errors.ts';
import { MAX_TOKEN, type OAuth, TOKEN } from '../oauth/oauth.ts';
import { type AttemptLog, attempt, broken } from './attempt.ts';
import type { SaslExchange, SaslMechanism, SaslStep } from './sasl.ts';
import { mayActAs, utf8 } from './text.ts';

/**
 * What OAUTHBEARER and XOAUTH2 share: one message with a token, and after a bad one an error in JSON, any answer, and
 * the failure (RFC 7628 3.2.3). The token itself is in no log line and in no answer.
 */

/** What a client's message asks for. */
export interface BearerRequest {
  /** Whom it wants to be; empty is whoever the token was given to. */
  readonly authzid: string;
  /** Empty: it only wants to hear which tokens are taken (RFC 7628 4.3). */
  readonly token: string;
}

export interface BearerForm {
  readonly name: 'OAUTHBEARER' | 'XOAUTH2';
  /** undefined where it is malformed. */
  parse(message: string, host: string | null): BearerRequest | undefined;
  /** What is told of a token that is refused. */
  error(status: ErrorStatus, hints: OAuth['hints']): object;
}

/** RFC 6750 3.1. */
export type ErrorStatus = 'invalid_request' | 'invalid_token' | 'insufficient_scope';

export interface BearerParts {
  readonly directory: Directory;
  readonly oauth: OAuth;
  readonly log: AttemptLog;
}

export function bearer(form: BearerForm, parts: BearerParts): SaslMechanism {
  return {
    name: form.name,
    // Whoever reads a token has it (RFC 7628 3: TLS), as with a password.
    plaintext: true,
    start: (context) => exchange(form, parts, context),
  };
}

function exchange(
  form: BearerForm,
  { directory, oauth, log }: BearerParts,
  context: Parameters<SaslMechanism['start']>[0],
): SaslExchange {
  const { name } = form;
  let asked = false;
  /** How it ends once the client has answered the error. */
  let outcome: SaslStep | undefined;

  const refuse = (status: ErrorStatus, end: SaslStep): SaslStep => {
    outcome = end;
    return { is: 'challenge', data: Buffer.from(JSON.stringify(form.error(status, oauth.hints))) };
  };

  async function check({ authzid, token }: BearerRequest): Promise<SaslStep> {
    let status: ErrorStatus = 'invalid_token';
    const end = await attempt(log, context, name, authzid, async () => {
      try {
        const { login } = await oauth.owner(token);
        const account = await directory.loginAccount(login);
        return account && mayActAs(authzid, login, account) ? { account } : undefined;
      } catch (error) {
        if (!(error instanceof TokenRefused)) throw error;
        const { sid, ip, service } = context;
        log.log.info({ sid, ip, service, mechanism: name, reason: error.message }, 'token refused');
        status = error.status;
        return undefined;
      }
    });
    return end.is === 'failed' && end.reason === 'credentials' ? refuse(status, end) : end;
  }

  return {
    async respond(response) {
      if (outcome) return outcome;
      if (response === null) {
        if (asked) return broken(log, context, name);
        asked = true;
        return { is: 'challenge', data: new Uint8Array() };
      }
      asked = true;
      const text = utf8(response);
      const request = text === undefined ? undefined : form.parse(text, context.tls?.servername ?? null);
      // No token was tried: nothing to count.
      if (!request) return refuse('invalid_request', broken(log, context, name));
      if (request.token === '') return refuse('invalid_token', { is: 'failed', reason: 'credentials' });
      return check(request);
    },
  };
}

/** The token of an `Authorization` of HTTP, empty where that is; undefined for anything but Bearer (RFC 6750 2.1). */
export function tokenIn(authorization: string): string | undefined {
  if (authorization === '') return '';
  const token = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  return token !== undefined && token.length <= MAX_TOKEN && TOKEN.test(token) ? token : undefined;
}
