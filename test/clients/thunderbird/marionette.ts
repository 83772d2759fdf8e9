import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A client of Mozilla's remote control: `length:[0, id, command, parameters]` over TCP, answered in the same way. */
export class Marionette {
  readonly #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #id = 0;
  #wake: () => void = () => {};
  #ended = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      this.#wake();
    });
    for (const event of ['end', 'error', 'close'])
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
  }

  /** Connects, and opens a session in which scripts run with the program's own rights. */
  static async open(port: number): Promise<Marionette> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const client = new Marionette(socket);
    await client.#packet();
    await client.command('WebDriver:NewSession', { capabilities: { alwaysMatch: {} } });
    await client.command('Marionette:SetContext', { value: 'chrome' });
    await client.command('WebDriver:SetTimeouts', { script: 60_000 });
    return client;
  }

  /** The result of an async function's body. */
  async run(body: string, args: readonly unknown[] = []): Promise<unknown> {
    const script = `const args = [...arguments]; return (async () => { ${body} })();`;
    const result = await this.command('WebDriver:ExecuteScript', { script, args, sandbox: 'system' });
    return result !== null && typeof result === 'object' && 'value' in result ? result.value : result;
  }

  async command(name: string, parameters: object = {}): Promise<unknown> {
    const text = JSON.stringify([0, ++this.#id, name, parameters]);
    this.#socket.write(`${Buffer.byteLength(text)}:${text}`);
    const [, , error, result] = JSON.parse(await this.#packet());
    if (error) throw new Error(`${error.error}: ${error.message}`);
    return result;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #packet(): Promise<string> {
    for (;;) {
      const colon = this.#buffer.indexOf(':');
      const size = Number(this.#buffer.toString('latin1', 0, Math.max(colon, 0)));
      const end = colon + 1 + size;
      if (colon > 0 && this.#buffer.length >= end) {
        const packet = this.#buffer.toString('utf8', colon + 1, end);
        this.#buffer = this.#buffer.subarray(end);
        return packet;
      }
      if (this.#ended) throw new Error('Thunderbird has closed its remote control');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
