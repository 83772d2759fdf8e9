import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';

/**
 * An SMTP host on loopback that does what its script says, on raw sockets: it neither interprets nor forgives.
 *
 * An answer is what it sends (`\n` separates lines of one reply), or one of the things a host should not do. A list
 * answers in turn, its last entry for ever. Without a script everything is accepted.
 */
export type Answer =
  | string
  /** Ends the connection at once. */
  | 'CLOSE'
  /** Says nothing, for ever. */
  | 'SILENT'
  /** Sends `drip` octet by octet, one every `every` ms, without an end. */
  | { readonly drip: string; readonly every: number }
  /** Says it and closes. */
  | { readonly last: string };

export interface Script {
  readonly greeting?: Answer | readonly Answer[];
  /** Keywords after EHLO; `STARTTLS` is left out under TLS. An answer refuses EHLO. */
  readonly extensions?: readonly string[];
  readonly ehlo?: Answer | readonly Answer[];
  readonly helo?: Answer | readonly Answer[];
  readonly starttls?: Answer | readonly Answer[];
  readonly auth?: Answer | readonly Answer[];
  readonly mail?: Answer | readonly Answer[];
  /** By the address in the path, or for all. */
  readonly rcpt?: Answer | readonly Answer[] | Table;
  readonly data?: Answer | readonly Answer[];
  /** After the final dot. */
  readonly dot?: Answer | readonly Answer[];
  readonly rset?: Answer | readonly Answer[];
  readonly quit?: Answer | readonly Answer[];
  /** Reads no more of a message after so many octets. */
  readonly stopReadingAfter?: number;
  /** Ends the connection after so many octets of a message. */
  readonly hangUpAfter?: number;
  /** PEM; for STARTTLS, or from the first byte with `implicitTls`. */
  readonly certificate?: { readonly key: string; readonly cert: string };
  readonly implicitTls?: boolean;
  /** Sends these bytes instead of a TLS handshake. */
  readonly brokenHandshake?: boolean;
}

export interface Received {
  readonly mail: string;
  readonly rcpts: readonly string[];
  /** Everything between the 354 and the end, as it came: dots stuffed, with the final dot. */
  readonly wire: Buffer;
}

export interface PeerSession {
  /** Every command line, without what AUTH and DATA carry. */
  readonly lines: string[];
  readonly messages: Received[];
  tls: 'none' | 'yes';
  ended: 'no' | 'yes';
}

/** The message of `wire`, dots unstuffed (RFC 5321 4.5.2). */
export function unstuffed(received: Received): string {
  return received.wire
    .toString('latin1')
    .replace(/\.\r\n$/, '')
    .replace(/(^|\r\n)\./g, '$1');
}

const END = Buffer.from('\r\n.\r\n');

export class Peer {
  readonly host: string;
  readonly port: number;
  readonly sessions: PeerSession[] = [];
  readonly #script: Script;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #turns = new Map<string, number>();

  /** On each of these addresses one peer, all on the same free port. */
  static async startAll<K extends string>(scripts: Readonly<Record<K, Script>>): Promise<Record<K, Peer>> {
    for (let attempt = 0; ; attempt++) {
      const peers: [string, Peer][] = [];
      try {
        let port = 0;
        for (const [host, script] of Object.entries<Script>(scripts)) {
          const peer = await Peer.start(script, host, port);
          peers.push([host, peer]);
          port = peer.port;
        }
        return Object.fromEntries(peers) as Record<K, Peer>;
      } catch (error) {
        await Promise.all(peers.map(([, peer]) => peer.close()));
        if (attempt > 20) throw error;
      }
    }
  }

  static async start(script: Script = {}, host = '127.0.0.1', port = 0): Promise<Peer> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    return new Peer(script, server, host, (server.address() as { port: number }).port);
  }

  private constructor(script: Script, server: Server, host: string, port: number) {
    this.#script = script;
    this.#server = server;
    this.host = host;
    this.port = port;
    server.on('connection', (socket) => this.#serve(socket));
  }

  /** All messages that were taken, over all sessions. */
  get messages(): readonly Received[] {
    return this.sessions.flatMap((session) => session.messages);
  }

  /** All command lines, over all sessions. */
  get lines(): readonly string[] {
    return this.sessions.flatMap((session) => session.lines);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(plain: Socket): void {
    const session: PeerSession = { lines: [], messages: [], tls: 'none', ended: 'no' };
    this.sessions.push(session);
    this.#sockets.add(plain);
    plain.on('close', () => {
      this.#sockets.delete(plain);
      session.ended = 'yes';
    });
    let socket: Socket = plain;
    let buffer = Buffer.alloc(0);
    let mail = '';
    let rcpts: string[] = [];
    let inData = false;
    let content: Buffer[] = [];
    let size = 0;
    let deaf = false;

    const listen = (): void => {
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        buffer = Buffer.concat([buffer, chunk]);
        consume();
      });
    };
    const consume = (): void => {
      while (!deaf && !socket.destroyed) {
        if (inData) {
          if (!takeContent()) return;
          continue;
        }
        const end = buffer.indexOf('\r\n');
        if (end < 0) return;
        const line = buffer.toString('utf8', 0, end);
        buffer = buffer.subarray(end + 2);
        session.lines.push(line);
        command(line);
      }
    };
    /** Moves what there is of the message; false while its end has not come. A client waits after the final dot. */
    const takeContent = (): boolean => {
      const { hangUpAfter = Number.POSITIVE_INFINITY, stopReadingAfter = Number.POSITIVE_INFINITY } =
        this.#script;
      content.push(buffer);
      size += buffer.length;
      const tail = Buffer.concat([...content.slice(-5)]);
      buffer = Buffer.alloc(0);
      if (size > hangUpAfter) socket.destroy();
      if (size > stopReadingAfter) socket.pause();
      const empty = size === 3 && tail.equals(END.subarray(2));
      if (!empty && !tail.subarray(-END.length).equals(END)) return false;
      const wire = Buffer.concat(content);
      const answer = this.#answer('dot', this.#script.dot, '250 2.0.0 taken');
      if (typeof answer === 'string' && answer.startsWith('2')) session.messages.push({ mail, rcpts, wire });
      [mail, rcpts, content, size, inData] = ['', [], [], 0, false];
      say(answer);
      return true;
    };
    const command = (line: string): void => {
      const verb = line.slice(0, 4).toUpperCase();
      const script = this.#script;
      switch (verb) {
        case 'EHLO': {
          const offered = (script.extensions ?? []).filter(
            (word) => word !== 'STARTTLS' || session.tls === 'none',
          );
          const standard = ['250 peer.test', ...offered.map((word) => `250 ${word}`)].join('\n');
          say(this.#answer('ehlo', script.ehlo, standard));
          break;
        }
        case 'HELO':
          say(this.#answer('helo', script.helo, '250 peer.test'));
          break;
        case 'STAR': {
          const answer = this.#answer('starttls', script.starttls, '220 2.0.0 go ahead');
          say(answer);
          if (typeof answer === 'string' && answer.startsWith('2')) startTls();
          break;
        }
        case 'AUTH':
          say(this.#answer('auth', script.auth, '235 2.7.0 welcome'));
          break;
        case 'MAIL':
          mail = line;
          say(this.#answer('mail', script.mail, '250 2.1.0 ok'));
          break;
        case 'RCPT': {
          const address = /<(.*)>/.exec(line)?.[1] ?? '';
          const { rcpt } = script;
          const table = asTable(rcpt);
          const answer = table
            ? this.#answer(`rcpt ${address}`, table[address], '250 2.1.5 ok')
            : this.#answer('rcpt', rcpt as Exclude<Script['rcpt'], Table>, '250 2.1.5 ok');
          if (typeof answer === 'string' && answer.startsWith('2')) rcpts.push(line);
          say(answer);
          break;
        }
        case 'DATA': {
          const standard = rcpts.length > 0 ? '354 go on' : '503 5.5.1 no recipients';
          const answer = this.#answer('data', script.data, standard);
          inData = typeof answer === 'string' && answer.startsWith('3');
          say(answer);
          break;
        }
        case 'RSET':
          [mail, rcpts] = ['', []];
          say(this.#answer('rset', script.rset, '250 2.0.0 ok'));
          break;
        case 'QUIT':
          say(this.#answer('quit', script.quit, { last: '221 2.0.0 bye' }));
          break;
        default:
          say('500 5.5.2 what?');
      }
    };
    const say = (answer: Answer): void => {
      if (answer === 'CLOSE') socket.destroy();
      else if (answer === 'SILENT') deaf = true;
      else if (typeof answer === 'string') socket.write(framed(answer));
      else if ('last' in answer) socket.end(framed(answer.last));
      else {
        let at = 0;
        const timer = setInterval(() => {
          if (socket.destroyed) clearInterval(timer);
          else socket.write(answer.drip[at++ % answer.drip.length] ?? ' ');
        }, answer.every);
      }
    };
    const startTls = (): void => {
      socket.removeAllListeners('data');
      buffer = Buffer.alloc(0);
      if (this.#script.brokenHandshake) {
        socket.once('data', () => socket.end('this is not TLS\r\n'));
        return;
      }
      const { key = '', cert = '' } = this.#script.certificate ?? {};
      socket = new TLSSocket(plain, { isServer: true, secureContext: createSecureContext({ key, cert }) });
      session.tls = 'yes';
      listen();
    };

    if (this.#script.implicitTls) startTls();
    else listen();
    say(this.#answer('greeting', this.#script.greeting, '220 peer.test ESMTP'));
  }

  #answer(step: string, scripted: Answer | readonly Answer[] | undefined, standard: Answer): Answer {
    if (scripted === undefined) return standard;
    if (!isList(scripted)) return scripted;
    const turn = this.#turns.get(step) ?? 0;
    this.#turns.set(step, turn + 1);
    return scripted[Math.min(turn, scripted.length - 1)] ?? standard;
  }
}

function isList(value: Answer | readonly Answer[]): value is readonly Answer[] {
  return Array.isArray(value);
}

type Table = Readonly<Record<string, Answer | readonly Answer[]>>;

function asTable(value: Script['rcpt']): Table | undefined {
  if (typeof value !== 'object' || Array.isArray(value) || 'drip' in value || 'last' in value)
    return undefined;
  return value as Table;
}

/** Lines of one reply, with `-` after the code in all but the last (RFC 5321 4.2.1). */
function framed(text: string): string {
  const lines = text.split('\n');
  return lines
    .map((line, i) => (i < lines.length - 1 ? line.replace(/^(\d{3})[ -]?/, '$1-') : line))
    .map((line) => `${line}\r\n`)
    .join('');
}
