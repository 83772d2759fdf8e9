import type { SmtpClient } from './client.ts';

export interface PoolOptions {
  /** How long a connection waits for its next message, ms; 0 keeps none. */
  readonly idle: number;
  /** Messages over one connection. */
  readonly maxDeliveries: number;
  /** Connections that wait, over all hosts. */
  readonly maxIdle: number;
}

interface Waiting {
  readonly key: string;
  readonly client: SmtpClient;
  readonly timer: NodeJS.Timeout;
}

/** Connections without work, for a few seconds: the next message to the same host spares the handshakes. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  /** The longest waiting first. */
  readonly #waiting = new Set<Waiting>();
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** A connection under this key, which is the caller's from now on. */
  take(key: string): SmtpClient | undefined {
    // The one used last is the likeliest to be still there.
    const found = [...this.#waiting].reverse().find((waiting) => waiting.key === key);
    if (!found) return undefined;
    this.#remove(found);
    return found.client.usable ? found.client : this.take(key);
  }

  /** Takes a connection back, or says good-bye to it. */
  give(key: string, client: SmtpClient): void {
    const { idle, maxDeliveries, maxIdle } = this.#options;
    if (
      this.#closed ||
      idle === 0 ||
      maxIdle === 0 ||
      !client.usable ||
      client.transactions >= maxDeliveries
    ) {
      client.leave();
      return;
    }
    const timer = setTimeout(() => {
      this.#remove(waiting);
      client.leave();
    }, idle);
    const waiting: Waiting = { key, client, timer };
    this.#waiting.add(waiting);
    const [oldest] = this.#waiting;
    if (this.#waiting.size <= maxIdle || !oldest) return;
    this.#remove(oldest);
    oldest.client.leave();
  }

  /** Says good-bye to all, and to those given from now on. */
  close(): void {
    this.#closed = true;
    for (const waiting of this.#waiting) {
      this.#remove(waiting);
      waiting.client.leave();
    }
  }

  #remove(waiting: Waiting): void {
    clearTimeout(waiting.timer);
    this.#waiting.delete(waiting);
  }
}
