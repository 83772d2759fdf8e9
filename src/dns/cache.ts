import type { Clock } from '../lib/clock.ts';
import type { Answer, Mx, Resolver } from './resolver.ts';

/** A day: nobody's mistake in a TTL shall stay with us for a week (RFC 8767 5 speaks of days to weeks). */
const MAX_TTL = 86_400;
/** RFC 2308 5 allows up to three hours; a new domain should not wait that long for its mail. */
const MAX_NEGATIVE_TTL = 900;

interface Entry {
  readonly answer: Answer<unknown>;
  readonly expires: number;
}

/**
 * Keeps answers as long as their TTL says, negative ones as long as the zone's SOA says (RFC 2308), and lets those who
 * ask the same at the same time share one query. Failures are never kept. The least recently used entry goes first.
 */
export class CachingResolver implements Resolver {
  readonly #resolver: Resolver;
  readonly #clock: Clock;
  readonly #size: number;
  /** In order of use, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #underWay = new Map<string, Promise<Answer<unknown>>>();

  constructor(resolver: Resolver, options: { readonly clock: Clock; readonly size: number }) {
    this.#resolver = resolver;
    this.#clock = options.clock;
    this.#size = options.size;
  }

  mx(name: string, signal?: AbortSignal): Promise<Answer<Mx>> {
    return this.#once(`mx ${normal(name)}`, () => this.#resolver.mx(name), signal);
  }

  a(name: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#once(`a ${normal(name)}`, () => this.#resolver.a(name), signal);
  }

  aaaa(name: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#once(`aaaa ${normal(name)}`, () => this.#resolver.aaaa(name), signal);
  }

  txt(name: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#once(`txt ${normal(name)}`, () => this.#resolver.txt(name), signal);
  }

  ptr(ip: string, signal?: AbortSignal): Promise<Answer<string>> {
    return this.#once(`ptr ${ip}`, () => this.#resolver.ptr(ip), signal);
  }

  /** Forgets everything, as after a reload. */
  clear(): void {
    this.#entries.clear();
  }

  /** `ask` must give the type that `key` stands for: keys begin with it. */
  async #once<T>(
    key: string,
    ask: () => Promise<Answer<T>>,
    signal: AbortSignal | undefined,
  ): Promise<Answer<T>> {
    signal?.throwIfAborted();
    const kept = this.#kept(key);
    if (kept) return kept as Answer<T>;
    let shared = this.#underWay.get(key);
    if (!shared) {
      // Without anybody's signal: who goes away does not take the answer from the others. The resolver has its bounds.
      shared = ask().then((answer) => this.#keep(key, answer));
      this.#underWay.set(key, shared);
      const done = (): void => void this.#underWay.delete(key);
      shared.then(done, done);
    }
    return (await unlessAborted(shared, signal)) as Answer<T>;
  }

  #kept(key: string): Answer<unknown> | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    this.#entries.delete(key);
    if (entry.expires <= this.#clock.now().getTime()) return undefined;
    this.#entries.set(key, entry);
    return entry.answer;
  }

  #keep(key: string, answer: Answer<unknown>): Answer<unknown> {
    const ttl = Math.min(answer.ttl ?? 0, answer.status === 'found' ? MAX_TTL : MAX_NEGATIVE_TTL);
    if (ttl <= 0 || this.#size === 0) return answer;
    this.#entries.set(key, { answer, expires: this.#clock.now().getTime() + ttl * 1000 });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#size) break;
      this.#entries.delete(oldest);
    }
    return answer;
  }
}

function normal(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
