import { connect, type Socket } from 'node:net';

/**
 * SMTP load from several connections at once, for crash tests: every message has its own token, and `acknowledged`
 * holds the tokens that were answered 250. A connection that breaks loses the message under way, which SMTP then
 * neither promises nor excludes.
 */
export interface Load {
  readonly acknowledged: Set<string>;
  /** Sent to the final dot, never answered. */
  readonly unknown: Set<string>;
  /** Answered 4xx or 5xx: must never show up. */
  readonly refused: Set<string>;
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  readonly recipients: readonly string[];
  /** Octets of body; every tenth message is ten times, every fiftieth a hundred times as large. */
  readonly size: number;
  readonly label: string;
}

export function startLoad(options: LoadOptions): Load {
  const load = {
    acknowledged: new Set<string>(),
    unknown: new Set<string>(),
    refused: new Set<string>(),
    stopping: false,
  };
  let count = 0;
  const next = (): number => count++;
  const workers = Array.from({ length: options.connections }, () => work(options, load, next));
  return {
    ...load,
    async stop() {
      load.stopping = true;
      await Promise.all(workers);
    },
  };
}

async function work(
  options: LoadOptions,
  load: {
    readonly acknowledged: Set<string>;
    readonly unknown: Set<string>;
    readonly refused: Set<string>;
    stopping: boolean;
  },
  next: () => number,
): Promise<void> {
  while (!load.stopping) {
    const number = next();
    const token = `${options.label}x${number}x`;
    const rcpt = options.recipients[number % options.recipients.length] ?? '';
    const scale = number % 50 === 49 ? 100 : number % 10 === 9 ? 10 : 1;
    try {
      const answer = await send(options.port, token, rcpt, options.size * scale);
      if (answer === 'unknown') load.unknown.add(token);
      else (answer < 300 ? load.acknowledged : load.refused).add(token);
    } catch {
      // Nobody listens just now: the daemon is between two lives.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Resolves to the reply code to the message; 'unknown' when the dot went out and no answer came. Throws before that. */
async function send(port: number, token: string, rcpt: string, size: number): Promise<number | 'unknown'> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let sent = false;
  try {
    const replies = replyReader(socket);
    await replies();
    const envelope = `HELO load.test\r\nMAIL FROM:<sender@load.test>\r\nRCPT TO:<${rcpt}>\r\nDATA\r\n`;
    for (const line of envelope.split('\r\n').slice(0, -1)) {
      socket.write(`${line}\r\n`);
      const code = await replies();
      if (code >= 400) return code;
    }
    const filler = 'All work and no play makes Jack a dull boy; 0123456789.\r\n';
    const body = filler.repeat(Math.ceil(size / filler.length));
    sent = true;
    socket.write(`Subject: ${token}\r\nMessage-ID: <${token}@load.test>\r\n\r\n${body}.\r\n`);
    return await replies();
  } catch (error) {
    if (sent) return 'unknown';
    throw error;
  } finally {
    socket.destroy();
  }
}

/** Each call resolves to the code of the next reply. Rejects when the connection ends or nothing comes for 30 s. */
function replyReader(socket: Socket): () => Promise<number> {
  let text = '';
  let ended: Error | undefined;
  let wake: (() => void) | undefined;
  socket.setEncoding('latin1');
  socket.setTimeout(30_000, () => socket.destroy(new Error('no answer')));
  socket.on('data', (chunk) => {
    text += String(chunk);
    wake?.();
  });
  const end = (error?: Error): void => {
    ended = error ?? new Error('connection ended');
    wake?.();
  };
  socket.on('error', end);
  socket.on('close', () => end());
  return async () => {
    for (;;) {
      const match = /^(?:\d{3}-[^\r]*\r\n)*(\d{3})(?: [^\r]*)?\r\n/.exec(text);
      if (match) {
        text = text.slice(match[0].length);
        return Number(match[1]);
      }
      if (ended) throw ended;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}
