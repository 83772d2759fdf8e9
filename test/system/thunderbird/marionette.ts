import { connect, type Socket } from 'node:net';

/**
 * Marionette, the remote control in Mozilla's programs: messages of JSON behind their length, `[0, id, command,
 * parameters]` there and `[1, id, error, result]` back.
 */

const CONNECT_MS = 60_000;

export class Marionette {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #nextId = 1;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the program has gone'));
    });
  }

  /** Waits until somebody listens there. */
  static async connect(port: number): Promise<Marionette> {
    const end = Date.now() + CONNECT_MS;
    for (;;) {
      try {
        const socket = connect(port, '127.0.0.1');
        await new Promise((resolve, reject) => {
          // Greets first; before it, nothing is understood.
          socket.once('data', resolve);
          socket.once('error', reject);
          socket.once('close', reject);
        });
        const marionette = new Marionette(socket);
        await marionette.#call('WebDriver:NewSession', {});
        await marionette.#call('Marionette:SetContext', { value: 'chrome' });
        await marionette.#call('WebDriver:SetTimeouts', { script: 120_000 });
        return marionette;
      } catch (error) {
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }
  }

  /** Runs `code` inside the program, with all its rights; `args` are there by their names. */
  async run(code: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    const script = `
      const [args, done] = arguments;
      (async ({ ${Object.keys(args).join(', ')} }) => { ${code} })(args).then(
        (value) => done({ value }),
        (error) => done({ error: String(error) + '\\n' + (error && error.stack) }),
      );`;
    const { value } = (await this.#call('WebDriver:ExecuteAsyncScript', {
      script,
      args: [args],
      sandbox: 'system',
      newSandbox: false,
    })) as { value: { value?: unknown; error?: string } };
    if (value.error !== undefined) throw new Error(value.error);
    return value.value;
  }

  async quit(): Promise<void> {
    const gone = new Promise((resolve) => this.#socket.once('close', resolve));
    await this.#call('Marionette:Quit', { flags: ['eForceQuit'] }).catch(() => {});
    await gone;
  }

  #call(command: string, parameters: object): Promise<unknown> {
    const id = this.#nextId++;
    const text = Buffer.from(JSON.stringify([0, id, command, parameters]));
    this.#socket.write(Buffer.concat([Buffer.from(`${text.length}:`), text]));
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const colon = this.#received.indexOf(':');
      if (colon < 0) return;
      const end = colon + 1 + Number(this.#received.subarray(0, colon).toString());
      if (this.#received.length < end) return;
      const [, id, error, result] = JSON.parse(this.#received.subarray(colon + 1, end).toString());
      this.#received = this.#received.subarray(end);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error) waiting?.reject(new Error(`${error.error}: ${error.message}`));
      else waiting?.resolve(result);
    }
  }
}
