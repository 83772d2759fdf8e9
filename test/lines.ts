import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

/** A client that types lines and reads lines, for when a real one would be too polite or too many are needed. */
export class Lines {
  readonly socket: Socket;
  #text = '';
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      this.#text += String(chunk);
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('end', end);
    socket.on('close', end);
  }

  static plain(port: number, host = '127.0.0.1'): Lines {
    return new Lines(connect({ port, host, noDelay: true }));
  }

  static tls(port: number, host = '127.0.0.1'): Lines {
    return new Lines(tlsConnect({ port, host, rejectUnauthorized: false }));
  }

  /** What came up to and with the first line that matches. */
  async until(pattern: RegExp): Promise<string> {
    const multi = new RegExp(`${pattern.source}[^\\n]*\\n`, `${pattern.flags.replace('m', '')}m`);
    for (;;) {
      const match = multi.exec(this.#text);
      if (match) {
        const end = match.index + match[0].length;
        const text = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return text;
      }
      if (this.#ended) throw new Error(`waited for ${pattern}, the connection ended after: ${this.#text}`);
      await this.#more(`${pattern}`);
    }
  }

  /** The next so many octets. */
  async exactly(length: number): Promise<string> {
    while (this.#text.length < length) {
      if (this.#ended) throw new Error(`the connection ended before ${length} octets`);
      await this.#more(`${length} octets`);
    }
    const text = this.#text.slice(0, length);
    this.#text = this.#text.slice(length);
    return text;
  }

  /** The next SMTP or POP3 reply, all its lines. */
  reply(): Promise<string> {
    return this.until(/^(?:\d{3}(?: |\r)|[+-](?:OK|ERR))/);
  }

  async ask(command: string): Promise<string> {
    this.write(`${command}\r\n`);
    return this.reply();
  }

  /** One IMAP command; what came with and before its tagged answer. */
  async imap(command: string): Promise<string> {
    const tag = `a${++this.#tags}`;
    this.write(`${tag} ${command}\r\n`);
    return this.until(new RegExp(`^${tag} `));
  }
  #tags = 0;

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** All that still comes, once the other side has closed. */
  async closed(): Promise<string> {
    while (!this.#ended) await this.#more('the end of the connection');
    return this.#text;
  }

  close(): void {
    this.socket.destroy();
  }

  #more(what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`waited in vain for ${what}; have: ${this.#text}`)),
        30_000,
      );
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** One message over an SMTP connection that has been greeted; the reply to each step until one refuses. */
export async function mail(
  smtp: Lines,
  from: string,
  to: string,
  text: string,
): Promise<{ readonly step: 'MAIL' | 'RCPT' | 'DATA' | 'text'; readonly reply: string }> {
  let reply = await smtp.ask(`MAIL FROM:<${from}>`);
  if (!reply.startsWith('2')) return { step: 'MAIL', reply };
  reply = await smtp.ask(`RCPT TO:<${to}>`);
  if (!reply.startsWith('2')) return { step: 'RCPT', reply };
  reply = await smtp.ask('DATA');
  if (!reply.startsWith('3')) return { step: 'DATA', reply };
  smtp.write(`${text}.\r\n`);
  return { step: 'text', reply: await smtp.reply() };
}

/** Greeted, EHLO said. */
export async function smtpSession(port: number, host = '127.0.0.1'): Promise<Lines> {
  const smtp = Lines.plain(port, host);
  await smtp.reply();
  await smtp.ask('EHLO client.test');
  return smtp;
}

/** Logged in. */
export async function imapSession(
  port: number,
  user: string,
  password: string,
  how: 'plain' | 'tls' = 'plain',
): Promise<Lines> {
  const imap = how === 'tls' ? Lines.tls(port) : Lines.plain(port);
  await imap.until(/^\* OK/);
  const answer = await imap.imap(`LOGIN "${user}" "${password}"`);
  if (!/^a\d+ OK/m.test(answer)) throw new Error(answer);
  return imap;
}
