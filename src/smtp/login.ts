import type { Account } from '../directory/directory.ts';
import { type Reply, SmtpError } from '../mail/reply.ts';
import type { SaslExchange, SaslStep } from '../sasl/sasl.ts';
import { type Client, plaintextAllowed, type SmtpRoom } from './client.ts';

/** One AUTH dialogue (RFC 4954 4): challenges as 334 lines, responses in base64, `*` to give up. */

/** No mechanism needs more; whoever goes on only keeps us busy. */
const MAX_RESPONSES = 10;

/** What to send next, and whether that ends the dialogue. */
export type LoginStep =
  | { readonly is: 'challenge'; readonly reply: Reply }
  | { readonly is: 'failed'; readonly reply: Reply; readonly cause?: unknown }
  | { readonly is: 'done'; readonly reply: Reply; readonly account: Account };

export class Login {
  readonly mechanism: string;
  readonly #exchange: SaslExchange;
  #responses = 0;
  /** Set when only the client's empty answer to the last data is missing. */
  #account: Account | undefined;

  private constructor(mechanism: string, exchange: SaslExchange) {
    this.mechanism = mechanism;
    this.#exchange = exchange;
  }

  /** AUTH's own line. @throws SmtpError when there is no such dialogue to begin */
  static begin(text: string, room: SmtpRoom, client: Client): { login: Login; first: Promise<LoginStep> } {
    const [name = '', initial, ...rest] = text.split(/[ \t]+/).filter((word) => word !== '');
    if (name === '' || rest.length > 0)
      throw new SmtpError(501, '5.5.4', 'Syntax: AUTH mechanism [response]');
    const allowed = plaintextAllowed(room, client);
    const mechanism = room.sasl.find(name.toUpperCase(), allowed, client.tls);
    if (!mechanism) {
      const withTls = !allowed && room.sasl.find(name.toUpperCase(), true, client.tls) !== undefined;
      throw withTls
        ? new SmtpError(538, '5.7.11', 'Encryption required: STARTTLS first')
        : new SmtpError(504, '5.5.4', 'Unknown authentication mechanism');
    }
    const exchange = mechanism.start({
      service: 'smtp',
      hostname: room.hostname,
      tls: client.tls,
      random: room.random,
      sid: client.sid,
      ip: client.peer.ip,
    });
    const login = new Login(mechanism.name, exchange);
    return { login, first: login.#first(initial) };
  }

  /** A line that answers a challenge. */
  async respond(line: string): Promise<LoginStep> {
    if (line === '*') return failed(501, '5.7.0', 'Authentication cancelled');
    const response = fromBase64(line);
    if (!response) return failed(501, '5.5.2', 'Not base64');
    if (++this.#responses > MAX_RESPONSES) return failed(535, '5.7.8', 'Authentication failed');
    if (this.#account) {
      if (response.length > 0) return failed(501, '5.5.2', 'Empty response expected');
      return done(this.#account);
    }
    return this.#step(response);
  }

  async #first(initial: string | undefined): Promise<LoginStep> {
    if (initial === undefined) return this.#step(null);
    // `=` is how an empty response is written (RFC 4954 4).
    const response = initial === '=' ? Buffer.alloc(0) : fromBase64(initial);
    if (!response) return failed(501, '5.5.2', 'Not base64');
    return this.#step(response);
  }

  async #step(response: Uint8Array | null): Promise<LoginStep> {
    let step: SaslStep;
    try {
      step = await this.#exchange.respond(response);
    } catch (error) {
      return { ...failed(454, '4.7.0', 'Temporary authentication failure'), cause: error };
    }
    switch (step.is) {
      case 'challenge':
        return challenge(step.data);
      case 'done':
        if (step.data === undefined) return done(step.account);
        // SMTP cannot send data with its 235: it goes as a challenge more (RFC 4954 4).
        this.#account = step.account;
        return challenge(step.data);
      case 'failed':
        return failure(step.reason);
    }
  }
}

function failure(reason: Extract<SaslStep, { is: 'failed' }>['reason']): LoginStep & { is: 'failed' } {
  switch (reason) {
    case 'credentials':
      return failed(535, '5.7.8', 'Authentication failed');
    case 'protocol':
      return failed(501, '5.5.2', 'Bad response for this mechanism');
    case 'cancelled':
      return failed(501, '5.7.0', 'Authentication cancelled');
    case 'limited':
      return failed(454, '4.7.0', 'Too many failed logins, try again later');
    case 'temporary':
      return failed(454, '4.7.0', 'Temporary authentication failure');
  }
}

function challenge(data: Uint8Array): LoginStep {
  return { is: 'challenge', reply: { code: 334, text: Buffer.from(data).toString('base64') } };
}

function done(account: Account): LoginStep {
  return {
    is: 'done',
    account,
    reply: { code: 235, enhanced: '2.7.0', text: 'Authentication successful' },
  };
}

function failed(
  code: number,
  enhanced: Reply['enhanced'] & string,
  text: string,
): LoginStep & { is: 'failed' } {
  return { is: 'failed', reply: { code, enhanced, text } };
}

/** @returns undefined when it is not base64, in whole groups of four (RFC 4954 4, RFC 4648 3.5). */
function fromBase64(text: string): Buffer | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, 'base64');
}
