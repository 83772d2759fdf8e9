import { type MessagePort, type Transferable, Worker } from 'node:worker_threads';

/**
 * Calls into worker threads. A service is an object of functions; a call names `service.method`, its argument is
 * cloned, its result comes back as a promise. All calls of one tick to one worker travel in one message, and so do
 * the answers: a round trip costs 20 µs alone and 3 µs in company.
 */
export type Service = Readonly<Record<string, (argument: never) => unknown>>;

interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: WireError }
  | { readonly event: string; readonly value: unknown };

/** What of an error crosses threads. Rooms rebuild their own classes from `name` and `fields`. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Thread {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>;
  outbox: Call[];
  transfer: Transferable[];
  readonly state: { is: 'running' | 'gone' };
}

export class ThreadPool {
  readonly size: number;
  #threads: Thread[] = [];
  #listeners = new Map<string, ((value: never) => void)[]>();
  #revive: ((error: WireError) => Error | undefined)[] = [];
  #nextId = 1;
  #closing = false;
  readonly #onCrash: (error: Error) => void;

  /**
   * @param entry URL of the module each thread runs; it calls `serveThread`.
   * @param onCrash a thread died by itself; its calls were rejected. The process should stop.
   */
  constructor(entry: URL, size: number, workerData: unknown, onCrash: (error: Error) => void) {
    this.size = size;
    this.#onCrash = onCrash;
    for (let i = 0; i < size; i++) this.#threads.push(this.#start(entry, workerData));
  }

  /** Calls `service.method` on the thread that owns `shard` (any string; the same string, the same thread). */
  call<T>(
    shard: string,
    method: string,
    argument: unknown,
    transfer: readonly Transferable[] = [],
  ): Promise<T> {
    const thread = this.#threads[hash(shard) % this.#threads.length];
    if (!thread || this.#closing) return Promise.reject(new Error('the worker threads are closed'));
    if (thread.state.is === 'gone') return Promise.reject(new Error('the worker thread has died'));
    const id = this.#nextId++;
    if (thread.outbox.length === 0) queueMicrotask(() => flush(thread));
    thread.outbox.push({ id, method, argument });
    thread.transfer.push(...transfer);
    return new Promise<T>((resolve, reject) => {
      thread.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /** Events that services emit, from any thread. */
  on<T>(event: string, listener: (value: T) => void): void {
    const list = this.#listeners.get(event) ?? [];
    list.push(listener as (value: never) => void);
    this.#listeners.set(event, list);
  }

  /** Lets a room turn a thread's error back into its own class; undefined when it is not its own. */
  revive(make: (error: WireError) => Error | undefined): void {
    this.#revive.push(make);
  }

  /** Waits for calls under way, then ends the threads. */
  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(
      this.#threads.map(async ({ worker, state }) => {
        if (state.is === 'gone') return;
        const gone = new Promise((resolve) => worker.once('exit', resolve));
        worker.postMessage('close');
        await gone;
      }),
    );
  }

  #start(entry: URL, workerData: unknown): Thread {
    const worker = new Worker(entry, { workerData });
    const thread: Thread = { worker, waiting: new Map(), outbox: [], transfer: [], state: { is: 'running' } };
    worker.on('message', (answers: Answer[]) => {
      for (const answer of answers) this.#settle(thread, answer);
    });
    worker.on('error', (error: Error) => this.#crashed(thread, error));
    worker.on('exit', (code) => {
      thread.state.is = 'gone';
      if (!this.#closing) this.#crashed(thread, new Error(`worker thread ended with code ${code}`));
    });
    return thread;
  }

  #settle(thread: Thread, answer: Answer): void {
    if ('event' in answer) {
      for (const listener of this.#listeners.get(answer.event) ?? []) listener(answer.value as never);
      return;
    }
    const waiting = thread.waiting.get(answer.id);
    thread.waiting.delete(answer.id);
    if (!waiting) return;
    if ('error' in answer) waiting.reject(this.#rebuild(answer.error));
    else waiting.resolve(answer.value);
  }

  #rebuild(wire: WireError): Error {
    for (const make of this.#revive) {
      const error = make(wire);
      if (error) return error;
    }
    const error = Object.assign(new Error(wire.message), wire.fields);
    error.name = wire.name;
    if (wire.stack !== undefined) error.stack = wire.stack;
    return error;
  }

  #crashed(thread: Thread, error: Error): void {
    for (const waiting of thread.waiting.values()) waiting.reject(error);
    thread.waiting.clear();
    this.#onCrash(error);
  }
}

function flush(thread: Thread): void {
  const { outbox, transfer } = thread;
  thread.outbox = [];
  thread.transfer = [];
  thread.worker.postMessage(outbox, transfer);
}

/** FNV-1a: cheap and even enough to shard accounts. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/**
 * The worker's side: answers calls to `services`, and gives them `emit` for events. A result that is
 * `{ value, transfer }` made by `transferring()` moves its buffers instead of copying them.
 * `batch` methods (named `x.many`) are not special: a service sees calls one by one, in order, in one go.
 * @param close runs when the pool closes, after the last call.
 */
export function serveThread(
  port: MessagePort,
  services: Readonly<Record<string, Service>>,
  close: () => void | Promise<void>,
): { emit(event: string, value: unknown): void } {
  let outbox: Answer[] = [];
  let transfer: Transferable[] = [];
  let running = 0;
  let idle: (() => void) | undefined;

  const post = (answer: Answer): void => {
    if (outbox.length === 0) {
      setImmediate(() => {
        const answers = outbox;
        const moved = transfer;
        outbox = [];
        transfer = [];
        port.postMessage(answers, moved);
      });
    }
    outbox.push(answer);
  };
  const answer = (id: number, value: unknown): void => {
    if (value instanceof Transferring) {
      transfer.push(...value.transfer);
      post({ id, value: value.value });
    } else post({ id, value });
  };

  port.on('message', async (message: Call[] | 'close') => {
    if (message === 'close') {
      if (running > 0) await new Promise<void>((resolve) => (idle = resolve));
      await close();
      setImmediate(() => setImmediate(() => process.exit(0)));
      return;
    }
    for (const { id, method, argument } of message) {
      try {
        const dot = method.indexOf('.');
        const run = services[method.slice(0, dot)]?.[method.slice(dot + 1)];
        if (!run) throw new Error(`no such service: ${method}`);
        const result = run(argument as never);
        if (!(result instanceof Promise)) {
          answer(id, result);
          continue;
        }
        running++;
        result
          .then(
            (value) => answer(id, value),
            (error: unknown) => post({ id, error: toWire(error) }),
          )
          .finally(() => {
            if (--running === 0) idle?.();
          });
      } catch (error) {
        post({ id, error: toWire(error) });
      }
    }
  });
  return { emit: (event, value) => post({ event, value }) };
}

/** What `transferring` makes; exported for who calls a service without a thread between. */
export class Transferring {
  readonly value: unknown;
  readonly transfer: readonly Transferable[];
  constructor(value: unknown, transfer: readonly Transferable[]) {
    this.value = value;
    this.transfer = transfer;
  }
}

/** Marks a service's result so that `transfer`'s buffers move to the main thread without a copy. */
export function transferring(value: unknown, transfer: readonly Transferable[]): unknown {
  return new Transferring(value, transfer);
}

function toWire(error: unknown): WireError {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), stack: undefined, fields: {} };
  const { name, message, stack, cause: _, ...fields } = error as Error & Record<string, unknown>;
  const plain = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value)),
  );
  return { name, message, stack, fields: plain };
}
