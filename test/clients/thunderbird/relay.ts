import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { constants, createInflateRaw } from 'node:zlib';

/** Stands between a mail program and the server and keeps what both say, by connection and with the time: `1200 C1: …`, `1201 S1: …`. */
export class Relay {
  readonly lines: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #begun = performance.now();
  /** Connections whose next line is a password. */
  readonly #secret = new Set<string>();
  #count = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(target: number): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server);
    server.on('connection', (client: Socket) => relay.#join(client, connect(target, '127.0.0.1')));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, server: Socket): void {
    const number = ++this.#count;
    const said = {
      C: new Listener((line) => this.#keep(`C${number}`, line)),
      S: new Listener((line) => this.#keep(`S${number}`, line)),
    };
    for (const [from, to, side] of [
      [client, server, 'C'],
      [server, client, 'S'],
    ] as const) {
      this.#sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        said[side].hear(chunk);
        to.write(chunk);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    // The answer to COMPRESS is the server's last line in the clear, and the client's next octet is deflated.
    said.S.onCompressed = () => said.C.inflate();
  }

  #keep(who: string, line: string): void {
    const said = this.#secret.delete(who) ? '(secret)' : line;
    if (/^\S+ authenticate \S+$/i.test(line)) this.#secret.add(who);
    const shown = said.replace(/^(\S+ (?:login|authenticate \S+) ).+/i, '$1(secret)');
    this.lines.push(`${Math.round(performance.now() - this.#begun)} ${who}: ${shown}`);
  }
}

/** Cuts a stream into lines; from COMPRESS on it inflates first. */
class Listener {
  readonly #onLine: (line: string) => void;
  #rest = '';
  #inflate: ReturnType<typeof createInflateRaw> | undefined;
  onCompressed: () => void = () => {};

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  hear(chunk: Buffer): void {
    if (this.#inflate) this.#inflate.write(chunk);
    else this.#text(chunk.toString('latin1'));
  }

  inflate(): void {
    this.#inflate = createInflateRaw({ finishFlush: constants.Z_SYNC_FLUSH });
    this.#inflate.on('data', (chunk: Buffer) => this.#text(chunk.toString('latin1')));
    this.#inflate.on('error', (error) => this.#onLine(`[not deflated: ${error.message}]`));
  }

  #text(text: string): void {
    const lines = (this.#rest + text).split('\r\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#onLine(line);
      if (!this.#inflate && /^\S+ OK .*(compress|deflate)/i.test(line) && !line.includes('CAPABILITY')) {
        this.inflate();
        this.onCompressed();
      }
    }
  }
}
