import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

/**
 * Plays a dialogue against a server: the dialogue is the test, so that an RFC's example can be pasted.
 *
 *     C: a line to send                 S: a line to expect; `*` is any text, `\*` a star
 *     C2: … S2: …                       a second connection, opened when first named
 *     C: [tls]                          TLS handshake, as after STARTTLS
 *     C: [close]   S: [closed]          end of the connection
 *     # comment                         blank lines are ignored
 *
 * `$name$` in an S line takes the text there, in later lines of either side it stands for it.
 * In replies of several lines (SMTP `250-`, IMAP and ManageSieve untagged) the order is free and there may be more
 * lines than expected, as servers may announce more than an example shows.
 */
export interface TranscriptOptions {
  /** How long to wait for one line. */
  readonly timeoutMs?: number;
}

/** @throws TranscriptError with the dialogue so far, at the first line that differs. */
export async function playTranscript(
  text: string,
  connect: () => Socket | Promise<Socket>,
  options: TranscriptOptions = {},
): Promise<void> {
  const parties = new Map<string, Party>();
  const seen: string[] = [];
  const names = new Map<string, string>();
  try {
    for (const step of parseTranscript(text)) {
      let party = parties.get(step.party);
      if (!party) {
        party = new Party(await connect(), options.timeoutMs ?? 5000, (line) =>
          seen.push(`S${step.party}: ${line}`),
        );
        parties.set(step.party, party);
      }
      if ('send' in step) {
        seen.push(`C${step.party}: ${step.send}`);
        await party.send(substitute(step.send, names));
      } else await expectBlock(party, step.expect, names);
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TranscriptError(`${reason}\n--- so far:\n${seen.join('\n')}`);
  } finally {
    for (const party of parties.values()) party.destroy();
  }
}

export class TranscriptError extends Error {
  override readonly name = 'TranscriptError';
}

type Step = { readonly party: string } & ({ readonly send: string } | { readonly expect: string[] });

function parseTranscript(text: string): Step[] {
  const steps: Step[] = [];
  for (const raw of text.split('\n')) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const match = /^\s*([CS])(\d*):(?: (.*)|\s*)$/.exec(line);
    if (!match) {
      if (line.trim() === '' || line.trim().startsWith('#')) continue;
      throw new TranscriptError(`not a line of a transcript: ${line}`);
    }
    const [, side, party = '', content = ''] = match;
    const last = steps.at(-1);
    if (side === 'C') steps.push({ party, send: content });
    else if (last && 'expect' in last && last.party === party) last.expect.push(content);
    else steps.push({ party, expect: [content] });
  }
  return steps;
}

/** A line after which more of the same reply follows. */
const CONTINUED = /^\d{3}-/;
/** Lines whose order and number are the server's choice. */
const LOOSE = /^\* |^"|^\d{3}-/;

async function expectBlock(party: Party, expected: string[], names: Map<string, string>): Promise<void> {
  const open = [...expected];
  let last = '';
  while (open.length > 0 || CONTINUED.test(last)) {
    const [next = '', after] = open;
    if (next === '[closed]') {
      await party.closed();
      return;
    }
    last = await party.line(next);
    if (next === '*' && after !== undefined) {
      // A line of its own, `*` stands for one line or more.
      while (!matches(after, last, names)) last = await party.line(after);
      open.splice(0, 2);
      continue;
    }
    if (open.length === 0) continue;
    if (matches(next, last, names)) open.shift();
    else if (isLoose(last, next)) takeAnyOf(open, last, names);
    else throw new TranscriptError(`expected ${next}\n     got ${last}`);
  }
}

/** Whether `line` may stand where `next` was expected: another line of the same reply, or one nobody asked about. */
function isLoose(line: string, next: string): boolean {
  if (/^\d{3}[- ]/.test(line)) return line.slice(0, 3) === next.slice(0, 3);
  return LOOSE.test(line);
}

function takeAnyOf(open: string[], line: string, names: Map<string, string>): void {
  const found = open.findIndex((pattern) => matches(pattern, line, names));
  const fixed = open.findIndex((pattern) => !LOOSE.test(pattern) && !/^\d{3} /.test(pattern));
  if (found >= 0 && (fixed < 0 || found < fixed)) open.splice(found, 1);
  // The reply is over and something expected was not in it.
  else if (/^\d{3} /.test(line)) throw new TranscriptError(`expected ${open[0]}\n     got ${line}`);
}

/** Whether `line` is as `pattern` says; takes the values of new `$name$`s. */
function matches(pattern: string, line: string, names: Map<string, string>): boolean {
  const taken: string[] = [];
  let source = '';
  // Whether a line is the last of an SMTP reply is the server's choice too.
  const text = pattern.replace(/^(\d{3})[- ]/, '$1 ');
  for (const [token, name] of text.matchAll(/\\\*|\*|\$(\w+)\$|[^*\\$]+|./g)) {
    if (token === '*' && name === undefined) source += '.*';
    else if (token === '\\*') source += '\\*';
    else if (name === undefined) source += literally(token);
    else if (names.has(name)) source += literally(names.get(name) ?? '');
    else {
      source += '(.+?)';
      taken.push(name);
    }
  }
  // `* 1 EXISTS` begins with IMAP's own star, which any text matches as well.
  const match = new RegExp(`^${source}$`).exec(line.replace(/^(\d{3})[- ]/, '$1 '));
  taken.forEach((name, i) => {
    if (match) names.set(name, match[i + 1] ?? '');
  });
  return match !== null;
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function substitute(line: string, names: ReadonlyMap<string, string>): string {
  return line.replace(/\$(\w+)\$/g, (whole, name: string) => names.get(name) ?? whole);
}

/** One connection: lines in, lines out. */
class Party {
  #socket: Socket;
  #buffer = '';
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #timeoutMs: number;
  readonly #onLine: (line: string) => void;

  constructor(socket: Socket, timeoutMs: number, onLine: (line: string) => void) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#onLine = onLine;
    this.#listen(socket);
  }

  async send(line: string): Promise<void> {
    if (line === '[close]') this.#socket.end();
    else if (line === '[tls]') await this.#startTls();
    else this.#socket.write(`${line}\r\n`);
  }

  async line(wanted: string | undefined): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf('\n');
      if (end >= 0) {
        const line = this.#buffer.slice(0, end).replace(/\r$/, '');
        this.#buffer = this.#buffer.slice(end + 1);
        this.#onLine(line);
        return line;
      }
      if (this.#ended) throw new TranscriptError(`expected ${wanted}\n     got the end of the connection`);
      await this.#more(`expected ${wanted}`);
    }
  }

  async closed(): Promise<void> {
    while (!this.#ended) await this.#more('expected the end of the connection');
    if (this.#buffer !== '') throw new TranscriptError(`expected the end, got ${this.#buffer}`);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #startTls(): Promise<void> {
    this.#socket.removeAllListeners('data');
    const secure = tlsConnect({ socket: this.#socket, rejectUnauthorized: false });
    await once(secure, 'secureConnect');
    this.#socket = secure;
    this.#listen(secure);
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => {
      this.#buffer += chunk.toString();
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('end', end);
    socket.on('close', end);
    socket.on('error', end);
  }

  #more(waitingFor: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new TranscriptError(`${waitingFor}\n     got nothing in ${this.#timeoutMs} ms`)),
        this.#timeoutMs,
      );
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
