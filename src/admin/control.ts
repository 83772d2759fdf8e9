import { createHash } from 'node:crypto';
import { chmodSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '../lib/logger.ts';

/**
 * How the command line talks to the running daemon: a socket in the data directory that only its owner may open,
 * one JSON line a request, one or more JSON lines back.
 */
export type ControlHandler = (argument: unknown) => AsyncIterable<unknown> | Promise<unknown>;

type Line = { readonly item: unknown } | { readonly done: unknown } | { readonly error: string };

/** The daemon could not do it, or cannot be asked; `message` says why. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
}

/** A request is a method and a few words. */
const MAX_REQUEST = 64 * 1024;
/** sun_path of sockaddr_un, with room for its final zero. */
const MAX_PATH = 100;

/** Where the daemon of this data directory listens. A path too long for a socket address moves to the temporary directory. */
export function controlPath(dataDir: string): string {
  const path = join(dataDir, 'control.sock');
  if (Buffer.byteLength(path) <= MAX_PATH) return path;
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  return join(tmpdir(), `facteur-${name}.sock`);
}

/** The daemon's side. */
export class ControlServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #path: string;

  constructor(path: string, handlers: Readonly<Record<string, ControlHandler>>, log: Logger) {
    this.#path = path;
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      serve(socket, handlers).catch((error: unknown) => {
        // Errors of the work were answered: this is a command line that was broken off.
        log.debug({ err: error }, 'control connection broken off');
        socket.destroy();
      });
    });
  }

  /** The caller holds the data directory's lock, so a socket that lies there is a dead daemon's. */
  async listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      // listen() binds at once: the umask, which all threads share, changes for no longer than that.
      const umask = process.umask(0o177);
      try {
        this.#server.listen(this.#path, resolve);
      } finally {
        process.umask(umask);
      }
    });
    chmodSync(this.#path, 0o600);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function serve(socket: Socket, handlers: Readonly<Record<string, ControlHandler>>): Promise<void> {
  for await (const line of linesOf(socket, MAX_REQUEST)) {
    if (line === TOO_LONG) {
      await send(socket, { error: `a request has at most ${MAX_REQUEST} octets` });
      break;
    }
    try {
      const { method, argument } = parseRequest(line);
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (!handler) throw new Error(`the running facteur does not know "${method}"; is it an older version?`);
      const result = handler(argument);
      if (Symbol.asyncIterator in result) {
        for await (const item of result) await send(socket, { item });
        await send(socket, { done: null });
      } else await send(socket, { done: (await result) ?? null });
    } catch (error) {
      await send(socket, { error: error instanceof Error ? error.message : String(error) });
    }
  }
  socket.end();
}

function parseRequest(line: string): { readonly method: string; readonly argument: unknown } {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    request = undefined;
  }
  if (typeof request !== 'object' || request === null || !('method' in request))
    throw new Error('a request is a JSON object with "method" and "argument"');
  return { method: String(request.method), argument: 'argument' in request ? request.argument : undefined };
}

async function send(socket: Socket, line: Line): Promise<void> {
  if (socket.write(`${JSON.stringify(line)}\n`)) return;
  await new Promise<void>((resolve) => {
    const go = (): void => {
      socket.off('drain', go);
      socket.off('close', go);
      resolve();
    };
    socket.on('drain', go);
    socket.on('close', go);
  });
}

/** The command line's side. Throws when no daemon answers at `path`. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string | typeof TOO_LONG>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = linesOf(socket, Number.POSITIVE_INFINITY);
  }

  /** undefined when nobody listens there. */
  static async connect(path: string): Promise<ControlClient | undefined> {
    const socket = connect(path);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve);
        socket.once('error', reject);
      });
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
      if (code === 'EACCES')
        throw new ControlError(
          `not allowed to talk to the running facteur (${path}); use the user it runs as`,
        );
      throw error;
    }
    return new ControlClient(socket);
  }

  async call(method: string, argument: unknown): Promise<unknown> {
    for await (const _ of this.#ask(method, argument));
    return this.#last;
  }

  stream(method: string, argument: unknown): AsyncIterable<unknown> {
    return this.#ask(method, argument);
  }

  close(): void {
    this.#socket.end();
  }

  #last: unknown;

  async *#ask(method: string, argument: unknown): AsyncGenerator<unknown> {
    this.#socket.write(`${JSON.stringify({ method, argument })}\n`);
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done) throw new ControlError('the running facteur closed the connection');
      const line = JSON.parse(String(value)) as Line;
      if ('error' in line) throw new ControlError(line.error);
      if ('done' in line) {
        this.#last = line.done;
        return;
      }
      yield line.item;
    }
  }
}

const TOO_LONG: unique symbol = Symbol('too long');

/** The lines that come; TOO_LONG, and nothing more, where one is longer than `max`. */
async function* linesOf(socket: Socket, max: number): AsyncGenerator<string | typeof TOO_LONG> {
  let rest = '';
  socket.setEncoding('utf8');
  for await (const chunk of socket) {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
    if (rest.length > max) {
      yield TOO_LONG;
      return;
    }
  }
}
