import { DirectoryError } from './errors.ts';

/** Lets `width` tasks run at a time and a bounded number wait, first come first served. */
export class Gate {
  readonly #width: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(width: number, maxWaiting: number) {
    this.#width = width;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws DirectoryError `busy` when too many wait already. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#running < this.#width) this.#running++;
    else {
      if (this.#waiting.length >= this.#maxWaiting)
        throw new DirectoryError(
          'busy',
          'too many passwords are being checked at once; try again in a moment',
        );
      // Whoever leaves hands over its place, so nobody can slip in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running--;
    }
  }
}
