import { once } from 'node:events';
import { connect } from 'node:tls';

/**
 * An IMAP client that believes nothing: it reads responses by the grammar of RFC 9051 9 and throws at the first octet
 * that does not fit. Values come as JavaScript has them: lists as arrays, NIL as null, strings as Buffers.
 */

export type Value = null | number | Atom | Buffer | readonly Value[];

/** An atom, a flag, or the name of a FETCH item with its section. */
export class Atom {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export interface Answer {
  readonly status: 'OK' | 'NO' | 'BAD';
  readonly text: string;
  /** Untagged lines, literals included. */
  readonly untagged: readonly Buffer[];
}

interface Asked {
  readonly tag: string;
  readonly untagged: Buffer[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

export class StrictImap {
  readonly #socket: ReturnType<typeof connect>;
  readonly #asked: Asked[] = [];
  #chunks: Buffer[] = [];
  #length = 0;
  /** Below this many octets there is nothing new to find. */
  #wanted = 1;
  #tags = 0;
  #lost = false;
  #continued: (() => void) | undefined;
  greeted = false;

  private constructor(port: number, host: string) {
    this.#socket = connect({ port, host, rejectUnauthorized: false });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      if (this.#length >= this.#wanted) this.#read();
    });
    const failed = (error?: Error): void => {
      this.#lost = true;
      for (const { reject } of this.#asked.splice(0)) reject(error ?? new Error('the connection ended'));
    };
    this.#socket.on('error', failed);
    this.#socket.on('close', () => failed());
  }

  static async login(port: number, user: string, password: string, host = '127.0.0.1'): Promise<StrictImap> {
    const client = new StrictImap(port, host);
    await once(client.#socket, 'secureConnect');
    await client.ok(`LOGIN ${user} "${password}"`);
    return client;
  }

  /** Commands may be given without waiting for the answer to the one before. */
  ask(command: string): Promise<Answer> {
    if (this.#lost) throw new Error(`the connection has ended: ${command}`);
    const tag = `t${++this.#tags}`;
    this.#socket.write(`${tag} ${command}\r\n`, 'latin1');
    return new Promise((resolve, reject) => {
      this.#asked.push({ tag, untagged: [], resolve, reject });
    });
  }

  async ok(command: string): Promise<Answer> {
    const answer = await this.ask(command);
    if (answer.status !== 'OK') throw new Error(`${command}: ${answer.status} ${answer.text}`);
    return answer;
  }

  /** APPEND with a non-synchronizing literal, as literal8 where it has NULs (RFC 3516 4.4). */
  append(mailbox: string, message: Buffer): Promise<Answer> {
    const tag = `t${++this.#tags}`;
    const binary = message.includes(0) ? '~' : '';
    this.#socket.write(`${tag} APPEND ${mailbox} ${binary}{${message.length}+}\r\n`, 'latin1');
    this.#socket.write(message);
    this.#socket.write('\r\n');
    return new Promise((resolve, reject) => {
      this.#asked.push({ tag, untagged: [], resolve, reject });
    });
  }

  /** Begins IDLE; untagged responses go to `hear` until what it returns is called. */
  async idle(hear: (line: string) => void): Promise<() => Promise<Answer>> {
    const going = new Promise<void>((resolve) => {
      this.#continued = resolve;
    });
    const done = this.ask('IDLE');
    this.#hear = hear;
    await going;
    return () => {
      this.#hear = undefined;
      this.#socket.write('DONE\r\n');
      return done;
    };
  }
  #hear: ((line: string) => void) | undefined;

  /** From now on untagged responses go to `hear`, whether a command is running or not (NOTIFY). */
  listen(hear: (line: string) => void): void {
    this.#hear = hear;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(): void {
    let all = this.#chunks.length === 1 ? (this.#chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(this.#chunks);
    for (;;) {
      const end = endOfLine(all);
      if (end < 0 || end > all.length) {
        this.#wanted = end < 0 ? all.length + 1 : end;
        break;
      }
      this.#line(all.subarray(0, end - 2));
      all = all.subarray(end);
    }
    this.#chunks = [all];
    this.#length = all.length;
  }

  #line(line: Buffer): void {
    const start = line.toString('latin1', 0, 40);
    if (!this.greeted) {
      if (!start.startsWith('* OK ')) throw new Error(`no greeting: ${start}`);
      this.greeted = true;
    } else if (start.startsWith('* ')) {
      this.#hear?.(line.toString('latin1'));
      this.#asked[0]?.untagged.push(Buffer.from(line));
    } else if (start.startsWith('+ ')) this.#continued?.();
    else {
      const [tag = '', status = ''] = start.split(' ');
      const asked = this.#asked.shift();
      if (!asked || asked.tag !== tag || !['OK', 'NO', 'BAD'].includes(status))
        throw new Error(`not an answer: ${line.toString('latin1')}`);
      const text = line.toString('latin1', tag.length + status.length + 2);
      asked.resolve({ status: status as Answer['status'], text, untagged: asked.untagged });
    }
  }
}

/** Past the CRLF of the response that begins the buffer, literals included; -1 when it is not whole and nobody knows. */
function endOfLine(bytes: Buffer): number {
  let at = 0;
  for (;;) {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return -1;
    const literal = /\{(\d+)\}$/.exec(bytes.toString('latin1', Math.max(at, end - 24), end));
    if (!literal) return end + 2;
    at = end + 2 + Number(literal[1]);
    // At least an empty line follows.
    if (at + 2 > bytes.length) return at + 2;
  }
}

/** `* n FETCH (…)`, or UIDFETCH: its items by name, `BODY[…]` written as it came; undefined for any other response. */
export function fetched(line: Buffer): Map<string, Value> | undefined {
  const start = /^\* [1-9]\d* (?:UID)?FETCH /.exec(line.toString('latin1', 0, 40));
  if (!start) return undefined;
  const reader = new Reader(line, start[0].length);
  const items = new Map<string, Value>();
  reader.expect('(');
  do {
    const name = reader.itemName();
    reader.expect(' ');
    if (items.has(name)) throw new Error(`${name} twice`);
    // The message as it is: a client that asks for octets gets them, NULs too, no other form would be byte for byte.
    items.set(name, name.startsWith('BODY[') ? reader.octets() : reader.value());
  } while (reader.accept(' '));
  reader.expect(')');
  reader.end();
  return items;
}

class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  accept(text: string): boolean {
    if (this.#bytes[this.#at] !== text.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) throw this.#wrong(`'${text}' expected`);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw this.#wrong('more than a response');
  }

  itemName(): string {
    const name = this.#match(/[A-Z0-9.]+(?:\[[^\]\r\n]*\](?:<\d+>)?)?/y);
    if (name === '') throw this.#wrong('an item expected');
    return name;
  }

  value(): Value {
    switch (String.fromCharCode(this.#bytes[this.#at] ?? 0)) {
      case '(':
        return this.#list();
      case '"':
        return this.#quoted();
      case '{':
        return this.#literal(/\{(\d+)\}\r\n/y, 'text');
      case '~':
        return this.#literal(/~\{(\d+)\}\r\n/y, 'binary');
      default: {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: an atom has none of them
        const atom = this.#match(/\\?[^(){ %*"\\\]\x00-\x1f\x7f-\xff]+/y);
        if (atom === '') throw this.#wrong('a value expected');
        if (atom === 'NIL') return null;
        return /^\d+$/.test(atom) ? Number(atom) : new Atom(atom);
      }
    }
  }

  /** What BODY[…] holds. */
  octets(): Value {
    return this.#bytes[this.#at] === 0x7b ? this.#literal(/\{(\d+)\}\r\n/y, 'octets') : this.value();
  }

  /** One SP between members and none elsewhere; parts of a multipart follow each other without one. */
  #list(): Value[] {
    this.expect('(');
    const values: Value[] = [];
    if (this.accept(')')) return values;
    for (;;) {
      values.push(this.value());
      if (this.accept(')')) return values;
      const adjoin = this.#bytes[this.#at] === 0x28 && Array.isArray(values.at(-1));
      if (!adjoin) this.expect(' ');
    }
  }

  #quoted(): Buffer {
    const from = ++this.#at;
    const octets: number[] = [];
    for (;;) {
      const octet = this.#bytes[this.#at++];
      if (octet === 0x22) return Buffer.from(octets);
      if (octet === undefined || octet === 0 || octet === 0x0d || octet === 0x0a || octet > 0x7f)
        throw this.#wrong(`no quoted string from ${from} on`);
      if (octet !== 0x5c) octets.push(octet);
      else {
        const escaped = this.#bytes[this.#at++];
        if (escaped !== 0x22 && escaped !== 0x5c) throw this.#wrong('an escape that is none');
        octets.push(escaped);
      }
    }
  }

  #literal(pattern: RegExp, kind: 'text' | 'octets' | 'binary'): Buffer {
    const match = this.#match(pattern);
    if (match === '') throw this.#wrong('a literal expected');
    const size = Number(/\d+/.exec(match)?.[0]);
    const value = this.#bytes.subarray(this.#at, this.#at + size);
    if (value.length !== size) throw this.#wrong('a literal that is too short');
    if (kind === 'text' && value.includes(0)) throw this.#wrong('NUL in a literal');
    this.#at += size;
    return value;
  }

  #match(pattern: RegExp): string {
    const text = this.#bytes.toString('latin1', this.#at, this.#at + 4096);
    pattern.lastIndex = 0;
    const match = pattern.exec(text)?.[0] ?? '';
    this.#at += match.length;
    return match;
  }

  #wrong(what: string): Error {
    const around = this.#bytes.toString('latin1', Math.max(this.#at - 60, 0), this.#at + 60);
    return new Error(`${what} at ${this.#at}: …${around}…`);
  }
}
