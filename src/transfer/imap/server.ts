import type { ImapFlow } from 'imapflow';
import type { Clock } from '../../lib/clock.ts';
import { TransferError } from '../errors.ts';

/**
 * The other server, to be asked again and again: a connection that is lost is made anew, after pauses that grow. Folders
 * are only ever examined (EXAMINE), so that nothing changes there. What a server says is bounded; what it refuses is
 * thrown to whoever asked.
 */
export interface ServerWishes {
  readonly host: string;
  readonly port: number;
  readonly tls: 'implicit' | 'starttls' | 'none';
  /** `unverified`: whatever certificate it shows. `authority`: PEM, besides the system's. */
  readonly trust:
    | { readonly is: 'system' }
    | { readonly is: 'unverified' }
    | { readonly is: 'authority'; readonly pem: string };
  readonly user: string;
  readonly secret: { readonly password: string } | { readonly token: string };
}

/** Pauses (ms) before the next attempts; after the last it is given up. */
const PAUSES = [1000, 2000, 5000, 10_000, 30_000, 60_000, 60_000];
/** Literals are fetched in pieces far smaller than this. */
const MAX_LITERAL = 64 * 1024 * 1024;
const CONNECT_MS = 30_000;

export class ImapServer {
  readonly #wishes: ServerWishes;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #pauses: readonly number[];
  #client: ImapFlow | null = null;
  #open: { readonly path: string; readonly uidValidity: string } | null = null;
  #failures = 0;

  constructor(
    wishes: ServerWishes,
    {
      clock,
      signal,
      pauses,
    }: { readonly clock: Clock; readonly signal: AbortSignal; readonly pauses?: readonly number[] },
  ) {
    this.#wishes = wishes;
    this.#clock = clock;
    this.#signal = signal;
    this.#pauses = pauses ?? PAUSES;
  }

  /** Throws TransferError when the server cannot be reached, or does not let us in. */
  async connect(): Promise<ImapFlow> {
    if (this.#client?.usable) return this.#client;
    this.#forget();
    const { host, port, tls, trust, user, secret } = this.#wishes;
    // Only now: no other command waits for it to be loaded.
    const imapflow = await import('imapflow');
    const client = new imapflow.ImapFlow({
      host,
      port,
      secure: tls === 'implicit',
      doSTARTTLS: tls === 'starttls',
      auth: { user, ...('token' in secret ? { accessToken: secret.token } : { pass: secret.password }) },
      tls: {
        ...(trust.is === 'unverified' && { rejectUnauthorized: false }),
        ...(trust.is === 'authority' && { ca: trust.pem }),
      },
      logger: false,
      disableAutoIdle: true,
      // Compressed, an import whose connection breaks in the middle of a big message was given up instead of going on.
      disableCompression: true,
      clientInfo: { name: 'facteur' },
      connectionTimeout: CONNECT_MS,
      maxLiteralSize: MAX_LITERAL,
      maxResponseSize: 2 * MAX_LITERAL,
    });
    // Whoever waits for an answer hears of it.
    client.on('error', () => undefined);
    try {
      await client.connect();
    } catch (error) {
      client.close();
      throw this.#refusal(error) ?? error;
    }
    this.#client = client;
    return client;
  }

  /** `work` may run several times, on one connection after the other. */
  async ask<T>(work: (client: ImapFlow) => Promise<T>): Promise<T> {
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        const result = await work(await this.connect());
        this.#failures = 0;
        return result;
      } catch (error) {
        this.#signal.throwIfAborted();
        if (error instanceof TransferError || !this.#isLost(error)) throw error;
        await this.#pause(error);
      }
    }
  }

  /** The same, with the folder examined. Throws TransferError when its UIDs have other meanings than before. */
  askIn<T>(path: string, uidValidity: string | null, work: (client: ImapFlow) => Promise<T>): Promise<T> {
    return this.ask(async (client) => {
      const validity = await this.#examine(client, path);
      if (uidValidity !== null && validity !== uidValidity)
        throw new TransferError(`the server has numbered "${path}" anew meanwhile; run the command again`);
      return work(client);
    });
  }

  /** Resolves to its UIDVALIDITY. */
  examine(path: string): Promise<string> {
    return this.ask((client) => this.#examine(client, path));
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    if (!client?.usable) return client?.close();
    // A server that does not answer to LOGOUT is not waited for.
    await Promise.race([client.logout().catch(() => undefined), this.#clock.sleep(1000)]);
    client.close();
  }

  async #examine(client: ImapFlow, path: string): Promise<string> {
    if (this.#open?.path === path && client.mailbox) return this.#open.uidValidity;
    this.#open = null;
    const opened = await client.mailboxOpen(path, { readOnly: true });
    this.#open = { path, uidValidity: String(opened.uidValidity) };
    return this.#open.uidValidity;
  }

  async #pause(error: unknown): Promise<void> {
    this.#forget();
    const pause = this.#pauses[this.#failures];
    if (pause === undefined) {
      const { host } = this.#wishes;
      throw new TransferError(
        `the connection to ${host} was lost again and again (${words(error)}); run the same command later, it goes on from here`,
        { cause: error },
      );
    }
    this.#failures++;
    await this.#clock.sleep(pause, this.#signal);
  }

  #forget(): void {
    this.#client?.close();
    this.#client = null;
    this.#open = null;
  }

  /** The connection is gone or the server asks to come later; anything else is an answer. */
  #isLost(error: unknown): boolean {
    if (!this.#client?.usable) return true;
    const code = field(error, 'serverResponseCode') || field(error, 'code');
    return /^(UNAVAILABLE|INUSE|LIMIT|ETHROTTLE|NoConnection|EConnectionClosed|ETIMEOUT|ECONNRESET)$/.test(
      code,
    );
  }

  /** What trying again does not change. */
  #refusal(error: unknown): TransferError | undefined {
    const { host, port, user } = this.#wishes;
    const at = `${host}:${port}`;
    if (isTrue(error, 'authenticationFailed'))
      return new TransferError(
        `${at} does not let ${user} in: ${field(error, 'responseText') || words(error)}`,
        {
          cause: error,
        },
      );
    const code = field(error, 'code');
    if (this.#failures === 0 && /^(ENOTFOUND|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN)$/.test(code))
      return new TransferError(`${at} cannot be reached: ${words(error)}`, { cause: error });
    if (/CERT|SELF_SIGNED|UNABLE_TO|ALTNAME/.test(code))
      return new TransferError(
        `${at} shows a certificate that cannot be trusted (${words(error)}); --ca FILE names its authority, --insecure trusts any`,
        { cause: error },
      );
    if (/SSL|TLS/i.test(code) || /STARTTLS/i.test(words(error)))
      return new TransferError(`no TLS with ${at}: ${words(error)}; see --tls implicit, starttls and none`, {
        cause: error,
      });
    return undefined;
  }
}

/** What a server or the system says, shortened: it may be anything. */
export function words(error: unknown): string {
  const text = field(error, 'responseText') || (error instanceof Error ? error.message : String(error));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, 200);
}

function field(error: unknown, name: string): string {
  if (typeof error !== 'object' || error === null) return '';
  const value: unknown = new Map<string, unknown>(Object.entries(error)).get(name);
  return typeof value === 'string' ? value : '';
}

function isTrue(error: unknown, name: string): boolean {
  if (typeof error !== 'object' || error === null) return false;
  return new Map<string, unknown>(Object.entries(error)).get(name) === true;
}
