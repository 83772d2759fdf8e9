import { appendFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A relay that writes down what a program and a server say to each other: the number of the connection, who, the line. */
export class Wire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(port: number, file: string): Promise<Wire> {
    let connections = 0;
    const server = createServer((client) => {
      const number = ++connections;
      const upstream = connect(port, '127.0.0.1');
      for (const [from, to, who] of [
        [client, upstream, 'C'],
        [upstream, client, 'S'],
      ] as const) {
        wire.#sockets.add(from);
        from.on('data', (chunk: Buffer) => {
          const lines = chunk.toString('latin1').split('\r\n');
          if (lines.at(-1) === '') lines.pop();
          for (const line of lines) appendFileSync(file, `${who}${number}: ${line}\n`, 'latin1');
          to.write(chunk);
        });
        from.on('close', () => {
          wire.#sockets.delete(from);
          to.destroy();
        });
        from.on('error', () => {});
      }
    });
    const wire = new Wire(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
