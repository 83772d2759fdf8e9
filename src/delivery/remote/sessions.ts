import { isIPv6 } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import type { Logger } from '../../lib/logger.ts';
import { formatReply, type Reply } from '../../mail/reply.ts';
import type { DeliveryOptions } from '../options.ts';
import { type ClientOptions, SmtpClient } from './client.ts';
import { ConnectionPool } from './pool.ts';
import { SessionError } from './session-error.ts';
import { relayName, reply, type Target } from './targets.ts';

/** What a message asks of the way it goes. `protected`: REQUIRETLS (RFC 8689 4.2.1). */
export type Protection = 'any' | 'protected';

export type Opened =
  | { readonly is: 'open'; readonly client: SmtpClient; readonly used: 'before' | 'never' }
  /** Perhaps later, or at another host. */
  | { readonly is: 'unavailable'; readonly reply: Reply }
  /** This host cannot give what the message asks for: with nobody else to ask, the message fails. */
  | { readonly is: 'unfit'; readonly reply: Reply };

export interface SessionsOptions {
  readonly delivery: DeliveryOptions;
  /** What we call ourselves. */
  readonly hostname: string;
  /** PEM of certificate authorities to trust besides the usual ones. */
  readonly trust: readonly string[];
}

/** Conversations with other hosts: new ones as the TLS rules want them, or ones kept from the message before. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #pool: ConnectionPool;
  readonly #secureContext: SecureContext;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#pool = new ConnectionPool(options.delivery.reuse);
    const { trust } = options;
    this.#secureContext = createSecureContext(
      trust.length > 0 ? { ca: [...getCACertificates('default'), ...trust] } : {},
    );
  }

  /** `fresh` takes none that was used before. */
  async open(
    target: Target,
    protection: Protection,
    age: 'any' | 'fresh',
    log: Logger,
    signal: AbortSignal,
  ): Promise<Opened> {
    const kept = age === 'any' ? this.#pool.take(keyOf(target, protection)) : undefined;
    if (kept) return { is: 'open', client: kept, used: 'before' };
    try {
      const client = await this.#connect(target, protection, log, signal);
      const lack = this.#lacks(target, protection, client);
      if (lack) {
        client.leave();
        return lack;
      }
      if (target.credentials) await client.logIn(target.credentials, signal);
      return { is: 'open', client, used: 'never' };
    } catch (error) {
      if (!(error instanceof SessionError) || error.phase === 'aborted') throw error;
      return failure(target, protection, error);
    }
  }

  /** Gives a conversation back after a message. */
  keep(target: Target, protection: Protection, client: SmtpClient): void {
    this.#pool.give(keyOf(target, protection), client);
  }

  close(): void {
    this.#pool.close();
  }

  async #connect(
    target: Target,
    protection: Protection,
    log: Logger,
    signal: AbortSignal,
  ): Promise<SmtpClient> {
    const tls = modeOf(target, protection);
    try {
      return await SmtpClient.open(this.#clientOptions(target, tls), signal);
    } catch (error) {
      // RFC 7435: TLS where it works; a host whose TLS is broken still gets its mail, as it would without any.
      if (!(error instanceof SessionError) || error.phase !== 'tls' || tls !== 'starttls') throw error;
      log.warn({ relay: relayName(target), reason: error.message }, 'TLS failed, delivering without');
      return SmtpClient.open(this.#clientOptions(target, 'none'), signal);
    }
  }

  #clientOptions(target: Target, tls: ClientOptions['tls']): ClientOptions {
    const { delivery, hostname } = this.#options;
    const localAddress = delivery.bindAddresses.find((ip) => isIPv6(ip) === isIPv6(target.address));
    return {
      address: target.address,
      port: target.port,
      servername: target.servername,
      helo: hostname,
      tls,
      secureContext: this.#secureContext,
      timeouts: delivery.timeouts,
      ...(localAddress === undefined ? {} : { localAddress }),
    };
  }

  #lacks(target: Target, protection: Protection, client: SmtpClient): Opened | undefined {
    const verified = client.tlsUsed?.verified;
    const why = verified === undefined ? 'no TLS' : `its certificate is not valid (${verified})`;
    const relay = relayName(target);
    if (protection === 'protected') {
      if (!target.secure || verified !== true) {
        const reason = target.secure ? why : 'its name came without DNSSEC';
        return {
          is: 'unfit',
          reply: reply(550, '5.7.10', `${relay} cannot be trusted with this message: ${reason}`),
        };
      }
      if (!client.extensions.has('REQUIRETLS'))
        return { is: 'unfit', reply: reply(550, '5.7.30', `${relay} does not support REQUIRETLS`) };
      return undefined;
    }
    const verifies = target.tls === 'verify' || target.tls === 'implicit';
    if (verifies && verified !== true) return unavailable('4.7.5', `${relay}: ${why}`);
    const plainPassword = target.credentials !== null && verified === undefined && target.tls !== 'none';
    if (plainPassword) return unavailable('4.7.4', `${relay} has no TLS, and a password is not sent without`);
    return undefined;
  }
}

function unavailable(enhanced: '4.7.4' | '4.7.5', text: string): Opened {
  return { is: 'unavailable', reply: reply(451, enhanced, text) };
}

function failure(target: Target, protection: Protection, error: SessionError): Opened {
  const relay = relayName(target);
  const said = error.reply ? `: ${formatReply(error.reply)}` : '';
  switch (error.phase) {
    case 'tls':
      if (protection === 'protected')
        return {
          is: 'unfit',
          reply: reply(550, '5.7.10', `${relay} has no working TLS${said || `: ${error.message}`}`),
        };
      return unavailable('4.7.4', `${relay} has no working TLS${said || `: ${error.message}`}`);
    case 'auth':
      return { is: 'unavailable', reply: reply(451, '4.7.8', `${relay}: ${error.message}${said}`) };
    case 'greeting':
      // Whatever its class: it concerns this host, not the message (RFC 5321 3.1).
      return { is: 'unavailable', reply: reply(451, '4.4.1', `${relay}${said || `: ${error.message}`}`) };
    case 'connect':
    case 'transaction':
    case 'end':
    case 'aborted':
      return { is: 'unavailable', reply: reply(451, '4.4.1', `${relay}: ${error.message}`) };
  }
}

function modeOf(target: Target, protection: Protection): ClientOptions['tls'] {
  if (target.tls === 'implicit') return 'implicit';
  if (protection === 'protected') return 'required';
  switch (target.tls) {
    case 'none':
      return 'none';
    case 'may':
      return 'starttls';
    case 'encrypt':
    case 'verify':
      return 'required';
  }
}

function keyOf(target: Target, protection: Protection): string {
  return `${relayName(target)} ${target.tls} ${protection}`;
}
